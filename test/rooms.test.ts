/** Files that read in one sitting: what is long says why and has phases with names, and what only tests import is a contract. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { globSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"

const root = join(import.meta.dirname, "..")
const read = (path: string): string => readFileSync(join(root, path), "utf8")
const sources = globSync("src/**/*.{ts,js}", { cwd: root }).toSorted()
const tests = globSync("test/**/*.{ts,mjs}", { cwd: root })

describe("a file of more than 350 lines", () => {
  it("says at its head why", () => {
    const silent = sources.filter((file) => {
      const text = read(file)
      return text.split("\n").length > 350 && !/^\/\*\*(?:(?!\*\/)[^])*longer than/i.test(text)
    })
    assert.deepStrictEqual(silent, [])
  })
})

interface Long {
  readonly name: string
  readonly lines: number
  /** Those that stand in no function of it that has a name. */
  readonly own: number
}

/** Lines of a function before it needs phases, and of its own that it may have beside them. */
const linesMax = 100
const ownMax = 60

/**
 * Prints what each file that it is given declares at its top in more than `linesMax` lines. A process, as the parser leaves threads
 * behind.
 */
const parser = `
import { readFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { parseAst } from "vite"
const walk = (node, visit) => {
  if (Array.isArray(node)) return node.forEach((each) => walk(each, visit))
  if (typeof node !== "object" || node === null || (node.type && visit(node) === false)) return
  Object.values(node).forEach((each) => walk(each, visit))
}
const isFunction = ({ type }) => /Function/.test(type)
const holdsFunction = (node) => {
  let found = false
  walk(node, (each) => { found ||= isFunction(each) })
  return found
}
const longIn = (file) => {
  const text = stripTypeScriptTypes(readFileSync(file, "utf8").replace(/^#!.*/, ""))
  const linesOf = ({ end, start }) => text.slice(start, end).split("\\n").length
  return parseAst(text).body.map((statement) => statement.declaration ?? statement).flatMap((declared) => {
    const body = declared.type === "FunctionDeclaration" ? declared.body : declared.declarations?.[0].init
    const lines = linesOf(declared)
    if (!body || lines <= ${linesMax} || !holdsFunction(declared)) return []
    let named = 0
    walk(body, (each) => {
      const value = each.type === "VariableDeclarator" ? each.init : each.value
      const isNamed = each.type === "FunctionDeclaration" ||
        (/^(VariableDeclarator|Property|PropertyDefinition|MethodDefinition)$/.test(each.type) && value && holdsFunction(value))
      if (!isNamed) return true
      named += linesOf(each)
      return false
    })
    return [{ name: (declared.id ?? declared.declarations[0].id).name, lines, own: lines - named }]
  })
}
console.log(JSON.stringify(process.argv.slice(1).map(longIn)))
`

const longIn = (files: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<Long>> =>
  JSON.parse(execFileSync(process.execPath, ["--input-type=module", "--eval", parser, "--", ...files], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  }))

describe("a function of more than a hundred lines", () => {
  it("is made of phases with names, and has few lines of its own", () => {
    const found = longIn(sources)
    assert.isAbove(found.flat().length, 10)
    const shapeless = found.flatMap((all, i) =>
      all.filter(({ own }) => own > ownMax).map(({ lines, name, own }) =>
        `${sources[i]}: ${name} has ${lines} lines, ${own} of them in no function with a name`
      )
    )
    assert.deepStrictEqual(shapeless, [])
  })
})

/** What only tests import, and what makes it a contract nevertheless. Bounds need no row: a number that a docstring explains. */
const contracts: Readonly<Record<string, ReadonlyArray<string>>> = {
  "a layer whose other side, a thread or the network, the test plays": [
    "aggregation/Aggregation.ts: layerUnconnected",
    "aggregation/Aggregation.ts: layerWithout",
    "aggregation/Aggregation.ts: names",
    "aggregation/evidence/Nip05Documents.ts: layerWith",
    "aggregation/evidence/Picture.ts: layerWith",
    "crypto/WorkerVerifier.ts: layerInline",
    "crypto/WorkerVerifier.ts: layerWith",
    "database/sqlite/SqliteDatabase.ts: layerMemory"
  ],
  "what is kept on the disk, which a test writes as an older version did": [
    "aggregation/evidence/Posts.ts: space",
    "aggregation/evidence/RememberedPictures.ts: space",
    "aggregation/harvest/HarvestSession.ts: space",
    "database/Spaces.ts: spaces",
    "web/Statistics.ts: space"
  ],
  "a rule that is tested value by value, where the way to it would need a whole service": [
    "aggregation/admission/RetryQueue.ts: delayOf",
    "aggregation/upstream/RelayLimits.ts: limitsIn",
    "cli/Dump.ts: ArrayLines",
    "cli/Lines.ts: LineSplitter",
    "demo/Signer.ts: eventId",
    "domain/ClientMessage.ts: hasMoreBytesThan",
    "domain/ClientMessage.ts: isDeeperThan",
    "domain/Event.ts: dTag",
    "domain/ProofOfWork.ts: committedTarget",
    "domain/negentropy/Message.ts: parseMessage",
    "fetch/Exchange.ts: encodingsOf",
    "fetch/GuardedFetch.ts: redirectTarget",
    "lifecycle/Report.ts: ownerOf",
    "pages/ConsolePage.ts: spoken",
    "pages/Html.ts: problemOf",
    "pages/Person.ts: linesOf",
    "pages/Plot.ts: stepOf",
    "web/Encoding.ts: acceptedOf",
    "web/Encoding.ts: encodingOf",
    "websocket/client/RateLimit.ts: TokenBucket"
  ],
  "what pages of docs, the demo and the description of the API are made of": [
    "aggregation/evidence/Nip05Documents.ts: defaults",
    "config/SettingsTable.ts: dotEnvExample",
    "config/SettingsTable.ts: markdown",
    "demo/Drawing.ts: formats",
    "demo/Population.ts: cases"
  ],
  "an error that callers may tell apart": [
    "cli/Lines.ts: StdinFailed",
    "cli/Stdout.ts: StdoutFailed",
    "lifecycle/Mailbox.ts: SenderReleased"
  ]
}

const withoutComments = (text: string): string => text.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "")

const uses = (text: string, file: string, name: string): boolean =>
  text.includes(basename(file)) && new RegExp(`\\b${name}\\b`).test(text)

describe("an export that no other file of the program imports", () => {
  const code = new Map(sources.map((file) => [file, withoutComments(read(file))]))
  const declared = /^((?:\/\*\*(?:(?!\*\/)[^])*\*\/\n)?)export (const|class|function\*?) (\w+)(.*)/gm

  const lonely = sources.filter((file) => !file.startsWith("src/api/")).flatMap((file) =>
    Array.from(
      read(file).matchAll(declared),
      ([, doc, kind, name, rest]) => ({ file, name: name!, doc, kind, rest: rest! })
    )
      .filter(({ name }) => !sources.some((other) => other !== file && uses(code.get(other)!, file, name)))
  )
  const rows = new Set(Object.values(contracts).flat())
  /** A number, a length of time, or what is made of those. */
  const isBound = ({ doc, kind, rest }: (typeof lonely)[number]): boolean =>
    kind === "const" && doc !== "" && /^(?::[^=]*)? = (?:[\d_."]|Duration\.|\w+Max\b)/.test(rest)
  const keyOf = ({ file, name }: (typeof lonely)[number]): string => `${file.slice("src/".length)}: ${name}`

  it("is a bound with its docstring, or stands in the table with its reason", () => {
    assert.deepStrictEqual(lonely.filter((each) => !isBound(each)).map(keyOf).filter((key) => !rows.has(key)), [])
  })

  it("is used by some test", () => {
    const texts = tests.map(read)
    const unused = lonely.filter(({ file, name }) => !texts.some((text) => uses(text, file, name)))
    assert.deepStrictEqual(unused.filter((each) => !each.name.endsWith("Failed")).map(keyOf), [])
  })

  it("has no row in the table once the program imports it", () => {
    const found = new Set(lonely.map(keyOf))
    assert.deepStrictEqual([...rows].filter((row) => !found.has(row)), [])
  })
})
