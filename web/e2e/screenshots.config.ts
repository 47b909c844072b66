/** The screenshots: not a test, though written as one. */

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["e2e/screenshots.test.ts"], environment: "node", testTimeout: 180_000, hookTimeout: 120_000 },
});
