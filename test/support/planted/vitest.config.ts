/** The project's own settings, but for files that leak on purpose: run by `leakGuard.test.ts`. */
import { join } from "node:path"
import { defineConfig } from "vitest/config"
import { everyFile } from "../../../vitest.config.ts"

export default defineConfig({
  root: join(import.meta.dirname, "../../.."),
  test: { ...everyFile, include: ["test/support/planted/*.planted.ts"] }
})
