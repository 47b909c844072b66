/** What is shipped: small enough for a page, and usable in Node without any tool. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const run = (...words: string[]) => spawnSync(process.execPath, words, { cwd: HERE, encoding: "utf8" });

it("a page gets less than 40 KB of it, protobuf apart", { timeout: 60_000 }, () => {
  const done = run("scripts/size.js");
  expect(done.stdout + done.stderr).toMatch(/^gzip: own code \d+ of 40000, /);
  expect(done.status).toBe(0);
});

it("the build is plain modules with types", { timeout: 60_000 }, () => {
  const out = mkdtempSync(join(HERE, "node_modules/.dist-")); // where its imports are found
  try {
    const built = run("node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", out);
    expect(built.stdout + built.stderr).toBe("");
    const script = `
      const { IrisClient, browserPlatform } = await import("${out}/index.js");
      const { nodePlatform } = await import("${out}/platform/node.js");
      const platform = nodePlatform();
      const gone = await IrisClient.api({ server: "http://127.0.0.1:1", platform }).info().catch((error) => error.name);
      console.log(typeof browserPlatform, typeof IrisClient.open, gone);`;
    const used = run("--input-type=module", "-e", script);
    expect(used.stderr).toBe("");
    expect(used.stdout.trim()).toBe("function function Offline");
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});
