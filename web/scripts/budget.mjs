/** The first load: all JavaScript that the page names, gzipped, is at most BUDGET. Builds into a folder of its own. */

import { readdirSync, readFileSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const BUDGET = 100 * 1024;
const folder = new URL("../node_modules/.budget/", import.meta.url);

await build({ logLevel: "error", build: { outDir: folder.pathname, emptyOutDir: true } });
const page = readFileSync(new URL("index.html", folder), "utf8");
if (/<script(?![^>]*\ssrc=)[^>]*>|<style|\son[a-z]+=|style="/i.test(page))
  throw new Error("index.html has something inline");
const scripts = readdirSync(new URL("assets/", folder)).filter((name) => name.endsWith(".js"));
const sizes = [...scripts.map((name) => `assets/${name}`), "sw.js"].map((name) => [
  name,
  gzipSync(readFileSync(new URL(name, folder)), { level: 9 }).length,
]);
const total = sizes.reduce((sum, [, size]) => sum + size, 0);
rmSync(folder, { recursive: true });
console.log(`first load: ${(total / 1024).toFixed(1)} KB of JavaScript, gzipped (at most ${BUDGET / 1024})`);
if (total > BUDGET) {
  console.error(sizes.map(([name, size]) => `  ${name}: ${size}`).join("\n"));
  process.exit(1);
}
