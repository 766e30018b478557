import { assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"

const root = join(import.meta.dirname, "../..")

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: ReadonlyArray<{ readonly status: string }>
  }>
}

/** What each file has to say for itself, by its name. */
const files = new Map<string, Report["testResults"][number]>()

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), "profile-aggregator-planted-"))
  const report = join(folder, "report.json")
  const { stderr, stdout } = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--config",
      join(import.meta.dirname, "planted/vitest.config.ts"),
      "--reporter=json",
      `--outputFile=${report}`
    ],
    { cwd: root, encoding: "utf8" }
  )
  if (!existsSync(report)) throw new Error(`no report: ${stdout}${stderr}`)
  for (const file of (JSON.parse(readFileSync(report, "utf8")) as Report).testResults) {
    files.set(basename(file.name).replace(".planted.ts", ""), file)
  }
  rmSync(folder, { recursive: true })
}, 120_000)

describe("a test file that leaves something alive", () => {
  for (
    const [name, expected] of [
      ["fiber", /fiber Planted\.forgotten @ fiber\.planted\.ts:\d+/],
      ["sender", /sender of planted\/holder to planted.*fiber planted/],
      ["file", /file \S+file\.planted\.ts/],
      ["thread", /thread planted/],
      ["socket", /TCPServerWrap/],
      ["timer", /Timeout/]
    ] as const
  ) {
    it(`fails, though its tests pass, and names the ${name}`, () => {
      const file = files.get(name)
      assert.strictEqual(file?.status, "failed")
      assert.deepStrictEqual(file?.assertionResults.map(({ status }) => status), ["passed"])
      assert.match(file?.message ?? "", expected)
    })
  }

  it("passes when that ends by itself soon", () => {
    assert.strictEqual(files.get("nothing")?.status, "passed", files.get("nothing")?.message)
  })
})
