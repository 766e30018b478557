/** What others may do to us has a number each (`docs/harvest.md`, `docs/reliability.md`), and each number a test in its name. */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL(".", import.meta.url))

const titles = globSync("**/*.test.ts", { cwd: folder }).filter((file) => file !== "faults.test.ts").flatMap((file) =>
  Array.from(
    readFileSync(`${folder}/${file}`, "utf8").matchAll(/["`](?:[^"`\n]*\b)?((?:fault|hazard)s? \d[^"`\n]*)["`]/gu),
    ([, title = ""]) => title
  )
)

/** Numbers that a title names: `fault 36`, `faults 38, 39 and 45`, `faults 48 to 50`. */
const named = (kind: "fault" | "hazard"): ReadonlySet<number> => {
  const numbers = new Set<number>()
  for (const title of titles) {
    const list = new RegExp(`\\b${kind}s? (\\d+(?:(?:, | and | to )\\d+)*)`, "u").exec(title)?.[1]
    for (const part of list?.split(/, | and /u) ?? []) {
      const [first = 0, last = first] = part.split(" to ").map(Number)
      for (let n = first; n <= last; n++) numbers.add(n)
    }
  }
  return numbers
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n)

describe("tests by number", () => {
  it("play every fault of signals and clients, 1 to 35", () => {
    const numbers = named("fault")
    assert.deepStrictEqual(range(1, 35).filter((n) => !numbers.has(n)), [])
  })

  it("play every fault of upstreams, addresses and hosts, 36 to 60", () => {
    const numbers = named("fault")
    assert.deepStrictEqual(range(36, 60).filter((n) => !numbers.has(n)), [])
  })

  it("play every fault of storage and of what surrounds the process, 61 to 85", () => {
    const numbers = named("fault")
    assert.deepStrictEqual(range(61, 85).filter((n) => !numbers.has(n)), [])
  })

  it("play every fault of work that a stranger makes, 101 to 105", () => {
    const numbers = named("fault")
    assert.deepStrictEqual(range(101, 105).filter((n) => !numbers.has(n)), [])
  })

  it("play every hazard of a harvest, 1 to 10", () => {
    const numbers = named("hazard")
    assert.deepStrictEqual(range(1, 10).filter((n) => !numbers.has(n)), [])
  })
})
