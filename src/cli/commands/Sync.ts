/**
 * `sync`: makes the database and a relay agree on what a filter finds (NIP-77, as its client).
 *
 * One loop takes what the relay says and decides what to send next, so nothing piles up: differences are settled before
 * more are asked for, uploads wait for their OKs, and one page of downloads is stored before the next is requested. What
 * comes down is checked like an import and kept without the quality rules; what goes up is the relay's to judge. A relay
 * that cannot reconcile is asked for all it has instead (`SyncPages`). Longer than other files: the loop and what it does
 * with each message are one state machine.
 */
import { Duration, Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { hash } from "node:crypto"
import * as Refusal from "../../aggregation/upstream/Refusal.ts"
import type { UpstreamMessage } from "../../aggregation/upstream/UpstreamMessage.ts"
import * as UpstreamSocket from "../../aggregation/upstream/UpstreamSocket.ts"
import { Settings } from "../../config/Settings.ts"
import { Verifier, type VerifierSender } from "../../crypto/Verifier.ts"
import { Archive } from "../../database/Archive.ts"
import { Database, type DatabaseSender, textOf } from "../../database/Database.ts"
import * as Engine from "../../database/Engine.ts"
import type { Event } from "../../domain/Event.ts"
import { type Filter, wireOf } from "../../domain/Filter.ts"
import { ItemSet } from "../../domain/negentropy/ItemSet.ts"
import { frameBytesMin, Initiator } from "../../domain/negentropy/Session.ts"
import { relayUrlOf } from "../../domain/RelayUrl.ts"
import { ExitCode } from "../../lifecycle/Certificate.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import { escape } from "../../observability/Escape.ts"
import * as DataCommand from "../DataCommand.ts"
import { usage } from "../DataCommand.ts"
import { CommandFailed, say } from "../DataCommand.ts"
import { filtersOf } from "../FilterArgument.ts"
import { flag, number } from "../flags.ts"
import { flagsFor } from "../Root.ts"
import { signer } from "../signer.ts"
import * as Stdout from "../Stdout.ts"
import { connect, type SyncConnection, SyncFailed } from "../SyncConnection.ts"
import { SyncPages } from "../SyncPages.ts"
import { verifierLayer } from "../verifierLayer.ts"

const directions = ["both", "down", "up", "none"] as const
type Direction = (typeof directions)[number]

interface Options {
  readonly url: string
  /** As the relay is told it, and as it is read here. */
  readonly filter: { readonly json: string; readonly decoded: Filter }
  readonly direction: Direction
  /** Bytes of a negentropy message that we send; 0: no limit. */
  readonly frameBytesMax: number
  /** Writes what either side lacks to stdout, `have,<id>` and `need,<id>` a line each. Nothing is exchanged then. */
  readonly printMissing: boolean
  /** Silence after which a relay that owes an answer is given up; may be infinite. */
  readonly timeout: Duration.Duration
}

const isDown = (direction: Direction) => direction === "both" || direction === "down"
const isUp = (direction: Direction) => direction === "both" || direction === "up"

/** Only what writes holds the file's lock. */
const readingComponents = Layer.provideMerge(UpstreamSocket.layer, Engine.archive)
const writingComponents = UpstreamSocket.layer.pipe(
  Layer.provideMerge(Engine.archive),
  Layer.provideMerge(verifierLayer),
  Layer.provideMerge(Engine.layer)
)

/** A relay that says nothing to the first message of a reconciliation for so long does not know what it is. */
const openingDeadline = Duration.seconds(15)

/** Events on their way up without an OK: new ones are sent once there are fewer than the least. */
const upMax = 100
const upMin = 50
/** Ids asked for at a time: as many events as any relay answers at once. */
const pageMax = 100
/** Differences that may wait before the relay is asked for more. */
const waitingMax = 5000
/** Differences of one run; a relay and a store that disagree on more take several. */
const foundMax = 2_000_000
const roundsMax = 100_000

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer")

/** Everything that the filter finds here. */
const itemsOf = Effect.fnUntraced(function*(filter: Filter) {
  const archive = yield* Archive
  const items = new ItemSet()
  yield* archive.walk([filter], "oldest first", (events) =>
    Effect.sync(() => {
      for (const { created_at, id } of events) items.insert(created_at, Buffer.from(id, "hex"))
    }))
  return items
})

/** What of the downloaded events is stored. */
interface Store {
  readonly database: DatabaseSender
  readonly verifier: VerifierSender
}

/** A REQ that is being answered: for these ids, or for whatever comes next of all the relay has. */
interface Download {
  readonly id: string
  readonly asked: ReadonlySet<string> | undefined
  readonly events: Array<Extract<UpstreamMessage, { readonly _tag: "Event" }>>
}

/** Events of one answer before the relay is taken for one that ignores limits. */
const answerMax = 10_000

/** Where a run stands. */
class Run {
  readonly have: Array<string> = []
  readonly need: Array<string> = []
  /** Found so far, of both kinds. */
  totalHave = 0
  totalNeed = 0
  /** The message that waits until there is room for what its answer will tell. */
  next: Uint8Array | undefined
  isReconciled = false
  /** Why the reconciliation ended before all differences were told. */
  problem: string | undefined
  /** Ids on their way up. */
  readonly rising = new Set<string>()
  /** The page that is being downloaded: what was asked for, and what has come. */
  page: Download | undefined
  pagesAsked = 0
  /** The relay has answered in the language of NIP-77. */
  isAnswered = false
  /** Instead of a reconciliation. */
  pages: SyncPages | undefined
  /** Who we are was said, which is said once. */
  isIntroduced = false
  /** Events that the relay has told of, and has not handed out when asked. */
  withheld = 0
  taken = 0
  refused = 0
  stored = 0
  rejected = 0

  get isDone(): boolean {
    return this.isReconciled && this.have.length === 0 && this.need.length === 0 && this.rising.size === 0 &&
      this.page === undefined
  }

  get summary(): string {
    return `Have ${this.totalHave}, need ${this.totalNeed}. Up: ${this.taken} taken, ${this.refused} refused. ` +
      `Down: ${this.stored} stored, ${this.rejected} not kept`
  }
}

/** There is more to do. */
const cutShort = (message: string) => new CommandFailed({ message, exitCode: ExitCode.CutShort })

const make = Effect.fnUntraced(function*(options: Options, connection: SyncConnection, store: Store | undefined) {
  const archive = yield* Archive
  const run = new Run()
  const items = yield* itemsOf(options.filter.decoded)
  yield* say(`Filter matches ${items.size} events`)
  const initiator = new Initiator(items.snapshot(), {
    sha256,
    frameBytesMax: options.frameBytesMax === 0 ? 1_000_000 : Math.max(frameBytesMin, options.frameBytesMax),
    roundsMax,
    foundMax
  })

  const print = (which: "have" | "need", ids: ReadonlyArray<string>) =>
    options.printMissing && ids.length > 0 ? Stdout.lines(ids.map((id) => `${which},${id}`)) : Effect.void

  /** Takes a message in, a slice at a time. */
  const reconcile = Effect.fnUntraced(function*(message: Uint8Array) {
    const slices = initiator.receive(message)
    for (;;) {
      const { done, value } = slices.next()
      if (done === true) {
        if (value._tag === "Message") run.next = value.bytes
        else {
          run.isReconciled = true
          run.problem = value._tag === "Problem" ? value.problem : undefined
          yield* connection.send(["NEG-CLOSE", "N"])
          yield* say(`Set reconcile complete. Have ${run.totalHave} need ${run.totalNeed}`)
        }
        return
      }
      run.totalHave += value.have.length
      run.totalNeed += value.need.length
      yield* print("have", value.have)
      yield* print("need", value.need)
      if (isUp(options.direction)) { for (const id of value.have) run.have.push(id) }
      if (isDown(options.direction)) { for (const id of value.need) run.need.push(id) }
      yield* Effect.yieldNow
    }
  })

  /** Not interrupted between the write and its count. */
  const keep = Effect.fnUntraced(function*({ database, verifier }: Store, events: ReadonlyArray<Event>) {
    const verifications = yield* Effect.forEach(events, verifier.verify, { concurrency: "unbounded" })
    const valid = events.filter((_, i) => verifications[i] === "Valid")
    run.rejected += events.length - valid.length
    if (valid.length < events.length) {
      yield* Effect.logWarning("forged events").pipe(Effect.annotateLogs({ count: events.length - valid.length }))
    }
    if (valid.length === 0) return
    const outcomes = yield* database.write(valid.map((event) => ({ _tag: "Save", event })))
    for (const { _tag } of outcomes) {
      if (_tag === "Saved") run.stored++
      else run.rejected++
    }
  }, Effect.uninterruptible)

  const refused = (reason: string) =>
    new CommandFailed({
      message: `${options.url} refuses to sync: ${escape(reason, 200)}`,
      exitCode: ExitCode.ComponentFailed
    })

  /** Says who we are to a relay that wants to know; `again` is what it has refused before. */
  const orIntroduce = <A, E, R>(reason: string, again: Effect.Effect<A, E, R>) => {
    if (run.isIntroduced || !Refusal.wantsIntroduction(reason)) return Effect.fail(refused(reason))
    run.isIntroduced = true
    const introduced = connection.introduce(Refusal.errorOf(reason)).pipe(
      Effect.catchTag("UpstreamError", ({ detail }) => Effect.fail(refused(detail))),
      Effect.timeoutOrElse({ duration: options.timeout, orElse: () => Effect.fail(refused(reason)) })
    )
    return Effect.andThen(introduced, again)
  }

  const open = Effect.suspend(() => {
    run.next = undefined
    const opening = Buffer.from(initiator.open()).toString("hex")
    return connection.sendText(`["NEG-OPEN","N",${options.filter.json},"${opening}"]`)
  })

  /** Asks for everything, as the relay does not compare. */
  const fallBack = Effect.fnUntraced(function*(reason: string) {
    yield* Effect.logWarning("relay does not reconcile, asking for everything").pipe(
      Effect.annotateLogs({ reason: escape(reason, 200) })
    )
    const now = yield* nowSeconds
    const { limit: _, ...filter } = options.filter.decoded
    run.pages = new SyncPages(filter, now)
  })

  /** Every difference is known. */
  const concludePages = Effect.fnUntraced(function*(pages: SyncPages) {
    yield* archive.walk([options.filter.decoded], "oldest first", (events) => {
      const lacking = events.map(({ id }) => id).filter((id) => !pages.theirs.has(id))
      run.totalHave += lacking.length
      if (isUp(options.direction)) { for (const id of lacking) run.have.push(id) }
      return print("have", lacking)
    })
    run.isReconciled = true
    if (pages.saturated > 0) run.problem = `${pages.saturated} seconds hold more events than the relay hands out`
    yield* say(`All pages read. Have ${run.totalHave} need ${run.totalNeed}`)
  })

  /** A page has come: of ids that were asked for, or of all there is. */
  const takePage = Effect.fnUntraced(function*(page: Download, finished: boolean) {
    run.page = undefined
    const { pages } = run
    if (page.asked !== undefined) {
      const { asked } = page
      const events = new Map(
        page.events.flatMap(({ event, id }) => event !== undefined && asked.has(id) ? [[id, event]] : [])
      )
      run.withheld += asked.size - events.size
      if (store !== undefined && events.size > 0) yield* keep(store, [...events.values()])
    } else if (pages !== undefined) {
      const fresh = pages.take(page.events, finished)
      const known = new Set((yield* archive.reader.query([{ ids: fresh.map(({ id }) => id) }], { limitMax: answerMax }))
        .events.map((event) => (JSON.parse(textOf(event)) as Event).id))
      const missing = fresh.filter(({ id }) => !known.has(id))
      run.totalNeed += missing.length
      yield* print("need", missing.map(({ id }) => id))
      if (store !== undefined && missing.length > 0) yield* keep(store, missing)
      if (pages.question === undefined) yield* concludePages(pages)
    }
  })

  const handle = Effect.fnUntraced(function*(message: UpstreamMessage) {
    const page = "subscription" in message && message.subscription === run.page?.id ? run.page : undefined
    const isOpening = !run.isAnswered && run.pages === undefined
    switch (message._tag) {
      case "NegMsg":
        if (message.subscription !== "N" || run.isReconciled || run.pages !== undefined) return undefined
        run.isAnswered = true
        return yield* reconcile(message.message)
      case "NegErr":
        return message.subscription === "N" && !run.isReconciled && run.pages === undefined
          ? yield* orIntroduce(message.reason, open)
          : undefined
      case "Ok":
        if (!run.rising.delete(message.id)) return undefined
        if (message.accepted) run.taken++
        else {
          run.refused++
          yield* Effect.logWarning("event not taken").pipe(
            Effect.annotateLogs({ eventId: message.id, reason: message.reason })
          )
        }
        return undefined
      case "Event":
        if (page === undefined) return undefined
        if (page.events.push(message) <= answerMax) return undefined
        return yield* new SyncFailed({ url: options.url, detail: "an answer without end" })
      case "Eose":
        return page === undefined ? undefined : yield* takePage(page, message.finished)
      case "Closed":
        if (page !== undefined) return yield* orIntroduce(message.reason, request(page.asked))
        if (message.subscription !== "N" || run.isReconciled || run.pages !== undefined) return undefined
        if (!isOpening) return yield* refused(message.reason)
        return Refusal.wantsIntroduction(message.reason)
          ? yield* orIntroduce(message.reason, open)
          : yield* fallBack(message.reason)
      case "Notice":
        yield* Effect.logWarning("relay says").pipe(Effect.annotateLogs({ notice: escape(message.text, 200) }))
        return isOpening ? yield* fallBack(message.text) : undefined
      default:
        return undefined
    }
  })

  /** Asks for these ids, or for the next page of everything. */
  const request = (asked: ReadonlySet<string> | undefined) =>
    Effect.suspend(() => {
      const filter = asked === undefined ? run.pages?.question : { ids: [...asked] }
      run.page = { id: `R${++run.pagesAsked}`, asked, events: [] }
      return connection.send(["REQ", run.page.id, filter])
    })

  const up = Effect.fnUntraced(function*() {
    if (run.have.length === 0 || run.rising.size >= upMin) return
    const ids = run.have.splice(0, upMax - run.rising.size)
    const { events } = yield* archive.reader.query([{ ids }], { limitMax: ids.length })
    for (const event of events) {
      const raw = textOf(event)
      run.rising.add((JSON.parse(raw) as Event).id)
      yield* connection.sendText(`["EVENT",${raw}]`)
    }
    yield* Effect.logInfo("sending").pipe(Effect.annotateLogs({ events: events.length, remaining: run.have.length }))
  })

  const down = Effect.fnUntraced(function*() {
    if (run.page !== undefined) return undefined
    if (run.pages?.question !== undefined) return yield* request(undefined)
    if (run.need.length === 0) return undefined
    const ids = run.need.splice(0, pageMax)
    yield* request(new Set(ids))
    yield* Effect.logInfo("fetching").pipe(Effect.annotateLogs({ events: ids.length, remaining: run.need.length }))
    return undefined
  })

  const more = Effect.fnUntraced(function*() {
    if (run.next === undefined || run.have.length + run.need.length > waitingMax) return
    const message = run.next
    run.next = undefined
    yield* connection.send(["NEG-MSG", "N", Buffer.from(message).toString("hex")])
  })

  /** What comes next. A relay that is silent to the opening is asked for pages; to anything else, given up. */
  const next = Effect.gen(function*() {
    const isOpening = !run.isAnswered && run.pages === undefined
    const patience = isOpening ? Duration.min(openingDeadline, options.timeout) : options.timeout
    const messages = yield* connection.receive(patience)
    if (messages.length > 0) return messages
    if (isOpening) {
      yield* fallBack("no answer")
      return messages
    }
    return yield* new SyncFailed({ url: options.url, detail: `silent for ${Duration.format(options.timeout)}` })
  })

  const loop = Effect.gen(function*() {
    yield* open
    while (!run.isDone) {
      for (const message of yield* next) yield* handle(message)
      // What was deleted meanwhile is neither sent nor awaited, so there may be more to send at once.
      do yield* up()
      while (run.have.length > 0 && run.rising.size < upMin)
      yield* down()
      yield* more()
    }
    if (run.problem !== undefined) {
      return yield* cutShort(`not everything could be compared (${run.problem}): run it again`)
    }
    if (run.withheld === 0) return undefined
    return yield* cutShort(`${run.withheld} events were needed and have not come`)
  })
  return { run, loop }
})

/** Until both sides agree, as far as the direction goes. */
const sync = Effect.fn("Sync.sync")(function*(options: Options) {
  const { limits } = yield* Settings
  const database = Option.getOrUndefined(yield* Effect.serviceOption(Database))
  const verifier = Option.getOrUndefined(yield* Effect.serviceOption(Verifier))
  const store = database === undefined || verifier === undefined
    ? undefined
    : { database: yield* database.sender("sync"), verifier: yield* verifier.sender("sync") }
  const connection = yield* connect({ url: options.url, limits, sign: yield* signer })
  const { loop, run } = yield* make(options, connection, store)
  yield* loop.pipe(
    Effect.onExit((exit) => say(`${exit._tag === "Success" ? "Done" : "Stopped"}. ${run.summary}`))
  )
}, Effect.annotateLogs({ component: "sync" }))

export const command = (host: ProcessHost) =>
  Command.make("sync", {
    url: Argument.String("url").pipe(Argument.withDescription("The relay: ws:// or wss://.")),
    filter: Flag.String("filter").pipe(
      Flag.withDescription("What to agree on: one filter as in a REQ. Default: {}, everything."),
      Flag.withDefault("{}")
    ),
    direction: Flag.Literals("dir", directions).pipe(
      Flag.withDescription(
        "both (unless told otherwise), down (fetch what is missing here), up (send what is missing there), or none (compare)."
      ),
      Flag.optional
    ),
    frameBytesMax: number("frame-size-limit", 60_000, "Bytes of a message of ours, which hex doubles; 0: no limit."),
    printMissing: flag(
      "print-missing",
      "Instead of exchanging anything, write what either side lacks to stdout: have,<id> or need,<id>, a line each."
    ),
    timeout: number("timeout", 60, "Seconds of silence after which a relay that owes an answer is given up; 0: never."),
    ...flagsFor(
      "RELAY_KEY_PATH",
      "VERIFIER_THREADS",
      "VERIFIER_ENGINE",
      "MAX_MESSAGE_BYTES",
      "MAX_EVENT_TAGS",
      "MAX_CONTENT_LENGTH"
    )
  }, ({ filter, frameBytesMax, printMissing, settings, timeout, url, ...own }) => {
    const direction = Option.getOrElse(own.direction, (): Direction => printMissing ? "none" : "both")
    const given = Effect.gen(function*() {
      if (printMissing && direction !== "none") {
        return yield* usage("--print-missing exchanges nothing: --dir can only be none")
      }
      const [decoded, ...others] = yield* filtersOf(filter)
      if (decoded === undefined || others.length > 0) return yield* usage("sync takes one filter")
      const relay = /^wss?:\/\//i.test(url) ? relayUrlOf(url) : undefined
      if (relay === undefined) return yield* usage("the URL must be ws:// or wss://")
      const json = JSON.stringify(wireOf(decoded))
      return {
        url: relay,
        filter: { json, decoded },
        direction,
        frameBytesMax,
        printMissing,
        timeout: timeout === 0 ? Duration.infinity : Duration.seconds(timeout)
      } satisfies Options
    })
    return isDown(direction)
      ? DataCommand.run(host, { settings }, { given, components: writingComponents }, sync)
      : DataCommand.run(host, { settings }, { given, components: readingComponents }, sync)
  }).pipe(
    Command.withDescription(
      "Exchange with a relay what one of both lacks, of what a filter finds (NIP-77). What comes down is checked and kept; " +
        "quality rules are not asked. With --dir up or none it works beside a running service."
    ),
    Command.withExamples([
      { command: "profile-aggregator sync wss://relay.example --filter '{\"kinds\":[0]}' --dir down" }
    ])
  )
