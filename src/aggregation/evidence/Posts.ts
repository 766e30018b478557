/**
 * Has this author really posted?
 *
 * Relays are asked for one event of `PROOF_KINDS` by the author: first those that the operator configured, then those the
 * author writes to (kind 10002, NIP-65), as stored here or as found on the way. What a relay sends is proof only if it
 * is what was asked for and its signature is valid: a relay can hide that somebody has posted, but cannot make it up. That
 * there is nothing is believed when several relays say so, or all of them where there are fewer, and one of the author's
 * own among them where any are known.
 */
import { Clock, Context, Deferred, Effect, Layer, Metric, Option, Random, Schema } from "effect"
import { madeOf, Settings, type SettingsShape } from "../../config/Settings.ts"
import { type CryptoError, Verifier } from "../../crypto/Verifier.ts"
import { Database, type DatabaseError, type RecordWrite, textOf } from "../../database/Database.ts"
import { spread } from "../../domain/Backoff.ts"
import { type BridgeEvidence, bridgeEvidenceOf } from "../../domain/Bridge.ts"
import { type Event, newestFirst } from "../../domain/Event.ts"
import { type Filter, matchesAny } from "../../domain/Filter.ts"
import { kindsWith, relayListKind } from "../../domain/Kinds.ts"
import type { Facts } from "../../domain/Quality.ts"
import { relayListOf } from "../../domain/RelayList.ts"
import { aliasOf, byAlias } from "../../domain/RelayUrl.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import { nowSeconds } from "../../lifecycle/Now.ts"
import { aggregationOutboxAsks } from "../../observability/Metrics.ts"
import * as Space from "../Space.ts"
import { RelayPool } from "../upstream/RelayPool.ts"

/** Milliseconds for which it is believed, before the spread of a fifth either way. */
const day = 24 * 3_600_000
const foundFresh = 30 * day
const noneFresh = day

/** Milliseconds for all relays together. */
export const proveTimeout = 15_000

/** Milliseconds for which other relays may still bring lists once there is proof. */
const foundWait = 300

/** Milliseconds after which an unanswered question makes sense again. */
const retryAfter = 60_000

/** Relays asked about one author: configured ones, and the author's own. */
const configuredMax = 8
const ownMax = 4

export interface Proof {
  readonly textNotes: NonNullable<Facts["textNotes"]>
  /** Of any event that was met. */
  readonly bridge: BridgeEvidence | undefined
  /** Verified, the newest of each kind. */
  readonly companions: ReadonlyArray<Event>
  readonly operations: ReadonlyArray<RecordWrite>
}

export class Posts extends Context.Service<Posts, {
  /** Bounded in time; may be interrupted at any moment. */
  readonly prove: (pubkey: string) => Effect.Effect<Proof, DatabaseError | CryptoError | MailboxClosed>
}>()("profile-aggregator/aggregation/evidence/Posts") {}

/** What was found out, by author; due when it is to be found out again. */
export const space = Space.versioned("proof", {
  /** What it was asked by: other kinds are another question. */
  kinds: Schema.Array(Schema.Int),
  /** How many were looked for; absent: one. */
  min: Schema.optional(Schema.Int),
  found: Schema.Boolean,
  /** How many relays had to say that there is nothing; absent where there is something. */
  quorum: Schema.optional(Schema.Int),
  /** Lists were met on the way; whether they were kept depended on the profile. */
  lists: Schema.optional(Schema.Boolean),
  bridge: Schema.optional(
    Schema.Literals(["proxy tag", "bridge label", "bridge domain", "bridged address", "feed name"])
  )
})
type Stored = Space.Value<typeof space>

/** What is asked, by the settings of one moment. */
type Question = Pick<SettingsShape, "listKinds" | "proofKinds" | "proofMin" | "proofQuorum" | "rules">

/** What relays have said about one author so far. */
interface Findings {
  readonly question: Question
  readonly proofs: Map<string, Event>
  readonly companions: Map<number, Event>
  /** Aliases of relays that were asked, and of those that answered, and had no proof. */
  readonly asked: Set<string>
  readonly empty: Set<string>
}

const keepNewest = ({ companions }: Findings, event: Event) => {
  const known = companions.get(event.kind)
  if (known === undefined || newestFirst(event, known) < 0) companions.set(event.kind, event)
}

/** What was found out and is still believed, if it was by the same question. Asks nobody. */
const recall = Effect.fnUntraced(function*(
  database: Database["Service"],
  pubkey: string,
  { proofKinds, proofMin, proofQuorum }: Omit<Question, "listKinds" | "rules">
) {
  const kept = yield* space.get(database, pubkey)
  const stored = (kept?.due ?? 0) > (yield* Clock.currentTimeMillis) ? kept?.value : undefined
  if (stored === undefined || String(stored.kinds) !== String(proofKinds)) return undefined
  const isSame = (stored.min ?? 1) === proofMin && (stored.found || stored.quorum === proofQuorum)
  return isSame ? stored : undefined
})

/** The same as facts, for whoever asks before anybody else is asked. */
export const recallPosts = Effect.fnUntraced(function*(pubkey: string) {
  const { proofKinds, proofMin, proofQuorum } = yield* Settings
  const stored = yield* recall(yield* Database, pubkey, { proofKinds, proofMin, proofQuorum })
  if (stored === undefined) return { textNotes: undefined, bridge: undefined }
  const textNotes: Proof["textNotes"] = { _tag: "Found", count: stored.found ? proofMin : 0 }
  return { textNotes, bridge: stored.bridge }
})

const counted = (outcome: keyof typeof aggregationOutboxAsks) => Metric.update(aggregationOutboxAsks[outcome], 1)

const filtersOf = (pubkey: string, { listKinds, proofKinds, proofMin }: Question): ReadonlyArray<Filter> => {
  const { companions } = kindsWith(listKinds)
  return [
    { authors: [pubkey], kinds: proofKinds, limit: proofMin },
    { authors: [pubkey], kinds: companions, limit: companions.length }
  ]
}

const isProven = ({ proofs, question }: Findings) => proofs.size >= question.proofMin

const make = Effect.fnUntraced(function*() {
  const settings = yield* Settings
  const database = yield* Database
  const pool = yield* RelayPool
  const verifier = yield* (yield* Verifier).sender("aggregation/posts")
  const configured = madeOf(
    () => settings.now,
    ({ outboxRelays, upstreams }) => [...byAlias([...outboxRelays, ...upstreams]).values()].slice(0, configuredMax)
  )

  /** Sorts what a relay sent; nothing that was not asked for, is of the future, or was forged. */
  const sift = Effect.fnUntraced(function*(
    findings: Findings,
    filters: ReadonlyArray<Filter>,
    events: ReadonlyArray<Event>
  ) {
    const { listKinds, proofKinds, proofMin } = findings.question
    const { companions } = kindsWith(listKinds)
    const latest = (yield* nowSeconds) + settings.limits.createdAtFutureMax
    let valid = 0
    for (const event of events.slice(0, proofMin + 2 * companions.length)) {
      if (!matchesAny(filters, event) || event.created_at > latest) continue
      if ((yield* verifier.verify(event)) !== "Valid") continue
      valid++
      if (proofKinds.includes(event.kind)) findings.proofs.set(event.id, event)
      if (companions.includes(event.kind)) keepNewest(findings, event)
    }
    return valid
  })

  /** Asks one relay; succeeds with whether it had proof. A relay that fails is one that did not answer. */
  const askOne = Effect.fnUntraced(function*(findings: Findings, url: string, filters: ReadonlyArray<Filter>) {
    const alias = aliasOf(url)
    findings.asked.add(alias)
    const events = yield* Effect.option(pool.ask(url, filters))
    if (Option.isNone(events)) return yield* counted("no answer")
    const before = findings.proofs.size
    const valid = yield* sift(findings, filters, events.value)
    // Who sends nothing but forgeries has not answered.
    if (valid === 0 && events.value.length > 0) return yield* counted("forged")
    findings.empty.add(alias)
    return yield* counted(findings.proofs.size > before ? "proof" : "nothing")
  })

  /** Asks relays side by side until one of them has proof, and a moment longer, or all are done. */
  const askAll = Effect.fnUntraced(function*(
    findings: Findings,
    urls: ReadonlyArray<string>,
    filters: ReadonlyArray<Filter>
  ) {
    const found = yield* Deferred.make<void>()
    const all = Effect.forEach(
      urls.filter((url) => !findings.asked.has(aliasOf(url))),
      (url) =>
        Effect.tap(
          askOne(findings, url, filters),
          () => isProven(findings) ? Deferred.succeed(found, undefined) : Effect.void
        ),
      { concurrency: "unbounded", discard: true }
    )
    yield* Effect.raceFirst(all, Effect.andThen(Deferred.await(found), Effect.sleep(foundWait)))
  })

  const storedList = (pubkey: string) =>
    Effect.map(
      database.query([{ authors: [pubkey], kinds: [relayListKind], limit: 1 }], { limitMax: 1 }),
      ({ events: [raw] }) => raw === undefined ? undefined : JSON.parse(textOf(raw)) as Event
    )

  /** Succeeds with whether finding nothing would mean something. */
  const ask = Effect.fnUntraced(function*(pubkey: string, findings: Findings) {
    const filters = filtersOf(pubkey, findings.question)
    yield* askAll(findings, configured(), filters)
    if (isProven(findings)) return false
    const list = [yield* storedList(pubkey), findings.companions.get(relayListKind)]
      .filter((event) => event !== undefined).toSorted(newestFirst)[0]
    const own = list === undefined ? [] : relayListOf(list).write
    yield* askAll(findings, own.slice(0, ownMax), filters)
    // The author's own relays know best, wherever they were asked.
    const hasOwnAnswered = own.length === 0 || own.some((url) => findings.empty.has(aliasOf(url)))
    // Where there are fewer relays than that, all of them have to say it.
    const quorum = Math.min(findings.question.proofQuorum, findings.asked.size)
    return hasOwnAnswered && quorum > 0 && findings.empty.size >= quorum
  })

  const remember = Effect.fnUntraced(function*(pubkey: string, stored: Stored) {
    const now = yield* Clock.currentTimeMillis
    const fresh = spread(stored.found ? foundFresh : noneFresh, yield* Random.next)
    return space.put(pubkey, stored, now + Math.round(fresh))
  })

  /** Proof is there, and the author's lists were left behind with an earlier version of the profile. */
  const isListless = Effect.fnUntraced(function*(pubkey: string, { found, lists }: Stored) {
    if (!found || lists !== true) return false
    const filter = { authors: [pubkey], kinds: settings.listKinds, limit: 1 }
    const { events } = yield* database.query([filter], { limitMax: 1 })
    return events.length === 0
  })

  const investigate = Effect.fnUntraced(function*(pubkey: string, question: Question) {
    const findings: Findings = {
      question,
      proofs: new Map(),
      companions: new Map(),
      asked: new Set(),
      empty: new Set()
    }
    const isConclusive = Option.getOrElse(yield* Effect.timeoutOption(ask(pubkey, findings), proveTimeout), () => false)
    const companions = [...findings.companions.values()]
    const bridge = [...findings.proofs.values(), ...companions]
      .map((event) => bridgeEvidenceOf(event, undefined, question.rules)).find((evidence) => evidence !== undefined)
    return { findings, isConclusive, companions, bridge }
  })

  const prove = Effect.fn("Posts.prove")(function*(pubkey: string) {
    const question = settings.now
    const { proofKinds, proofMin, proofQuorum } = question
    const remembered = yield* recall(database, pubkey, question)
    if (remembered !== undefined) {
      const met = (yield* isListless(pubkey, remembered)) ? yield* investigate(pubkey, question) : undefined
      return {
        textNotes: { _tag: "Found", count: remembered.found ? proofMin : 0 },
        bridge: remembered.bridge ?? met?.bridge,
        companions: met?.companions ?? [],
        operations: []
      } satisfies Proof
    }
    const { bridge, companions, findings, isConclusive } = yield* investigate(pubkey, question)
    const isFound = isProven(findings)
    if (!isFound && !isConclusive) {
      return {
        textNotes: { _tag: "Unanswered", reason: "outbox relays did not answer", retryAfter },
        bridge,
        companions,
        operations: []
      } satisfies Proof
    }
    const stored = {
      kinds: proofKinds,
      ...(proofMin === 1 ? {} : { min: proofMin }),
      found: isFound,
      ...(isFound ? {} : { quorum: proofQuorum }),
      ...(companions.some(({ kind }) => question.listKinds.includes(kind)) ? { lists: true } : {}),
      ...(bridge === undefined ? {} : { bridge })
    } as const
    return {
      textNotes: { _tag: "Found", count: findings.proofs.size },
      bridge,
      companions,
      operations: [yield* remember(pubkey, stored)]
    } satisfies Proof
  })

  return Posts.of({ prove })
})

export const layer: Layer.Layer<Posts, MailboxClosed, Database | RelayPool | Settings | Verifier> = Layer.effect(
  Posts,
  make()
)
