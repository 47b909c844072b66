/** Builds the client into the Python package, from where Iris serves it. */

import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const SHELL = ["/manifest.webmanifest", "/icons/icon.svg", "/icons/icon-192.png"];

/** Tells the service worker which files make the shell, and a version that changes with any of them. */
function shellList(): Plugin {
  return {
    name: "iris-shell-list",
    generateBundle(_options, bundle) {
      const worker = bundle["sw.js"];
      if (worker?.type !== "chunk") return;
      const files = Object.keys(bundle).filter((name) => name.startsWith("assets/"));
      const version = createHash("sha256").update(files.sort().join()).update(worker.code).digest("hex").slice(0, 16);
      worker.code = worker.code
        .replace("__SHELL__", ["/", ...SHELL, ...files.map((name) => `/${name}`)].join(" "))
        .replace("__VERSION__", version);
    },
  };
}

export default defineConfig({
  resolve: { alias: { "@iris-im/sdk": here("../sdk/typescript/src/index.ts") } },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [shellList()],
  build: {
    outDir: here("../src/iris/web_assets"),
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: { main: here("index.html"), sw: here("src/sw.ts") },
      output: {
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash:8].js"),
        chunkFileNames: "assets/[name]-[hash:8].js",
        assetFileNames: "assets/[name]-[hash:8][extname]",
      },
    },
  },
  server: { proxy: { "/v1": { target: "http://127.0.0.1:8460", ws: true } } },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
