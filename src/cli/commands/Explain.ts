/**
 * `explain`: why the profile of an author is kept here or is not: every rule, the fact it goes by, what it says.
 *
 * By what the database holds: the profile that is stored or waits to be checked, and what was found out about it. With
 * `ask`, by the service's own code, which asks upstreams for the newest profile, its picture's host, and the author's
 * relays. Nothing is written either way.
 */
import { Effect, Layer } from "effect"
import { Argument, Command } from "effect/cli"
import * as Grace from "../../aggregation/admission/Grace.ts"
import { Moderation } from "../../aggregation/admission/Moderation.ts"
import * as RetryQueue from "../../aggregation/admission/RetryQueue.ts"
import { Verdicts } from "../../aggregation/admission/Verdicts.ts"
import { network } from "../../aggregation/Aggregation.ts"
import * as Examiner from "../../aggregation/evidence/Examiner.ts"
import { NameOwners } from "../../aggregation/evidence/NameOwners.ts"
import { Nip05Documents } from "../../aggregation/evidence/Nip05Documents.ts"
import { Picture } from "../../aggregation/evidence/Picture.ts"
import { Posts } from "../../aggregation/evidence/Posts.ts"
import * as RememberedPictures from "../../aggregation/evidence/RememberedPictures.ts"
import { RelayPool } from "../../aggregation/upstream/RelayPool.ts"
import { Settings } from "../../config/Settings.ts"
import { Verifier } from "../../crypto/Verifier.ts"
import * as Archive from "../../database/Archive.ts"
import { Database, textOf } from "../../database/Database.ts"
import * as Engine from "../../database/Engine.ts"
import { type Event, newestFirst } from "../../domain/Event.ts"
import { pubkeyOf } from "../../domain/PublicKey.ts"
import { npubOf } from "../../domain/PublicKey.ts"
import { type Facts, judge, type Verdict } from "../../domain/Quality.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import { escape } from "../../observability/Escape.ts"
import * as DataCommand from "../DataCommand.ts"
import { flag } from "../flags.ts"
import { quietServiceFlags } from "../Root.ts"
import { type RuleRow, ruleTable, timeOf } from "../RuleTable.ts"
import * as Stdout from "../Stdout.ts"
import { verifierLayer } from "../verifierLayer.ts"

const file = Layer.provideMerge(Archive.databaseLayer, Engine.archive)

const remembered = Layer.provideMerge(Layer.mergeAll(Verdicts.layer, Moderation.layer, RememberedPictures.layer), file)

/** Nobody is asked. */
const unasked = Layer.succeed(Nip05Documents, {
  lookUp: () => Effect.succeed({ _tag: "Unanswered", reason: "not checked yet", retryAfter: 0 })
})

/** What is needed to explain by what is known. */
const components = Layer.provideMerge(Layer.provide(NameOwners.layer, unasked), remembered)

/** What is needed to find out. */
const askingComponents = Posts.layer.pipe(
  Layer.provideMerge(NameOwners.layer),
  Layer.provideMerge(Nip05Documents.layer),
  Layer.provideMerge(RelayPool.layer),
  Layer.provideMerge(Picture.layer),
  Layer.provideMerge(network),
  Layer.provideMerge(verifierLayer),
  Layer.provideMerge(remembered)
)

/** A profile of the author, and where it was found. */
interface Candidate {
  readonly event: Event
  readonly from: string
}

const stored = (pubkey: string) =>
  Database.use((database) => database.query([{ authors: [pubkey], kinds: [0], limit: 1 }], { limitMax: 1 })).pipe(
    Effect.map(({ events }) =>
      events.map((raw): Candidate => ({ event: JSON.parse(textOf(raw)) as Event, from: "stored here" }))
    )
  )

const waiting = Effect.fnUntraced(function*(pubkey: string) {
  const all = yield* RetryQueue.space.all(yield* Database)
  return all.flatMap(({ due, value }): ReadonlyArray<Candidate> => {
    const event = value?.event as Event | undefined
    if (value === undefined || event?.pubkey !== pubkey || event.kind !== 0) return []
    const when = due === null ? "" : `, next check ${timeOf(due / 1000)}`
    return [{ event, from: `waiting: ${value.reason}, ${value.attempts} attempts${when}` }]
  })
})

/** The newest profile that an upstream has and that its author has signed. */
const asked = Effect.fnUntraced(function*(pubkey: string) {
  const { outboxRelays, upstreams } = yield* Settings
  const pool = yield* RelayPool
  const verifier = yield* (yield* Verifier).sender("explain")
  const filter = { authors: [pubkey], kinds: [0], limit: 1 }
  const answers = yield* Effect.forEach(
    [...new Set([...upstreams, ...outboxRelays])],
    (url) =>
      Effect.flatMap(Effect.result(pool.ask(url, [filter])), (answer) =>
        Effect.gen(function*() {
          if (answer._tag === "Failure") {
            yield* Effect.logWarning("relay did not answer").pipe(
              Effect.annotateLogs({ upstream: url, reason: answer.failure.message })
            )
            return []
          }
          const found: Array<Candidate> = []
          for (const event of answer.success.slice(0, 4)) {
            if (event.pubkey !== pubkey || event.kind !== 0) continue
            if ((yield* verifier.verify(event)) === "Valid") found.push({ event, from: `at ${url}` })
          }
          return found
        })),
    { concurrency: 8 }
  )
  return answers.flat()
})

const marks = { ok: "ok", rejected: "NO", unanswered: "?", skipped: "-" } as const

const lineOf = ({ fact, reason, rule, status }: RuleRow): string =>
  `${marks[status].padEnd(3)} ${rule.padEnd(13)} ${escape(fact, 100)}${reason === undefined ? "" : `: ${reason}`}`

const verdictLine = (verdict: Verdict): string =>
  verdict._tag === "Accepted"
    ? "accepted: nothing known speaks against it"
    : `${verdict._tag.toLowerCase()}: ${verdict.reason}`

/** What the operator has decided about this author, event or kind, which no rule can change. */
const decided = Effect.fnUntraced(function*({ id, kind, pubkey }: Event) {
  const { isTrusted, rules } = yield* Moderation
  const names = { pubkey, event: id, kind: String(kind) }
  const bans = (["pubkey", "event", "kind"] as const).flatMap((subject) =>
    rules(subject, "banned").filter(({ name }) => name === names[subject])
  )
  return [
    ...bans.map(({ subject, text }) =>
      `operator    this ${subject} is banned${text === "" ? "" : `: ${escape(text, 100)}`}`
    ),
    ...(isTrusted(pubkey) ? ["operator    the author is allowed: no rule is asked"] : [])
  ]
})

/** What else is remembered about this profile and its author. */
const memories = Effect.fnUntraced(function*(event: Event) {
  const verdict = yield* (yield* Verdicts).recall(event)
  const grace = yield* Grace.space.get(yield* Database, event.pubkey)
  return [
    ...(verdict === undefined ? [] : [`remembered  ${verdict._tag.toLowerCase()}: ${verdict.reason}`]),
    ...(grace === undefined
      ? []
      : [
        grace.due === null
          ? "grace       over: the last accepted version was removed for a newer, rejected one"
          : `grace       a newer version was rejected; this one is served until ${timeOf(grace.due / 1000)}`
      ])
  ]
})

const explained = Effect.fnUntraced(function*<E, R>(
  pubkey: string,
  found: ReadonlyArray<Candidate>,
  gather: (event: Event) => Effect.Effect<Facts, E, R>
) {
  const settings = yield* Settings
  const [newest] = found.toSorted((a, b) => newestFirst(a.event, b.event))
  const head = [`author      ${npubOf(pubkey)}`, `            ${pubkey}`]
  if (newest === undefined) {
    return yield* Stdout.lines([...head, "profile     none is stored, and none waits to be checked"])
  }
  const { event, from } = newest
  const others = found.filter((candidate) => candidate.event.id !== event.id)
  const facts = yield* gather(event)
  return yield* Stdout.lines([
    ...head,
    `profile     ${event.id}, ${from}`,
    ...others.map((other) => `older       ${other.event.id}, ${other.from}`),
    ...(yield* decided(event)),
    ...(settings.admission === "open" ? ["admission   open: no rule is asked, any valid event is kept"] : []),
    "",
    ...ruleTable(facts, settings).map(lineOf),
    "",
    `verdict     ${verdictLine(judge(facts, settings))}`,
    ...(yield* memories(event))
  ])
})

/** By what is known here. */
const explain = Effect.fn("Explain.explain")(function*(pubkey: string) {
  const found = [...(yield* stored(pubkey)), ...(yield* waiting(pubkey))]
  yield* explained(pubkey, found, Examiner.recall)
})

/** By what can be found out now. */
const explainAsking = Effect.fn("Explain.explainAsking")(function*(pubkey: string) {
  const found = [...(yield* stored(pubkey)), ...(yield* waiting(pubkey)), ...(yield* asked(pubkey))]
  yield* explained(pubkey, found, Examiner.inquire)
})

export const command = (host: ProcessHost) =>
  Command.make("explain", {
    author: Argument.String("pubkey").pipe(Argument.withDescription("Hex or npub.")),
    ask: flag("ask", "Ask upstreams, the picture's host and the author's relays, as the service would."),
    ...quietServiceFlags
  }, ({ ask, author, ...own }) => {
    const pubkey = pubkeyOf(author)
    const given = pubkey === undefined
      ? Effect.fail(DataCommand.usage("the public key must be 64 hex characters or npub1… with a correct checksum"))
      : Effect.succeed(pubkey)
    return ask
      ? DataCommand.run(host, own, { given, components: askingComponents }, explainAsking)
      : DataCommand.run(host, own, { given, components }, explain)
  }).pipe(
    Command.withDescription(
      "Say why an author's profile is kept or is not: every rule, the fact it goes by, and what it says. Reads what is " +
        "stored and remembered; with --ask, finds out anew. Changes nothing."
    ),
    Command.withExamples([{ command: "profile-aggregator explain npub1… --ask" }])
  )
