/**
 * No pattern of `src/` takes more than linear time, whatever it is matched with: strangers write most of what is.
 *
 * Each one is judged by a checker made for it, and measured on inputs that are bad for patterns of its kind.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { globSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import type * as Recheck from "recheck"

// The build in JavaScript alone: no Java, no binary, no thread. Its types are those of the package.
const { checkSync } = createRequire(import.meta.url)("recheck/lib/browser.js") as typeof Recheck

const source = join(import.meta.dirname, "../src")

/** Patterns with a flag that the checker cannot read; these are only measured. */
const unreadable: ReadonlySet<string> = new Set(["domain/SearchText.ts"])

interface Pattern {
  readonly file: string
  readonly text: string
  readonly flags: string
}

/** What makes the package reads our own files alone. */
const files = globSync("**/*.{ts,js}", { cwd: source, exclude: ["build/**"] }).toSorted()
const textOf = (file: string) => readFileSync(join(source, file), "utf8").replace(/^#!.*/, "")

/**
 * Prints the literals of each file that it is given, from its syntax tree. A process, as the parser leaves threads behind; it
 * reads the files itself, since a pipe as standard input may have nothing yet when it is read.
 */
const parser = `
import { readFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { parseAst } from "vite"
function* literalsIn(node) {
  if (typeof node !== "object" || node === null) return
  if (node.regex) yield node.regex
  for (const child of Object.values(node)) yield* literalsIn(child)
}
const treeOf = (file) => parseAst(stripTypeScriptTypes(readFileSync(file, "utf8").replace(/^#!.*/, "")))
console.log(JSON.stringify(process.argv.slice(1).map((file) => [...literalsIn(treeOf(file))])))
`

const patterns = ((): ReadonlyArray<Pattern> => {
  const found: ReadonlyArray<ReadonlyArray<{ readonly pattern: string; readonly flags: string }>> = JSON.parse(
    execFileSync(
      process.execPath,
      ["--input-type=module", "--eval", parser, "--", ...files.map((file) => join(source, file))],
      { cwd: join(source, ".."), encoding: "utf8" }
    )
  )
  return found.flatMap((all, i) => all.map(({ flags, pattern }) => ({ file: files[i]!, text: pattern, flags })))
})()

/** As long as a message may be. */
const length = 60_000
/** Milliseconds of one match. What is quadratic takes seconds. */
const millisMax = 300

/** What repeats, and what comes before and after it, so that a match fails at the last moment. */
function* inputsFor({ text }: Pattern): Generator<string> {
  const own = text.match(/[a-z]{2,}|[^\\()[\]{}|?*+^$]/gi) ?? []
  const pumps = new Set([
    ...own,
    ...own.map((word, i) => word + (own[i + 1] ?? "")),
    "a",
    "0",
    " ",
    ".",
    ":",
    "/",
    "_at_."
  ])
  for (const pump of pumps) {
    const run = pump.repeat(length / pump.length)
    for (const end of ["", "\0", "\n", `\n${pump}`, "@"]) yield run + end
  }
}

const measured = (pattern: Pattern): readonly [millis: number, input: string] => {
  let worst: readonly [number, string] = [0, ""]
  for (const input of inputsFor(pattern)) {
    const begun = performance.now()
    new RegExp(pattern.text, pattern.flags).exec(input)
    const millis = performance.now() - begun
    if (millis > worst[0]) worst = [millis, JSON.stringify(input.slice(0, 20))]
    if (millis > millisMax) break
  }
  return worst
}

const judged = (text: string, flags: string) => checkSync(text, flags, { timeout: 20_000, randomSeed: 1 })

describe("a pattern over a stranger's text", () => {
  it("is found wherever it is written, and never made of text", () => {
    assert.isAbove(patterns.length, 100)
    // One set of characters made of a table of ours takes one step for each that it looks at.
    for (const file of files) assert.notMatch(textOf(file), /new RegExp\((?!`\[[^`]*\]`, "gu"\))/, file)
  })

  it("takes linear time at most, says a checker that knows how they go wrong", () => {
    const found = patterns.flatMap(({ file, flags, text }) => {
      if (unreadable.has(file) && flags.includes("v")) return []
      const verdict = judged(text, flags)
      if (verdict.status === "safe") return []
      const why = verdict.status === "vulnerable"
        ? `${verdict.complexity.summary}: ${verdict.attack.pattern}`
        : "unknown"
      return [`${file}: /${text}/${flags} is ${why}`]
    })
    assert.deepStrictEqual(found, [])
  }, 120_000)

  it("takes no time that anybody notices on the inputs that are worst for its kind", () => {
    const found = patterns.flatMap((pattern) => {
      const [millis, input] = measured(pattern)
      return millis < millisMax ? [] : [`${pattern.file}: /${pattern.text}/: ${Math.round(millis)} ms for ${input}`]
    })
    assert.deepStrictEqual(found, [])
  }, 120_000)

  it("would be noticed if it went back and forth", () => {
    const text = "^[^@]+_at_[^@]+\\.[^@.]+@"
    assert.strictEqual(judged(text, "i").status, "vulnerable")
    assert.isAbove(measured({ file: "", text, flags: "i" })[0], millisMax)
  })
})
