/**
 * Cuts the power at any operation of a recorded run, and looks at what is left: the file opens, is whole, and holds every
 * event whose `OK true` had left by then. And the order itself: each `OK true` leaves after the sync of its own event.
 */
import { Effect, Exit, Result } from "effect"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Dice from "../../src/demo/Dice.ts"
import * as Flood from "../support/Flood.ts"
import * as Service from "../support/service.ts"
import { CutDisk } from "./CutDisk.ts"
import { storedIn } from "./StoredEvents.ts"
import * as Trace from "./Trace.ts"

export interface Outcome {
  readonly runs: number
  readonly images: number
  /** Images that the service itself was started on. */
  readonly started: number
  /** `OK true` frames in the traces. */
  readonly told: number
  readonly syncs: number
  /** Acknowledged before the cut, and not on the disk after it. */
  readonly lost: number
  /** `OK true` that left before the sync of its event. */
  readonly early: number
  readonly violations: ReadonlyArray<string>
}

/** Runs the service under load and stops it, with everything it asked of the kernel. */
const record = Effect.fnUntraced(function*(folder: string, name: string, execArgv: ReadonlyArray<string>) {
  const service = yield* Trace.start({ folder, execArgv })
  const floods = yield* Effect.forEach(
    [0, 1, 2],
    (n) => Flood.start(service.url, Flood.noteStream(`${name}, client ${n}`), [1, 8, 64][n] ?? 1)
  )
  const answered = yield* Flood.firstAnswered(floods, 150)
  const { code, operations } = yield* service.stop
  yield* Effect.forEach(floods, (flood) => flood.ended)
  const told = new Set(operations.flatMap((operation) => operation._tag === "Told" ? operation.ids : []))
  const heard = floods.flatMap(({ answers }) => [...answers].filter(([, all]) => all.includes(true)).map(([id]) => id))
  return { code, operations, answered, unseen: heard.filter((id) => !told.has(id)).length }
}, Effect.scoped)

/** Each `OK true` against the log: its event was written to it, and a sync ended after that and before the frame left. */
const orderOf = (operations: ReadonlyArray<Trace.Operation>) => {
  /** Ids that a write has brought to the log, and those that a sync has made safe. */
  const written = new Set<string>()
  const safe = new Set<string>()
  const early: Array<string> = []
  let syncs = 0
  let told = 0
  for (const operation of operations) {
    if (operation._tag === "Write" && operation.file.endsWith("-wal")) {
      for (const [, id = ""] of operation.bytes.toString("latin1").matchAll(/\{"id":"([0-9a-f]{64})"/gu)) {
        written.add(id)
      }
    } else if (operation._tag === "Sync" && operation.file.endsWith("-wal")) {
      syncs++
      for (const id of written) safe.add(id)
      written.clear()
    } else if (operation._tag === "Told") {
      told += operation.ids.length
      early.push(...operation.ids.filter((id) => !safe.has(id)))
    }
  }
  return { early, syncs, told }
}

const write = (path: string, files: ReadonlyMap<string, Buffer>) => {
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path)
  for (const [name, content] of files) writeFileSync(join(path, name), content)
}

/** A file cut while it was being created has a journal, which SQLite works off only where it may write. */
const isUnborn = (files: ReadonlyMap<string, Buffer>): boolean => (files.get("profiles.db-journal")?.length ?? 0) > 0

/** Leaves the image as it is, for the service to be started on. */
const read = (path: string, files: ReadonlyMap<string, Buffer>) => {
  write(path, files)
  if (!isUnborn(files)) return storedIn(join(path, "profiles.db"))
  const copy = `${path}, recovered`
  write(copy, files)
  const db = new DatabaseSync(join(copy, "profiles.db"))
  db.prepare("PRAGMA schema_version").get()
  db.close()
  return storedIn(join(copy, "profiles.db"))
}

/** The service itself on an image: it starts, stops in order, and has lost nothing. */
const serveOn = Effect.fnUntraced(function*(folder: string, execArgv: ReadonlyArray<string>) {
  const service = yield* Service.start({ env: { ADMISSION: "open", LOG_LEVEL: "Info" }, folder, execArgv })
  yield* service.listening
  const { code } = yield* service.stop()
  return { code, ids: storedIn(service.databasePath).ids }
}, Effect.scoped)

export const powerCut = Effect.fnUntraced(function*(options: {
  readonly runs: number
  readonly images: number
  readonly seed: number
  /** Node's own flags for the service. */
  readonly execArgv?: ReadonlyArray<string>
  readonly say?: (line: string) => void
}) {
  const { execArgv = [], images, runs, seed } = options
  const home = yield* Service.folder
  const violations: Array<string> = []
  const total = { images: 0, started: 0, told: 0, syncs: 0, lost: 0, early: 0 }
  for (let n = 1; n <= runs; n++) {
    const dice = Dice.make(seed * 7919 + n)
    const folder = join(home, `run ${n}`)
    mkdirSync(folder)
    const recorded = yield* Effect.result(record(folder, `seed ${seed}, run ${n}`, execArgv))
    if (Result.isFailure(recorded)) {
      violations.push(`run ${n}: ${recorded.failure.message}`)
      continue
    }
    const { answered, code, operations, unseen } = recorded.success
    if (!answered) violations.push(`run ${n}: ${Flood.silence}`)
    if (code !== 0) violations.push(`run ${n}: code ${code}`)
    if (unseen > 0) violations.push(`run ${n}: ${unseen} answers that clients saw are not in the trace`)
    const order = orderOf(operations)
    violations.push(...order.early.map((id) => `run ${n}: OK true of ${id} left before its sync`))
    total.early += order.early.length
    total.told += order.told
    total.syncs += order.syncs

    // Cuts are spread over all operations, several to one where there are fewer of them.
    const cuts = Array.from({ length: images }, () => dice.between(1, operations.length)).toSorted((a, b) => a - b)
    const disk = new CutDisk()
    const told = new Set<string>()
    let at = 0
    for (const [i, cut] of cuts.entries()) {
      for (; at < cut; at++) {
        const operation = operations[at] as Trace.Operation
        if (operation._tag === "Told") { for (const id of operation.ids) told.add(id) }
        else disk.apply(operation)
      }
      const files = disk.images(dice)
      if (!files.has("profiles.db")) continue
      total.images++
      const where = `run ${n}, cut after operation ${cut} of ${operations.length}`
      const path = join(home, "image")
      const exit = yield* Effect.exit(Effect.sync(() => read(path, files)))
      if (Exit.isFailure(exit)) {
        violations.push(`${where}: the file does not open: ${String(exit.cause)}`)
        continue
      }
      const lost = [...told].filter((id) => !exit.value.ids.has(id))
      total.lost += lost.length
      violations.push(...exit.value.damage.map((line) => `${where}: ${line}`))
      if (lost.length > 0) violations.push(`${where}: ${lost.length} acknowledged events are lost`)
      if (i % 100 !== 50 && !isUnborn(files)) continue
      total.started++
      const served = yield* Effect.result(serveOn(path, execArgv))
      if (Result.isFailure(served)) {
        violations.push(`${where}: the service on it: ${served.failure.message}`)
        continue
      }
      const { code, ids } = served.success
      const gone = [...told].filter((id) => !ids.has(id))
      if (code !== 0 || gone.length > 0) {
        violations.push(`${where}: the service on it: code ${code}, ${gone.length} lost`)
      }
    }
    options.say?.(
      `run ${n}: ${operations.length} operations, ${order.told} OK true, ${cuts.length} cuts, ${total.lost} lost`
    )
  }
  return { runs, violations, ...total } satisfies Outcome
}, Effect.scoped)

export const summaryOf = (outcome: Outcome, seed: number): string =>
  [
    `powercut: ${outcome.images} images of ${outcome.runs} runs (the service was started on ${outcome.started})`,
    `${outcome.lost} acknowledged events lost`,
    `${outcome.told} OK true and ${outcome.syncs} syncs, ${outcome.early} OK true before their sync`,
    `${outcome.violations.length} violations`,
    `seed ${seed}`
  ].join(", ")
