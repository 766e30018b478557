/** Who may import whom. A rule that turns out wrong is changed here, in the same commit as the code that needs it. */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"

/**
 * Folders end in a slash and hold all below them but what has a row of its own; paths are relative to `src/`. The first row
 * that fits counts.
 */
const table: ReadonlyArray<{
  readonly files: ReadonlyArray<string>
  /** What its files may import of `src/`, besides one another. */
  readonly may: ReadonlyArray<string>
  readonly packages: "any" | "pure"
}> = [
  { files: ["domain/"], may: [], packages: "pure" },
  // What people see: facts in, HTML out.
  { files: ["pages/"], may: ["domain/"], packages: "any" },
  { files: ["observability/"], may: ["domain/", "config/"], packages: "any" },
  { files: ["lifecycle/"], may: ["observability/"], packages: "any" },
  {
    files: ["config/"],
    may: ["domain/", "lifecycle/", "observability/"],
    packages: "any"
  },
  // Where an engine is chosen.
  {
    files: ["database/Engine.ts"],
    may: ["domain/", "lifecycle/", "observability/", "config/", "database/"],
    packages: "any"
  },
  // An engine: it knows what every engine shares, and what is shared knows none.
  {
    files: ["database/sqlite/"],
    may: [
      "domain/",
      "lifecycle/",
      "observability/",
      "config/",
      "database/Archive.ts",
      "database/Condition.ts",
      "database/Database.ts",
      "database/Ingester.ts",
      "database/Spaces.ts",
      "database/StoreWriter.ts",
      "database/storeProtocol.ts"
    ],
    packages: "any"
  },
  { files: ["database/"], may: ["domain/", "lifecycle/", "observability/", "config/"], packages: "any" },
  { files: ["crypto/"], may: ["domain/", "lifecycle/", "observability/", "config/"], packages: "any" },
  // How strangers' hosts are contacted; what for is its callers' business.
  {
    files: ["fetch/"],
    may: ["domain/", "lifecycle/", "observability/", "config/"],
    packages: "any"
  },
  {
    files: ["aggregation/"],
    // Contracts only: which engine answers is not its business.
    may: [
      "domain/",
      "lifecycle/",
      "observability/",
      "config/",
      "database/Database.ts",
      "database/Spaces.ts",
      "crypto/Verifier.ts",
      "fetch/"
    ],
    packages: "any"
  },
  {
    files: ["websocket/"],
    may: [
      "domain/",
      "lifecycle/",
      "observability/",
      "config/",
      "database/Database.ts",
      "crypto/Verifier.ts",
      "aggregation/admission/Admission.ts",
      "aggregation/admission/Moderation.ts",
      "aggregation/evidence/Rules.ts",
      "package.json"
    ],
    packages: "any"
  },
  // Where the components meet; nothing else may import the demo.
  {
    files: ["main.ts", "serve.ts", "entry.js", "cli/", "demo/"],
    may: [
      "package.json",
      "domain/",
      "lifecycle/",
      "observability/",
      "config/",
      "fetch/",
      "crypto/",
      "aggregation/",
      "websocket/",
      // Which engine keeps the events is not their business.
      "database/Archive.ts",
      "database/Database.ts",
      "database/Engine.ts"
    ],
    packages: "any"
  }
]

/** Modules of `effect` that only compute. */
const pure = new Set([
  "Schema",
  "Option",
  "Result",
  "Data",
  "Array",
  "Order",
  "Equal",
  "Hash",
  "Struct",
  "Record",
  "String"
])

/** What a pure module cannot ask: the time, chance, the process, the network, the terminal. */
const impure = /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.|process\.|console\.|setTimeout|fetch\(|crypto\.)/

const covers = (places: ReadonlyArray<string>, path: string): boolean =>
  places.some((place) => place === "" || (place.endsWith("/") ? path.startsWith(place) : path === place))

interface Import {
  /** As written: a package, or a path relative to the file. */
  readonly from: string
  /** What stands between `import` and `from`. */
  readonly names: string
}

const withoutComments = (source: string): string => source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "")

/** Every import of a module: static, for types, for effect, re-exported, dynamic. */
const importsOf = (source: string): ReadonlyArray<Import> => {
  const statements =
    /^\s*(?:import|export)\b([^"';=]*?)\bfrom\s*"([^"]+)"|^\s*import\s*"([^"]+)"|\bimport\("([^"]+)"\)/gm
  return Array.from(
    withoutComments(source).matchAll(statements),
    ([, names, named, bare, dynamic]) => ({ from: named ?? bare ?? dynamic ?? "", names: names ?? "" })
  )
}

const resolve = (file: string, from: string): string => new URL(from, `file:///src/${file}`).pathname.slice(1)

/** Names given to `effect` as in `import { type A, B as C }`. */
const effectNames = ({ from, names }: Import): ReadonlyArray<string> =>
  from === "effect"
    ? names.replace(/^\s*type\b/, "").replace(/[{}]/g, "").split(",").map((name) => name.trim().replace(/^type /, ""))
      .filter((name) => name !== "")
    : [from.replace(/^effect\//, "")]

const impurities = (source: string): ReadonlyArray<string> => {
  const packages = importsOf(source).filter(({ from }) => !from.startsWith("."))
  const foreign = packages.filter(({ from }) => from !== "effect" && !from.startsWith("effect/"))
  const effects = packages.filter(({ from }) => from === "effect" || from.startsWith("effect/")).flatMap(effectNames)
  const asked = impure.exec(withoutComments(source))?.[0]
  return [
    ...foreign.map(({ from }) => `imports ${from}`),
    ...effects.filter((name) => !pure.has(name)).map((name) => `imports ${name} of effect`),
    ...(asked === undefined ? [] : [`asks ${asked}`])
  ]
}

/** Queues that cross components are mailboxes, with an owner and a register of senders. */
const ownQueues = (file: string, source: string): ReadonlyArray<string> => {
  if (file.startsWith("lifecycle/") || /^\s*\/\/ local queue: \S.*$/m.test(source)) return []
  const renamed = importsOf(source).some(({ from, names }) =>
    (from === "effect" && /\bQueue as\b/.test(names)) ||
    (from === "effect/Queue" && !/^\s*(?:type\b|\* as Queue\b)/.test(names))
  )
  const built = /\bQueue\.(?:bounded|unbounded|make|sliding|dropping)\b/.exec(withoutComments(source))?.[0]
  return [
    ...(renamed ? ["imports Queue by another name"] : []),
    ...(built === undefined ? [] : [`builds a queue with ${built}, which needs the line "// local queue: <why>"`])
  ]
}

const rowOf = (file: string) => table.find(({ files }) => covers(files, file))

const violations = (file: string, source: string): ReadonlyArray<string> => {
  const row = rowOf(file)
  if (row === undefined) return ["stands in no row of the table"]
  const own = importsOf(source).filter(({ from }) => from.startsWith(".")).map(({ from }) => resolve(file, from))
  const strangers = own
    .map((path) => path.replace(/^src\//, ""))
    .filter((path) => rowOf(path) !== row && !covers(row.may, path))
  return [
    ...strangers.map((path) => `imports ${path}`),
    ...(row.packages === "pure" ? impurities(source) : []),
    ...ownQueues(file, source)
  ]
}

const root = new URL("../src/", import.meta.url)
const files = globSync("**/*.{ts,js}", { cwd: root }).map((file) => file.replaceAll("\\", "/")).toSorted()

describe("layering", () => {
  for (const file of files) {
    it(`${file} imports what its folder may`, () => {
      assert.deepStrictEqual(violations(file, readFileSync(new URL(file, root), "utf8")), [])
    })
  }

  it("covers every component", () => {
    for (const folder of ["domain/", "lifecycle/", "database/", "crypto/", "aggregation/", "websocket/"]) {
      assert.isTrue(files.some((file) => file.startsWith(folder)), folder)
    }
  })
})

describe("layering, planted violations", () => {
  const planted: ReadonlyArray<[file: string, source: string, violation: string]> = [
    ["domain/X.ts", "import { readFileSync } from \"node:fs\"", "imports node:fs"],
    ["domain/X.ts", "import \"ws\"", "imports ws"],
    ["domain/X.ts", "import { Schema, type Effect } from \"effect\"", "imports Effect of effect"],
    ["domain/X.ts", "import * as Clock from \"effect/Clock\"", "imports Clock of effect"],
    ["domain/X.ts", "import { Settings } from \"../config/Settings.ts\"", "imports config/Settings.ts"],
    ["domain/X.ts", "const now = Date.now()", "asks Date.now"],
    ["database/X.ts", "import type { Verifier } from \"../crypto/Verifier.ts\"", "imports crypto/Verifier.ts"],
    ["crypto/engines/X.ts", "export * from \"../../database/Database.ts\"", "imports database/Database.ts"],
    [
      "database/X.ts",
      "import { connect } from \"./sqlite/connection.ts\"",
      "imports database/sqlite/connection.ts"
    ],
    ["database/sqlite/X.ts", "import * as Engine from \"../Engine.ts\"", "imports database/Engine.ts"],
    ["main.ts", "export * from \"./database/sqlite/SqliteDatabase.ts\"", "imports database/sqlite/SqliteDatabase.ts"],
    [
      "cli/X.ts",
      "import type { hold } from \"../database/sqlite/DatabaseFile.ts\"",
      "imports database/sqlite/DatabaseFile.ts"
    ],
    [
      "aggregation/X.ts",
      "import {\n  SqliteDatabase\n} from \"../database/sqlite/SqliteDatabase.ts\"",
      "imports database/sqlite/SqliteDatabase.ts"
    ],
    [
      "aggregation/X.ts",
      "await import(\"../websocket/client/Connection.ts\")",
      "imports websocket/client/Connection.ts"
    ],
    [
      "websocket/X.ts",
      "import { Judgement } from \"../aggregation/admission/Judgement.ts\"",
      "imports aggregation/admission/Judgement.ts"
    ],
    ["websocket/X.ts", "import { keyOf } from \"../demo/Signer.ts\"", "imports demo/Signer.ts"],
    ["lifecycle/X.ts", "import { Database } from \"../database/Database.ts\"", "imports database/Database.ts"],
    [
      "websocket/X.ts",
      "const queue = Queue.bounded<string>(1)",
      "builds a queue with Queue.bounded, which needs the line \"// local queue: <why>\""
    ],
    ["websocket/X.ts", "import { Queue as Q } from \"effect\"", "imports Queue by another name"],
    ["websocket/X.ts", "import { bounded } from \"effect/Queue\"", "imports Queue by another name"],
    ["pages/X.ts", "import { Database } from \"../database/Database.ts\"", "imports database/Database.ts"],
    ["utils/X.ts", "", "stands in no row of the table"]
  ]
  for (const [file, source, violation] of planted) {
    it(`finds that ${file} ${violation}`, () => assert.deepStrictEqual(violations(file, source), [violation]))
  }

  it("lets pass what is allowed, and what stands in comments", () => {
    const allowed: ReadonlyArray<[file: string, source: string]> = [
      ["domain/X.ts", "import { Option, type Schema } from \"effect\"\nimport type { Event } from \"./Event.ts\""],
      ["domain/X.ts", "/** import \"node:fs\" and Date.now() */\n// import \"ws\""],
      ["aggregation/X.ts", "import { Database } from \"../database/Database.ts\""],
      ["database/Engine.ts", "import * as SqliteDatabase from \"./sqlite/SqliteDatabase.ts\""],
      ["database/sqlite/X.ts", "import * as Ingester from \"../Ingester.ts\""],
      ["cli/X.ts", "import * as Engine from \"../database/Engine.ts\""],
      ["lifecycle/X.ts", "Queue.unbounded()"],
      ["websocket/X.ts", "// local queue: frames of one connection\nQueue.bounded(1)"],
      ["websocket/X.ts", "import * as Queue from \"effect/Queue\"\nQueue.take(queue)"],
      ["cli/demo.ts", "import { World } from \"../demo/World.ts\""]
    ]
    for (const [file, source] of allowed) assert.deepStrictEqual(violations(file, source), [], source)
  })
})
