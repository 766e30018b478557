/**
 * What is known of an author beyond the events themselves, for whoever shows it: the `explain` command, the pages, the API.
 * Contacts nobody: what nobody has found out yet is missing.
 */
import { Context, Effect, Layer } from "effect"
import { Settings } from "../config/Settings.ts"
import { Database, type DatabaseError, textOf } from "../database/Database.ts"
import { type Event, newestFirst } from "../domain/Event.ts"
import { profileKind } from "../domain/Kinds.ts"
import { nip05NameOf, nip05TextOf } from "../domain/Nip05.ts"
import { pictureUrlOf } from "../domain/PictureUrl.ts"
import { type Facts, factsOf, judge, type Verdict } from "../domain/Quality.ts"
import { type RuleRow, ruleTable, timeOf } from "../domain/RuleTable.ts"
import { secondsOf } from "../domain/Time.ts"
import { escape } from "../observability/Escape.ts"
import * as Grace from "./admission/Grace.ts"
import { Moderation } from "./admission/Moderation.ts"
import * as RetryQueue from "./admission/RetryQueue.ts"
import { Verdicts } from "./admission/Verdicts.ts"
import * as Examiner from "./evidence/Examiner.ts"
import * as NameOwners from "./evidence/NameOwners.ts"
import { type PictureRecord, PictureStore } from "./evidence/PictureStore.ts"

/** A profile of an author, and where it is. */
export interface Candidate {
  readonly event: Event
  /** In words: `stored here`, `waiting: …`. */
  readonly from: string
  readonly isStored: boolean
}

export interface Explanation {
  readonly pubkey: string
  /** The newest profile that is known; nothing else is said where there is none. */
  readonly profile: Candidate | undefined
  readonly older: ReadonlyArray<Candidate>
  readonly rules: ReadonlyArray<RuleRow>
  readonly verdict: Verdict | undefined
  /** What the operator has decided, which no rule can change. */
  readonly decided: ReadonlyArray<string>
  /** What else is remembered, by what it is about. */
  readonly memories: ReadonlyArray<readonly [about: "remembered" | "grace", text: string]>
}

/** What is known of a NIP-05 name. */
export interface NameKnown {
  /** Undefined while nobody could tell. */
  readonly verified: boolean | undefined
  /** When the domain said so: Unix seconds. */
  readonly checkedAt: number | undefined
}

/** The stored profile of an author, if there is one. */
export const stored = Effect.fnUntraced(function*(pubkey: string) {
  const { query } = yield* Database
  const { events } = yield* query([{ authors: [pubkey], kinds: [profileKind], limit: 1 }], { limitMax: 1 })
  return events.map((raw): Candidate => ({ event: JSON.parse(textOf(raw)), from: "stored here", isStored: true }))
})

/** Of a NIP-05 name as it stands in the author's profile; undefined where it is none. */
export const nameKnownOf = Effect.fnUntraced(function*(pubkey: string, nip05: string) {
  const database = yield* Database
  const name = nip05NameOf(nip05)
  if (name === undefined) return undefined
  const text = nip05TextOf(name)
  const owned = yield* NameOwners.space.get(database, pubkey)
  const check = (yield* NameOwners.checkSpace.get(database, pubkey))?.value
  const said = check?.name === text ? check.said : undefined
  return {
    verified: owned?.value === text ? true : said === undefined || said === "verified" ? undefined : false,
    checkedAt: check?.name === text && check.at !== undefined ? secondsOf(check.at) : undefined
  } satisfies NameKnown
})

/** Those that wait to be checked. */
export const waiting = Effect.fnUntraced(function*(pubkey: string) {
  const all = yield* RetryQueue.space.all(yield* Database)
  return all.flatMap(({ due, value }): ReadonlyArray<Candidate> => {
    const event = value?.event as Event | undefined
    if (value === undefined || event?.pubkey !== pubkey || event.kind !== profileKind) return []
    const when = due === null ? "" : `, next check ${timeOf(due / 1000)}`
    return [{ event, from: `waiting: ${value.reason}, ${value.attempts} attempts${when}`, isStored: false }]
  })
})

const decisionsOn = Effect.fnUntraced(function*(event: Event) {
  const { id, kind, pubkey } = event
  const { isTakenDown, isTrusted, rules } = yield* Moderation
  const { pictureUrl } = factsOf(event, event.created_at, yield* Settings)
  const names = { pubkey, event: id, kind: String(kind) }
  const bans = (["pubkey", "event", "kind"] as const).flatMap((subject) =>
    rules(subject, "banned").filter(({ name }) => name === names[subject])
  )
  return [
    ...bans.map(({ subject, text }) => `this ${subject} is banned${text === "" ? "" : `: ${escape(text, 100)}`}`),
    ...(isTakenDown(pictureUrl) ? ["the picture is taken down: it is neither looked at nor shown"] : []),
    ...(isTrusted(pubkey) ? ["the author is allowed: no rule is asked"] : [])
  ]
})

const memoriesOf = Effect.fnUntraced(function*(event: Event) {
  const verdict = yield* (yield* Verdicts).recall(event)
  const grace = yield* Grace.space.get(yield* Database, event.pubkey)
  const memories: Array<Explanation["memories"][number]> = []
  if (verdict !== undefined) memories.push(["remembered", `${verdict._tag.toLowerCase()}: ${verdict.reason}`])
  if (grace !== undefined) {
    memories.push([
      "grace",
      grace.due === null
        ? "over: the last accepted version was removed for a newer, rejected one"
        : `a newer version was rejected; this one is served until ${timeOf(grace.due / 1000)}`
    ])
  }
  return memories
})

/** The newest of what was found, by facts that `gather` brings. */
export const explanationOf = Effect.fnUntraced(function*<E, R>(
  pubkey: string,
  found: ReadonlyArray<Candidate>,
  gather: (event: Event) => Effect.Effect<Facts, E, R>
) {
  const [profile] = found.toSorted((a, b) => newestFirst(a.event, b.event))
  const unknown = { pubkey, profile, older: [], rules: [], verdict: undefined, decided: [], memories: [] }
  if (profile === undefined) return unknown satisfies Explanation
  const settings = yield* Settings
  const facts = yield* gather(profile.event)
  return {
    pubkey,
    profile,
    older: found.filter(({ event }) => event.id !== profile.event.id),
    rules: ruleTable(facts, settings),
    verdict: judge(facts, settings),
    decided: yield* decisionsOn(profile.event),
    memories: yield* memoriesOf(profile.event)
  } satisfies Explanation
})

export class Dossier extends Context.Service<Dossier, {
  /** Why an author's profile is here or is not. */
  readonly explain: (pubkey: string) => Effect.Effect<Explanation, DatabaseError>
  /** Of a NIP-05 name as it stands in the author's profile; undefined where it is none. */
  readonly nameOf: (pubkey: string, nip05: string) => Effect.Effect<NameKnown | undefined, DatabaseError>
  /** The last look at a picture; nothing of one that the operator has taken down, which is not to be shown or linked. */
  readonly pictureAt: (url: string) => Effect.Effect<PictureRecord | undefined>
}>()("profile-aggregator/aggregation/Dossier") {}

const make = Effect.gen(function*() {
  const pictures = yield* PictureStore
  const settings = yield* Settings
  const { isTakenDown } = yield* Moderation
  const context = yield* Effect.context<
    Database | Settings | Moderation | Verdicts | NameOwners.NameOwners | PictureStore
  >()
  return Dossier.of({
    explain: (pubkey) =>
      Effect.gen(function*() {
        const found = [...(yield* stored(pubkey)), ...(yield* waiting(pubkey))]
        return yield* explanationOf(pubkey, found, Examiner.recall)
      }).pipe(Effect.provideContext(context)),

    nameOf: (pubkey, nip05) => Effect.provideContext(nameKnownOf(pubkey, nip05), context),

    pictureAt: Effect.fnUntraced(function*(url) {
      const record = yield* pictures.get(url)
      const sha256 = record?.outcome._tag === "Known" ? record.outcome.facts.sha256 : undefined
      return isTakenDown(pictureUrlOf(url, settings.rules), sha256) ? undefined : record
    })
  })
})

export const layer = Layer.effect(Dossier, make)
