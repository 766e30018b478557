/**
 * Events that have ended the process: named on disk while they are in work, and not touched again.
 *
 * A process that ends without a certificate was killed: by the watchdog, when something held the event loop, by the kernel, by
 * a crash of native code, or by somebody. Once, that may be anything. After two in a row the next process is careful: of what
 * upstreams and the retry queue bring it takes one event at a time, and names it in a file before it touches it. If that one
 * ends the process too, the process after it sets the event aside: as a line of a file that nobody but the operator changes.
 *
 * The name is for the next process, not for a power cut, so it is not synced. A process that is not careful names nothing.
 */
import { Context, Effect, Layer, Option, Schema, Semaphore } from "effect"
import * as fs from "node:fs"
import { Settings, type SettingsShape, stateFileOf } from "../../config/Settings.ts"
import type { Event } from "../../domain/Event.ts"
import { Shutdown } from "../../lifecycle/Shutdown.ts"
import { messageOf } from "../../observability/messageOf.ts"

/** Ends without a certificate, in a row, after which a process is careful. */
export const endsMax = 2

export interface Quarantine {
  /** One event at a time, each of them named. */
  readonly isCareful: boolean
  /** Is any event set aside? */
  readonly holdsAny: boolean
  /** Is this one, by its id? */
  readonly holds: (id: string) => boolean
  /** Does something with an event; where the process is careful, with no other one meanwhile, and the event is named before. */
  readonly alone: <A, E, R>(event: Event, work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const Quarantine = Context.Reference<Quarantine>("profile-aggregator/aggregation/admission/Quarantine", {
  defaultValue: () => ({ isCareful: false, holdsAny: false, holds: () => false, alone: (_event, work) => work })
})

type Place = Pick<SettingsShape, "databasePath" | "stateDir">

/** `starts`: since the last certificate, as a number. `inWork`: one event, or nothing. `setAside`: an event in each line. */
const filesOf = (place: Place) => ({
  starts: stateFileOf(place, ".starts"),
  inWork: stateFileOf(place, ".in-work"),
  setAside: stateFileOf(place, ".set-aside.jsonl")
})

/** Empty where there is none. */
const textOf = (path: string): string => {
  try {
    return fs.readFileSync(path, "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return ""
    throw error
  }
}

/** One that was set aside, by what it is told by. `line` is the whole event. */
export interface SetAside {
  readonly id: string
  readonly pubkey: string
  readonly kind: number
  readonly line: string
}

const decode = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ id: Schema.String, pubkey: Schema.String, kind: Schema.Int }))
)
/** A line that was cut off names nobody: the event in it had not been touched yet. */
const eventsIn = (text: string): ReadonlyArray<SetAside> =>
  text.split("\n").flatMap((line) => Option.toArray(decode(line)).map((named) => ({ ...named, line })))

export interface Condition {
  /** Of the service, since the last of its processes that ended with a certificate; one of them may be running. */
  readonly starts: number
  readonly setAside: ReadonlyArray<SetAside>
  /** Where they are kept. */
  readonly file: string
}

/** What is on disk, for whoever only looks. */
export const look = (place: Place): Condition => {
  const files = filesOf(place)
  return { starts: Number(textOf(files.starts)) || 0, setAside: eventsIn(textOf(files.setAside)), file: files.setAside }
}

/** All of the line, or nothing of it: half of one would spoil the next. */
const append = (path: string, { line }: SetAside): void => {
  const fd = fs.openSync(path, "a", 0o600)
  const { size } = fs.fstatSync(fd)
  try {
    fs.writeFileSync(fd, `${line}\n`)
    fs.fsyncSync(fd)
  } catch (error) {
    fs.ftruncateSync(fd, size)
    throw error
  } finally {
    fs.closeSync(fd)
  }
}

/** What a start finds. `problem`: why the next one will not know of it. */
interface Begun {
  readonly starts: number
  readonly culprit: SetAside | undefined
  readonly ids: ReadonlySet<string>
  readonly problem: string | undefined
}

/** Counts this start, and sets aside what was in work when the last process ended without a certificate. */
const begin = (place: Place): Begun => {
  const files = filesOf(place)
  let starts = 0
  let culprit: SetAside | undefined
  const ids = new Set<string>()
  try {
    const found = look(place)
    for (const { id } of found.setAside) ids.add(id)
    starts = found.starts
    if (starts > 0) [culprit] = eventsIn(textOf(files.inWork))
    if (culprit !== undefined && !ids.has(culprit.id)) {
      ids.add(culprit.id)
      append(files.setAside, culprit)
    }
    fs.rmSync(files.inWork, { force: true })
    fs.writeFileSync(files.starts, `${starts + 1}\n`, { mode: 0o600 })
    return { starts, culprit, ids, problem: undefined }
  } catch (error) {
    // A full disk, above all: it may still be read from.
    return { starts, culprit, ids, problem: messageOf(error) }
  }
}

const certified = (place: Place) => {
  const files = filesOf(place)
  for (const path of [files.inWork, files.starts]) fs.rmSync(path, { force: true })
}

const make = Effect.fnUntraced(function*() {
  const settings = yield* Settings
  const { journal } = yield* Shutdown
  const files = filesOf(settings)
  const { culprit, ids, problem, starts } = yield* Effect.sync(() => begin(settings))
  if (problem !== undefined) {
    yield* Effect.logWarning("this start is not counted: nobody will know if it ends without a certificate").pipe(
      Effect.annotateLogs({ why: problem })
    )
  }
  journal.onCertified(() => certified(settings))
  const isCareful = starts >= endsMax
  if (culprit !== undefined) {
    const { id, kind, pubkey } = culprit
    yield* Effect.logError("set aside: the last process ended while this event was in work").pipe(
      Effect.annotateLogs({ id, kind, pubkey, file: files.setAside })
    )
  }
  if (isCareful) {
    yield* Effect.logWarning(
      "ends without a certificate in a row: events of upstreams and the retry queue are taken one at a time until an orderly stop"
    ).pipe(Effect.annotateLogs({ ends: starts }))
  }
  const one = Semaphore.makeUnsafe(1)
  // Where it could not be read or moved on, what was in work before stays named.
  const file = isCareful && problem === undefined
    ? yield* Effect.acquireRelease(
      Effect.option(Effect.try({ try: () => fs.openSync(files.inWork, "w", 0o600), catch: messageOf })),
      (fd) => Effect.sync(() => Option.isSome(fd) ? fs.closeSync(fd.value) : undefined)
    )
    : Option.none<number>()

  const write = (text: string) =>
    Effect.ignore(Effect.try({
      try: () => {
        if (Option.isNone(file)) return
        fs.ftruncateSync(file.value)
        fs.writeSync(file.value, text, 0)
      },
      catch: messageOf
    }))

  const named = <A, E, R>(event: Event, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    one.withPermits(1)(Effect.acquireUseRelease(write(`${JSON.stringify(event)}\n`), () => work, () => write("")))

  return {
    isCareful,
    holdsAny: ids.size > 0,
    holds: (id: string) => ids.has(id),
    alone: isCareful ? named : <A, E, R>(_event: Event, work: Effect.Effect<A, E, R>) => work
  } satisfies Quarantine
})

/** Over the folder that this instance has for itself (`config/StateFolder`). */
export const layer: Layer.Layer<never, never, Settings | Shutdown> = Layer.effect(Quarantine, make())
