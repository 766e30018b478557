import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { suite } from "./Database.suite.ts"
import { at, file, memory } from "./support.ts"

let directory = ""
let files = 0
beforeAll(() => {
  directory = fs.mkdtempSync(join(tmpdir(), "database-"))
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

suite("memory", memory, { clock: "test" })
suite("a file", file, { clock: "live", reopen: () => at(join(directory, `${++files}.db`)) })
