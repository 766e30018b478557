/** Who may import whom. A rule that turns out wrong is changed here, in the same commit as the code that needs it. */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"

/** What lies beneath the components. */
const foundation = ["domain/", "lifecycle/", "observability/", "config/"]

/** Of the components below: which engine answers is nobody's business. */
const contracts = ["database/Database.ts", "database/Spaces.ts", "crypto/Verifier.ts"]

/** Of aggregation, for those who submit events. */
const admission = [
  "aggregation/admission/Admission.ts",
  "aggregation/admission/Moderation.ts",
  "aggregation/evidence/Rules.ts"
]

const commandLine = [
  ...foundation,
  "package.json",
  "fetch/",
  "crypto/",
  "aggregation/",
  "websocket/",
  "database/Archive.ts",
  "database/Copy.ts",
  "database/Database.ts",
  "database/Engine.ts",
  "database/Repair.ts"
]

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
  { files: ["pages/"], may: ["domain/", "lifecycle/Report.ts"], packages: "any" },
  // What programs may ask, as schemas and nothing else.
  { files: ["api/"], may: [], packages: "any" },
  { files: ["observability/"], may: ["domain/"], packages: "any" },
  { files: ["lifecycle/"], may: ["observability/", "domain/Time.ts"], packages: "any" },
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
      "database/Copy.ts",
      "database/Database.ts",
      "database/Ingester.ts",
      "database/Repair.ts",
      "database/Room.ts",
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
  // What the rooms of aggregation share; then the rooms, each over the one before it, and the thin top over all of them.
  {
    files: ["aggregation/Space.ts"],
    may: ["database/Database.ts", "database/Spaces.ts"],
    packages: "any"
  },
  { files: ["aggregation/upstream/"], may: [...foundation, "crypto/Verifier.ts"], packages: "any" },
  {
    files: ["aggregation/evidence/"],
    may: [...foundation, ...contracts, "fetch/", "aggregation/Space.ts", "aggregation/upstream/"],
    packages: "any"
  },
  {
    files: ["aggregation/admission/"],
    may: [...foundation, ...contracts, "fetch/", "aggregation/Space.ts", "aggregation/evidence/"],
    packages: "any"
  },
  {
    files: ["aggregation/harvest/"],
    may: [
      ...foundation,
      ...contracts,
      "fetch/",
      "aggregation/Space.ts",
      "aggregation/upstream/",
      "aggregation/evidence/",
      "aggregation/admission/"
    ],
    packages: "any"
  },
  { files: ["aggregation/"], may: [...foundation, ...contracts, "fetch/", "aggregation/"], packages: "any" },
  // What people and programs see: over the contracts of what lies below, and nothing of the server that asks it.
  {
    files: ["web/"],
    may: [
      ...foundation,
      ...contracts,
      "aggregation/Dossier.ts",
      "aggregation/Space.ts",
      "aggregation/admission/Moderation.ts",
      "aggregation/evidence/PictureStore.ts",
      "aggregation/harvest/HarvestStatus.ts",
      "api/",
      "pages/",
      "package.json"
    ],
    packages: "any"
  },
  // One connection, and what is served over HTTP, know nothing of each other; the server puts them together.
  { files: ["websocket/client/"], may: [...foundation, ...contracts, ...admission], packages: "any" },
  {
    files: ["websocket/http/"],
    may: [
      ...foundation,
      ...contracts,
      ...admission,
      "pages/",
      "web/WebApp.ts",
      "package.json"
    ],
    packages: "any"
  },
  {
    files: ["websocket/"],
    may: [
      ...foundation,
      ...contracts,
      ...admission,
      "web/WebApp.ts",
      "websocket/client/",
      "websocket/http/",
      "package.json"
    ],
    packages: "any"
  },
  // Where the components meet. Which engine keeps the events is nobody's business but `Engine`'s.
  {
    files: ["main.ts"],
    may: [
      "config/",
      "database/Engine.ts",
      "crypto/WorkerVerifier.ts",
      "aggregation/Aggregation.ts",
      "web/Web.ts",
      "websocket/RelayServer.ts"
    ],
    packages: "any"
  },
  { files: ["serve.ts"], may: foundation, packages: "any" },
  {
    files: ["demo/"],
    may: [
      ...foundation,
      "aggregation/admission/Admission.ts",
      "aggregation/admission/Retries.ts",
      "aggregation/harvest/HarvestStatus.ts",
      "websocket/RelayServer.ts",
      "serve.ts"
    ],
    packages: "any"
  },
  // What makes the package; nothing of the program imports it.
  { files: ["build/"], may: [], packages: "any" },
  // A command each, over what commands share; one file knows all of them.
  { files: ["cli/commands/"], may: [...commandLine, "main.ts", "serve.ts", "demo/", "cli/"], packages: "any" },
  { files: ["cli/Cli.ts"], may: [...commandLine, "cli/"], packages: "any" },
  { files: ["cli/"], may: commandLine, packages: "any" },
  { files: ["entry.js"], may: ["lifecycle/", "cli/Cli.ts"], packages: "any" }
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

/** Modules of ours that a module imports, relative to `src/`. */
const ownImportsOf = (file: string, source: string): ReadonlyArray<string> =>
  importsOf(source).filter(({ from }) => from.startsWith(".")).map(({ from }) =>
    resolve(file, from).replace(/^src\//, "")
  )

/** Some way that leads back to where it began, or nothing. */
const circleIn = (arrows: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<string> => {
  const done = new Set<string>()
  const walk = (at: string, way: ReadonlyArray<string>): ReadonlyArray<string> => {
    if (way.includes(at)) return [...way.slice(way.indexOf(at)), at]
    if (done.has(at)) return []
    for (const next of arrows.get(at) ?? []) {
      const circle = walk(next, [...way, at])
      if (circle.length > 0) return circle
    }
    done.add(at)
    return []
  }
  for (const start of arrows.keys()) {
    const circle = walk(start, [])
    if (circle.length > 0) return circle
  }
  return []
}

const roomOf = (file: string): string => rowOf(file)?.files.join() ?? file

const violations = (file: string, source: string): ReadonlyArray<string> => {
  const row = rowOf(file)
  if (row === undefined) return ["stands in no row of the table"]
  const strangers = ownImportsOf(file, source)
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

  it("has no row that nothing stands in", () => {
    for (const row of table) assert.isTrue(files.some((file) => rowOf(file) === row), row.files.join())
  })

  const imports = new Map(files.map((file) => [file, ownImportsOf(file, readFileSync(new URL(file, root), "utf8"))]))

  it("has no circle of files", () => assert.deepStrictEqual(circleIn(imports), []))

  it("has no circle of rooms, so that nothing imports upwards", () => {
    const rooms = Map.groupBy(imports, ([file]) => roomOf(file))
    assert.deepStrictEqual(
      circleIn(
        new Map(Array.from(rooms, ([room, all]) => {
          const others = all.flatMap(([, own]) => own.filter((path) => rowOf(path) !== undefined).map(roomOf))
          return [room, others.filter((other) => other !== room)]
        }))
      ),
      []
    )
  })

  it("has at most ten files and rooms at the top of aggregation", () => {
    const top = files.filter((file) => file.startsWith("aggregation/")).map((file) => file.split("/")[1])
    assert.isAtMost(new Set(top).size, 10)
  })
})

describe("circles", () => {
  it("are found wherever they begin, and what leads to one is no part of it", () => {
    assert.deepStrictEqual(circleIn(new Map([["a", ["b"]], ["b", ["c", "d"]], ["c", []], ["d", ["b"]]])), [
      "b",
      "d",
      "b"
    ])
    assert.deepStrictEqual(circleIn(new Map([["a", ["a"]]])), ["a", "a"])
  })

  it("are none where two ways lead to the same place", () => {
    assert.deepStrictEqual(circleIn(new Map([["a", ["b", "c"]], ["b", ["d"]], ["c", ["d"]], ["d", []]])), [])
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
    ["utils/X.ts", "", "stands in no row of the table"],
    [
      "observability/X.ts",
      "import type { SettingsShape } from \"../config/Settings.ts\"",
      "imports config/Settings.ts"
    ],
    ["config/X.ts", "import { GuardedFetch } from \"../fetch/GuardedFetch.ts\"", "imports fetch/GuardedFetch.ts"],
    ["fetch/X.ts", "import { Database } from \"../database/Database.ts\"", "imports database/Database.ts"],
    [
      "aggregation/Space.ts",
      "import { Examiner } from \"./evidence/Examiner.ts\"",
      "imports aggregation/evidence/Examiner.ts"
    ],
    [
      "aggregation/upstream/X.ts",
      "import type { Posts } from \"../evidence/Posts.ts\"",
      "imports aggregation/evidence/Posts.ts"
    ],
    [
      "aggregation/evidence/X.ts",
      "import { Grace } from \"../admission/Grace.ts\"",
      "imports aggregation/admission/Grace.ts"
    ],
    [
      "aggregation/admission/X.ts",
      "import { session } from \"../harvest/HarvestSession.ts\"",
      "imports aggregation/harvest/HarvestSession.ts"
    ],
    [
      "aggregation/admission/X.ts",
      "import { RelayPool } from \"../upstream/RelayPool.ts\"",
      "imports aggregation/upstream/RelayPool.ts"
    ],
    ["aggregation/harvest/X.ts", "export * from \"../Housekeeping.ts\"", "imports aggregation/Housekeeping.ts"],
    ["websocket/client/X.ts", "import { Routes } from \"../http/Routes.ts\"", "imports websocket/http/Routes.ts"],
    [
      "websocket/http/X.ts",
      "import { make } from \"../client/Connection.ts\"",
      "imports websocket/client/Connection.ts"
    ],
    ["websocket/client/X.ts", "import { layer } from \"../RelayServer.ts\"", "imports websocket/RelayServer.ts"],
    ["serve.ts", "import { demo } from \"./demo/Demo.ts\"", "imports demo/Demo.ts"],
    ["main.ts", "import { serve } from \"./serve.ts\"", "imports serve.ts"],
    ["demo/X.ts", "import { run } from \"../cli/Cli.ts\"", "imports cli/Cli.ts"],
    ["cli/X.ts", "import { command } from \"./commands/Serve.ts\"", "imports cli/commands/Serve.ts"],
    [
      "cli/commands/X.ts",
      "import { open } from \"../../database/sqlite/EventFile.ts\"",
      "imports database/sqlite/EventFile.ts"
    ],
    ["entry.js", "await import(\"./main.ts\")", "imports main.ts"]
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
      ["cli/commands/X.ts", "import { Population } from \"../../demo/Population.ts\""],
      ["aggregation/harvest/X.ts", "import { Posts } from \"../evidence/Posts.ts\""]
    ]
    for (const [file, source] of allowed) assert.deepStrictEqual(violations(file, source), [], source)
  })
})
