/**
 * How large the SDK is in a page: bundled, minified, gzip. `npm run size` prints it and fails above the budget.
 *
 * Budget: 40 KB for our code with idb, protobuf's runtime and the generated code apart; those have a limit of their own, so
 * that an update which doubles them is seen.
 */

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";

export const BUDGET_BYTES = 40_000;
export const RUNTIME_BYTES_MAX = 22_000;

const entry = fileURLToPath(new URL("../src/index.ts", import.meta.url));

async function gzipBytes(external) {
  const bundle = await rolldown({ input: entry, platform: "browser", external });
  const { output } = await bundle.generate({ format: "esm", minify: true });
  await bundle.close();
  return output.reduce((sum, chunk) => sum + gzipSync(chunk.code ?? "", { level: 9 }).length, 0);
}

/** { own, runtime, all } in bytes, gzip. */
export async function sizes() {
  const own = await gzipBytes([/@bufbuild\/protobuf/, /_pb\.js$/]);
  const all = await gzipBytes([]);
  return { own, runtime: all - own, all };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { own, runtime, all } = await sizes();
  console.log(
    `gzip: own code ${own} of ${BUDGET_BYTES}, protobuf ${runtime} of ${RUNTIME_BYTES_MAX}, together ${all} bytes`,
  );
  if (own > BUDGET_BYTES || runtime > RUNTIME_BYTES_MAX) process.exit(1);
}
