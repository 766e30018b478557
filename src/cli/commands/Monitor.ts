/**
 * `monitor`: subscriptions on stdin, matching events on stdout as they are committed.
 *
 * Whoever commits them: the log of the file is read by sequence number through a connection that cannot write, every
 * `lookEvery` milliseconds. An event that was replaced before the next look is not seen, nor are those that are never
 * stored (NIP-01, kinds 20000 to 29999).
 *
 * Two dialects:
 *
 * - `["REQ",id,filter,…]` and `["CLOSE",id]` as to a relay: what is committed from then on comes as `["EVENT",id,event]`,
 *   until the command is stopped.
 * - `["sub",connection,id,filters]`, `["removeSub",connection,id]`, `["closeConn",connection]`,
 *   `["interest",connection,id]`, as relay test suites write them: when stdin ends, everything stored that the interest
 *   matches comes in the order of the log, and the command ends.
 */
import { Effect, Stream } from "effect"
import { Command } from "effect/cli"
import { Archive } from "../../database/Archive.ts"
import * as Engine from "../../database/Engine.ts"
import type { Event } from "../../domain/Event.ts"
import { type Filter, matchesAny } from "../../domain/Filter.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import * as DataCommand from "../DataCommand.ts"
import { usage } from "../DataCommand.ts"
import { decode } from "../FilterArgument.ts"
import { type Line, stdin } from "../Lines.ts"
import * as Stdout from "../Stdout.ts"

/** Milliseconds between two looks at the log: the most that monitoring adds to an event's way. */
const lookEvery = 100

/** Events of one look, and subscriptions at a time. */
const eventsMax = 500
const subscriptionsMax = 100_000
/** Bytes of one line. */
const lineBytesMax = 1024 * 1024

interface Subscription {
  /** Undefined in the dialect of a relay's clients. */
  readonly connection: number | undefined
  readonly id: string
  readonly filters: ReadonlyArray<Filter>
}

/** What is subscribed to now. */
class Monitors {
  readonly subscriptions = new Map<string, Subscription>()
  interest: string | undefined

  static key(connection: number | undefined, id: string): string {
    return connection === undefined ? `REQ ${id}` : `${connection} ${id}`
  }

  open(subscription: Subscription): void {
    this.subscriptions.set(Monitors.key(subscription.connection, subscription.id), subscription)
  }

  close(connection: number | undefined, id: string): void {
    this.subscriptions.delete(Monitors.key(connection, id))
  }

  closeAll(connection: number): void {
    for (const [key, subscription] of this.subscriptions) {
      if (subscription.connection === connection) this.subscriptions.delete(key)
    }
  }
}

type Command =
  | { readonly _tag: "Open"; readonly connection: number | undefined; readonly id: string; readonly filters: unknown[] }
  | { readonly _tag: "Close"; readonly connection: number | undefined; readonly id: string }
  | { readonly _tag: "CloseAll" | "Unknown"; readonly connection: number }
  | { readonly _tag: "Interest"; readonly connection: number; readonly id: string }

const unknown: Command = { _tag: "Unknown", connection: 0 }

const commandOf = (text: string): Command => {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch {
    return unknown
  }
  if (!Array.isArray(message)) return unknown
  const [verb, first, second, third] = message as ReadonlyArray<unknown>
  if (typeof first === "string" && first !== "") {
    if (verb === "CLOSE") return { _tag: "Close", connection: undefined, id: first }
    return verb === "REQ" && message.length > 2
      ? { _tag: "Open", connection: undefined, id: first, filters: message.slice(2) }
      : unknown
  }
  if (typeof first !== "number") return unknown
  if (verb === "closeConn") return { _tag: "CloseAll", connection: first }
  if (typeof second !== "string") return unknown
  if (verb === "removeSub") return { _tag: "Close", connection: first, id: second }
  if (verb === "interest") return { _tag: "Interest", connection: first, id: second }
  if (verb !== "sub") return unknown
  return { _tag: "Open", connection: first, id: second, filters: Array.isArray(third) ? third : [third] }
}

/** One line of stdin. Fails (64) with its number for what is no message. */
const handle = Effect.fnUntraced(function*(monitors: Monitors, { number, text }: Line) {
  const command = commandOf(text ?? "")
  switch (command._tag) {
    case "Open": {
      const filters = yield* Effect.forEach(command.filters, decode)
      monitors.open({ connection: command.connection, id: command.id, filters })
      if (monitors.subscriptions.size > subscriptionsMax) return yield* usage("too many subscriptions")
      return yield* Effect.logDebug("subscription opened").pipe(Effect.annotateLogs({ subscription: command.id }))
    }
    case "Close":
      monitors.close(command.connection, command.id)
      return yield* Effect.logDebug("subscription closed").pipe(Effect.annotateLogs({ subscription: command.id }))
    case "CloseAll":
      return monitors.closeAll(command.connection)
    case "Interest":
      monitors.interest = Monitors.key(command.connection, command.id)
      return undefined
    default:
      return yield* usage(`line ${number} of stdin is no message that monitor knows`)
  }
})

/** What one event is announced as: a line for each subscription that it matches. */
const announcements = (monitors: Monitors, raw: string): ReadonlyArray<string> => {
  const event = JSON.parse(raw) as Event
  const lines: Array<string> = []
  for (const { connection, filters, id } of monitors.subscriptions.values()) {
    if (connection === undefined && matchesAny(filters, event)) lines.push(`["EVENT",${JSON.stringify(id)},${raw}]`)
  }
  return lines
}

/** Everything stored that the interest matches, in the order of the log. */
const replay = Effect.fnUntraced(function*(monitors: Monitors, key: string) {
  const archive = yield* Archive
  const filters = monitors.subscriptions.get(key)?.filters ?? []
  for (let seq = 0;;) {
    const events = yield* archive.after(seq, eventsMax)
    yield* Stdout.lines(
      events.flatMap(({ raw }) => matchesAny(filters, JSON.parse(raw) as Event) ? [raw] : [])
    )
    if (events.length < eventsMax) return
    seq = events.at(-1)!.seq
    yield* Effect.yieldNow
  }
})

/** Announces commits as they are seen; never ends. */
const follow = Effect.fnUntraced(function*(monitors: Monitors, from: number) {
  const archive = yield* Archive
  for (let seq = from;;) {
    const events = yield* archive.after(seq, eventsMax)
    yield* Stdout.lines(events.flatMap(({ raw }) => announcements(monitors, raw)))
    seq = events.at(-1)?.seq ?? seq
    if (events.length < eventsMax) yield* Effect.sleep(lookEvery)
  }
})

const monitor = Effect.fn("Monitor.monitor")(function*() {
  const archive = yield* Archive
  const monitors = new Monitors()
  const listen = Effect.gen(function*() {
    yield* Stream.runForEach(stdin(lineBytesMax), (line) => handle(monitors, line))
    if (monitors.interest !== undefined) return yield* replay(monitors, monitors.interest)
    // Whoever pipes subscriptions in wants their events.
    return yield* monitors.subscriptions.size > 0 ? Effect.never : Effect.void
  })
  yield* Effect.raceFirst(listen, follow(monitors, yield* archive.seq))
})

export const command = (host: ProcessHost) =>
  Command.make(
    "monitor",
    {},
    () => DataCommand.run(host, DataCommand.none, { components: Engine.archive, isEndless: true }, () => monitor())
  ).pipe(
    Command.withDescription(
      `Write events that match subscriptions on stdin, one message per line, as they are committed by whatever process: ` +
        `looks every ${lookEvery} ms.`
    ),
    Command.withExamples([
      {
        command: "echo '[\"REQ\",\"new\",{\"kinds\":[0]}]' | profile-aggregator monitor",
        description: "Follow new profiles"
      }
    ])
  )
