/** Tests wait for conditions; the time-out is for machines that do much else. */

import { defineConfig } from "vitest/config";

export default defineConfig({ test: { testTimeout: 30_000, hookTimeout: 60_000 } });
