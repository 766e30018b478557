/**
 * `import`: JSON lines on stdin, each an event, into the database.
 *
 * Lines go the way of every event (`Pipeline`), many at a time, and are committed in their order in one transaction per
 * batch: everything up to the line that is named when it stops is on disk. The same input again costs little, since what is
 * stored is known before its signature is checked; so "start again" is how an import is resumed. Quality rules are not
 * asked: what an operator imports is kept, but for requests to vanish that another relay would have to carry out (NIP-62).
 * Longer than other files: the judge, the writer and the tally of one run are read beside each other.
 */
import { Array as Arr, Clock, Effect, Layer, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import type { AdmissionOutcome } from "../../aggregation/admission/Admission.ts"
import * as Pipeline from "../../aggregation/admission/Pipeline.ts"
import * as WritePolicy from "../../aggregation/admission/WritePolicy.ts"
import { Settings } from "../../config/Settings.ts"
import { type CryptoError, Verifier } from "../../crypto/Verifier.ts"
import { Database, type DatabaseError, type DatabaseSender, type Outcome } from "../../database/Database.ts"
import * as Engine from "../../database/Engine.ts"
import { type Event, type EventLimits, eventOf } from "../../domain/Event.ts"
import { profileKind } from "../../domain/Kinds.ts"
import { factsOf, judge as rule } from "../../domain/Quality.ts"
import { ExitCode } from "../../lifecycle/Certificate.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import { StartError } from "../../lifecycle/StartError.ts"
import { escape } from "../../observability/Escape.ts"
import * as DataCommand from "../DataCommand.ts"
import { say, usage } from "../DataCommand.ts"
import * as Dump from "../Dump.ts"
import { listOf } from "../FilterArgument.ts"
import { flag, number } from "../flags.ts"
import { type Line, stdin } from "../Lines.ts"
import { flagsFor } from "../Root.ts"
import { verifierLayer } from "../verifierLayer.ts"

interface Options {
  /** Trusts ids and signatures: for a file that this program has exported. */
  readonly noVerify: boolean
  /** Names every line that is not kept, not only the first ones. */
  readonly showRejected: boolean
  /** Lines of one transaction. */
  readonly writeBatch: number
  /** Milliseconds after which a batch is written that is not full. */
  readonly debounceMillis: number
  /** Kinds to keep; undefined: all. */
  readonly kinds: ReadonlySet<number> | undefined
  /** Asks the rules about profiles, as far as an event answers them by itself. */
  readonly rules: boolean
}

/** Most lines of a batch, so that it stays a moment's work to verify and to write. */
const writeBatchMax = 10_000

/** Batches that are being verified while one is being written. */
const verifying = 2
/** Events that are judged together, and groups of them at a time. */
const togetherMax = 256
const groupsMax = 4
/** UTF-16 units of the events of one write. */
const unitsMax = 4 * 1024 * 1024
/** Lines that are named for what is wrong with them, unless all are asked for. */
const namedMax = 100
/** Milliseconds between two reports. */
const reportEvery = 2000

/** What is needed, in shutdown order. */
const components = (options: Pick<Options, "noVerify">) =>
  WritePolicy.layer.pipe(
    Layer.provideMerge(options.noVerify ? Engine.layer : Layer.provideMerge(verifierLayer, Engine.layer))
  )

interface Rejection {
  readonly line: number
  readonly reason: string
}

interface Candidate extends Pipeline.Entrant {
  readonly line: number
}

/** A batch of lines that has been looked at. */
interface Judged {
  readonly lines: ReadonlyArray<Line>
  readonly kept: ReadonlyArray<Candidate>
  readonly duplicates: number
  readonly rejections: ReadonlyArray<Rejection>
  /** Events of kinds that are not wanted. */
  readonly skipped: number
}

const eventOn = ({ problem, text }: Line, limits: EventLimits): Event | string => {
  if (text === undefined) return problem ?? "line is empty"
  let value: unknown
  try {
    // Each of several dumps in a row may begin with a byte order mark.
    value = JSON.parse(text.replace(/^\uFEFF/, ""))
  } catch {
    return "line is not JSON"
  }
  // What a relay was told, or has said.
  if (Array.isArray(value) && value[0] === "EVENT") value = value[value.length - 1]
  return eventOf(value, limits)
}

/** How an outcome that is neither `Saved` nor `Duplicate` reads. */
const reasons: Partial<Record<Outcome["_tag"], string>> = {
  Superseded: "a newer version is stored",
  Deleted: "its author asked for its removal",
  Expired: "it has expired",
  Ephemeral: "events of its kind are not stored"
}

/** Why a line is not kept; the gate's and the signature's own words are written for clients. */
const reasonOf = (outcome: AdmissionOutcome): string => {
  if (outcome._tag === "Rejected") return "it asks another relay to forget its author"
  if (outcome._tag === "Refused") return escape(outcome.reply, 200)
  if (outcome._tag === "Invalid") return outcome.detail.startsWith("id ") ? "id is wrong" : "signature is wrong"
  return reasons[outcome._tag as Outcome["_tag"]] ?? outcome._tag
}

/** What has become of the lines so far. */
class Tally {
  /** Everything up to this line is settled: stored, known, or rejected. */
  line = 0
  lines = 0
  added = 0
  duplicates = 0
  rejected = 0
  skipped = 0
  readonly addedByKind = new Map<number, number>()
  readonly byReason = new Map<string, number>()
  /** Counts without blank lines, in the words that other relays' tools use. */
  get summary(): string {
    const { added, duplicates, lines, rejected } = this
    return `Processed ${lines} lines. ${added} added, ${rejected} rejected, ${duplicates} dups`
  }
}

const groups = (kept: Judged["kept"]): ReadonlyArray<Judged["kept"]> => {
  const all: Array<Array<Judged["kept"][number]>> = []
  let units = 0
  for (const entry of kept) {
    const size = entry.event.content.length + 512
    if (all.length === 0 || units + size > unitsMax) {
      all.push([])
      units = 0
    }
    units += size
    all.at(-1)!.push(entry)
  }
  return all
}

const make = Effect.fnUntraced(function*(options: Options) {
  const settings = yield* Settings
  const { admission, limits, listKinds, relayUrl, rules } = settings
  const database = yield* Database
  const sender = yield* database.sender("import")
  // There is none where nothing is to be verified.
  const crypto = Option.getOrUndefined(yield* Effect.serviceOption(Verifier))
  const verifier = crypto === undefined ? undefined : yield* crypto.sender("import")
  const tally = new Tally()
  let named = 0

  const steps: Pipeline.Steps<Candidate, CryptoError | DatabaseError | MailboxClosed> = {
    policy: { admission, limits, listKinds, relayUrl, rules, stateOf: () => undefined },
    // Quality rules, and what they remember, are not asked.
    memory: undefined,
    previewAll: database.previewAll,
    verifyAll: verifier === undefined ? undefined : (events) =>
      Effect.map(
        verifier.verifyAll(events),
        (all) => all.map((verification) => ({ verification, isShared: false }))
      ),
    consult: (yield* WritePolicy.WritePolicy).consult,
    conclude: ({ event }) => Pipeline.keep(event)
  }

  /** Why the rules refuse a profile; undefined where they do not, or are not asked. */
  const ruling = (event: Event, now: number): string | undefined => {
    if (!options.rules || event.kind !== profileKind) return undefined
    const verdict = rule(factsOf(event, now, settings), settings)
    return verdict._tag === "Rejected" ? verdict.reason : undefined
  }

  const judge = Effect.fnUntraced(function*(lines: ReadonlyArray<Line>) {
    const rejections: Array<Rejection> = []
    const events: Array<Candidate> = []
    let skipped = 0
    const now = yield* nowSeconds
    for (const line of lines) {
      const event = eventOn(line, limits)
      const verdict = typeof event === "string" ? undefined : ruling(event, now)
      if (typeof event === "string") rejections.push({ line: line.number, reason: event })
      else if (options.kinds?.has(event.kind) === false) skipped++
      else if (verdict !== undefined) rejections.push({ line: line.number, reason: verdict })
      else events.push({ line: line.number, event, source: { by: "operator" } })
    }
    const judged = yield* Effect.forEach(
      Arr.chunksOf(events, togetherMax),
      (some) => Effect.flatMap(Pipeline.judgeMany(some, steps), Pipeline.decisionsOf),
      { concurrency: groupsMax }
    )
    const kept: Array<Candidate> = []
    let duplicates = 0
    // A plugin that fails says nothing about a line; the same input again goes on from there.
    const failure = judged.flat().find(({ outcome }) => outcome?._tag === "Failed")?.outcome
    if (failure?._tag === "Failed") {
      return yield* new StartError({ component: "import", message: failure.detail, exitCode: ExitCode.Unavailable })
    }
    judged.flat().forEach(({ outcome }, i) => {
      const entry = events[i] as Candidate
      if (outcome === undefined) kept.push(entry)
      else if (outcome._tag === "Duplicate") duplicates++
      else rejections.push({ line: entry.line, reason: reasonOf(outcome) })
    })
    return { lines, kept, duplicates, rejections, skipped } satisfies Judged
  })

  const reject = Effect.fnUntraced(function*({ line, reason }: Rejection) {
    tally.rejected++
    tally.byReason.set(reason, (tally.byReason.get(reason) ?? 0) + 1)
    if (!options.showRejected && ++named > namedMax) {
      if (named === namedMax + 1) yield* Effect.logWarning("further rejected lines are counted only")
      return
    }
    yield* Effect.logWarning("line rejected").pipe(Effect.annotateLogs({ line, reason }))
  })

  /** Not interrupted between the write and its place in the tally: what is stored is never told as not stored. */
  const store = Effect.fnUntraced(
    function*(sender: DatabaseSender, { duplicates, kept, lines, rejections, skipped }: Judged) {
      const refused = [...rejections]
      let known = duplicates
      for (const group of groups(kept)) {
        const outcomes = yield* sender.write(group.map(({ event }) => ({ _tag: "Save", event })))
        outcomes.forEach((outcome, i) => {
          const kind = group[i]!.event.kind
          if (outcome._tag === "Saved") {
            tally.added++
            tally.addedByKind.set(kind, (tally.addedByKind.get(kind) ?? 0) + 1)
          } else if (outcome._tag === "Duplicate") known++
          else refused.push({ line: group[i]!.line, reason: reasons[outcome._tag] ?? outcome._tag })
        })
      }
      tally.duplicates += known
      tally.skipped += skipped
      tally.lines += lines.length
      tally.line = lines.at(-1)?.number ?? tally.line
      for (const rejection of refused.toSorted((a, b) => a.line - b.line)) yield* reject(rejection)
    },
    Effect.uninterruptible
  )

  return { tally, judge, store: (judged: Judged) => store(sender, judged), bytesMax: limits.frameBytesMax }
})

/** Rates and counts now and then, for whoever waits. */
const progressOf = (tally: Tally, begun: number): Effect.Effect<void> => {
  let reported = begun
  return Effect.flatMap(Clock.currentTimeMillis, (now) => {
    if (now - reported < reportEvery) return Effect.void
    reported = now
    const { added, duplicates, line, lines, rejected } = tally
    const linesPerSecond = Math.round((lines * 1000) / (now - begun))
    return Effect.logInfo("importing").pipe(
      Effect.annotateLogs({ line, added, rejected, duplicates, linesPerSecond })
    )
  })
}

/** How far it got, whatever ended it. */
const conclude = Effect.fnUntraced(function*(tally: Tally, isWhole: boolean) {
  for (const [kind, count] of [...tally.addedByKind].toSorted(([a], [b]) => a - b)) {
    yield* say(`Added: ${count} of kind ${kind}`)
  }
  if (tally.skipped > 0) yield* say(`Skipped: ${tally.skipped} of other kinds`)
  for (const [reason, count] of tally.byReason) yield* say(`Rejected: ${count} × ${reason}`)
  yield* say(
    isWhole
      ? `Done. ${tally.summary}`
      : `Stopped after line ${tally.line}, up to which everything is stored. ${tally.summary}. ` +
        "The same input again goes on from there: what is stored is skipped."
  )
  if (isWhole && tally.added === 0) {
    yield* say(tally.lines === 0 ? "Nothing was added: there was nothing on stdin." : "Nothing was added.")
  }
})

/** What was typed; wrong where it is no number, or none that makes sense. */
const checked = Effect.fnUntraced(function*(
  { kindList, ...given }: Omit<Options, "kinds"> & { readonly kindList: Option.Option<string> }
) {
  if (given.writeBatch < 1 || given.writeBatch > writeBatchMax || given.debounceMillis < 1) {
    return yield* usage(`--write-batch takes 1 to ${writeBatchMax}, --debounce-millis 1 or more`)
  }
  const kinds = Option.map(kindList, (text) => listOf(text))
  if (Option.isSome(kinds) && !(kinds.value.length > 0 && kinds.value.every((kind) => /^[0-9]{1,5}$/.test(kind)))) {
    return yield* usage("--kinds is a list of numbers, separated by commas")
  }
  return {
    ...given,
    kinds: Option.getOrUndefined(Option.map(kinds, (all) => new Set(all.map(Number))))
  } satisfies Options
})

/** Reads stdin to its end. */
const importEvents = Effect.fn("Import.importEvents")(function*(options: Options) {
  if (options.noVerify) yield* Effect.logWarning("not verifying event IDs or signatures!")
  const { bytesMax, judge, store, tally } = yield* make(options)
  const progress = progressOf(tally, yield* Clock.currentTimeMillis)
  return yield* stdin(bytesMax, Dump.open).pipe(
    Stream.groupedWithin(options.writeBatch, options.debounceMillis),
    Stream.mapEffect(judge, { concurrency: verifying }),
    Stream.runForEach((judged) => Effect.andThen(store(judged), progress)),
    Effect.onExit((exit) => conclude(tally, exit._tag === "Success"))
  )
}, Effect.annotateLogs({ component: "import" }))

export const command = (host: ProcessHost) =>
  Command.make("import", {
    noVerify: flag("no-verify", "Trust ids and signatures, as those of an export."),
    showRejected: flag("show-rejected", "Name every line that is not kept, not only the first 100."),
    writeBatch: number("write-batch", 1000, `Lines per transaction, 1 to ${writeBatchMax}.`),
    debounceMillis: number(
      "debounce-millis",
      1000,
      "Milliseconds after which a batch is written though it is not full."
    ),
    kindList: Flag.String("kinds").pipe(
      Flag.withDescription("Kinds to store, separated by commas; others are skipped."),
      Flag.optional
    ),
    rules: flag("rules", "Ask the quality rules about profiles, as far as the event answers them by itself."),
    // What other relays' scripts pass for dumps of theirs: the field it speaks of is left out like any unknown one.
    fried: flag("fried", "").pipe(Flag.withHidden),
    ...flagsFor("VERIFIER_THREADS", "VERIFIER_ENGINE", "MAX_MESSAGE_BYTES", "MAX_EVENT_TAGS", "MAX_CONTENT_LENGTH")
  }, ({ settings, ...options }) =>
    DataCommand.run(
      host,
      { settings },
      { given: checked(options), components: components(options) },
      importEvents
    )).pipe(
      Command.withDescription(
        "Store events from stdin: JSON objects, one per line, or in arrays; gzip and zstd are unpacked. Ids and signatures are " +
          "checked; quality rules are asked with --rules only. " +
          "Stopped, it says up to which line everything is on disk; the same input again goes on from there."
      ),
      Command.withExamples([
        { command: "profile-aggregator import < events.jsonl" },
        {
          command: "profile-aggregator import --no-verify --kinds 0 < dump.jsonl.zst",
          description: "From a trusted dump"
        }
      ])
    )
