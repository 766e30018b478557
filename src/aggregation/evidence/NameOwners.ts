/**
 * Whose the NIP-05 names of profiles are, as a fact that is kept, by author, and looked at again.
 *
 * Two records say it. What was last found to be the author's by right stands in `nip05`, where searches read it; it is
 * believed for a month, and gone as soon as the domain says otherwise. When the domain is to be asked next, and what it
 * said last, stands in `nip05-check`. A domain that does not answer takes no name away, and what it said against a name
 * before is forgotten.
 */
import { Clock, Context, Effect, Layer, Random, Schema } from "effect"
import { Settings } from "../../config/Settings.ts"
import { Database, type DatabaseError, type RecordWrite, textOf } from "../../database/Database.ts"
import { doubled, spread } from "../../domain/Backoff.ts"
import type { Event } from "../../domain/Event.ts"
import { profileKind } from "../../domain/Kinds.ts"
import { type Nip05Name, nip05NameOf, nip05TextOf } from "../../domain/Nip05.ts"
import { profileOf } from "../../domain/Profile.ts"
import { type Facts, isBelievedPause } from "../../domain/Quality.ts"
import * as Space from "../Space.ts"
import { Nip05Documents, type Nip05Listing } from "./Nip05Documents.ts"

const hour = 3_600_000
const day = 24 * hour

/** Milliseconds for which a name is believed after it was last confirmed. */
const believed = 30 * day
/** Milliseconds to the next check, before the spread of a fifth either way: of a name that holds, and of one that does not. */
const verifiedFresh = 7 * day
const problemFresh = day
/** The longest time to the next check of a name that has not held so far; each check in a row doubles it. */
const problemMax = 16 * day
/** The same for a domain that did not answer. */
const silenceFirst = hour
const silenceMax = 2 * day

/** Verified names; due when they have gone unconfirmed for too long. */
export const space = Space.make("nip05", Schema.String)

/** Checks; due when the domain is to be asked again. */
export const checkSpace = Space.versioned("nip05-check", {
  /** As it is compared: `name@domain`. */
  name: Schema.String,
  /** What the domain said last; missing where it has not been asked yet, or is silent and nothing else is believed. */
  said: Schema.optional(Schema.Literals([
    "verified",
    "NIP-05 name is not listed",
    "NIP-05 name belongs to another key",
    "NIP-05 domain is not public"
  ])),
  /** Unix milliseconds of that. */
  at: Schema.optional(Schema.Int),
  /** Checks in a row after which the name was not verified. */
  attempts: Schema.Int
})
type Stored = Space.Value<typeof checkSpace>

export interface Nip05Check {
  readonly fact: NonNullable<Facts["nip05"]>
  /** What was found out, to be written whatever becomes of the profile. */
  readonly operations: ReadonlyArray<RecordWrite>
  /** To be written where the profile with this name is the one that is stored. */
  readonly onceStored: ReadonlyArray<RecordWrite>
}

export class NameOwners extends Context.Service<NameOwners, {
  /** Whether the name is the author's. Asks the domain, unless it has been asked lately. */
  readonly check: (pubkey: string, name: Nip05Name) => Effect.Effect<Nip05Check, DatabaseError>
  /** The same as far as it is known, asking nobody. */
  readonly recall: (pubkey: string, name: Nip05Name) => Effect.Effect<Facts["nip05"], DatabaseError>
  /** What to write with a profile that is stored, so that its name is looked at. */
  readonly onStored: (event: Event) => Effect.Effect<ReadonlyArray<RecordWrite>, DatabaseError>
  /** Asks about an author whose check is due, and says what to write. */
  readonly recheck: (pubkey: string) => Effect.Effect<ReadonlyArray<RecordWrite>, DatabaseError>
}>()("profile-aggregator/aggregation/evidence/NameOwners") {}

/** Forgets all about an author's name. */
const forget = (pubkey: string): ReadonlyArray<RecordWrite> => [space.drop(pubkey), checkSpace.drop(pubkey)]

const nameOf = ({ content }: Event): Nip05Name | undefined => {
  const profile = profileOf(content, Infinity)
  return typeof profile === "string" ? undefined : nip05NameOf(profile.nip05)
}

/** Whom a check that is due would ask. */
export const domainOf = ({ value }: Space.Kept<Stored>): string => {
  const name = value?.name ?? ""
  return name.slice(name.lastIndexOf("@") + 1)
}

type Unanswered = Extract<Nip05Listing, { readonly _tag: "Unanswered" }>
type Said = NonNullable<Stored["said"]>

const saidOf = (listing: Exclude<Nip05Listing, Unanswered>, pubkey: string): Said => {
  if (listing._tag === "Unlisted") return "NIP-05 name is not listed"
  if (listing._tag === "Refused") return "NIP-05 domain is not public"
  return listing.pubkey === pubkey ? "verified" : "NIP-05 name belongs to another key"
}

const factOf = (said: Said): NonNullable<Facts["nip05"]> =>
  said === "verified" ? { _tag: "Verified" } : { _tag: "NotVerified", reason: said }

/** What is believed of a name while its domain is silent; that it is not the author's is only said after an answer. */
const believedOf = (stored: Stored | undefined, now: number): Pick<Stored, "said" | "at"> =>
  stored?.said === "verified" && stored.at !== undefined && stored.at + believed > now
    ? { said: stored.said, at: stored.at }
    : {}

/** The record of a name that was found to be the author's, for as long as it is believed. */
const verifiedBy = (pubkey: string, { at, name, said }: Stored): ReadonlyArray<RecordWrite> =>
  said === "verified" ? [space.put(pubkey, name, (at ?? 0) + believed)] : []

const make = Effect.fnUntraced(function*() {
  const database = yield* Database
  const documents = yield* Nip05Documents
  const settings = yield* Settings

  /** So many milliseconds from now, give or take a fifth, so that not all are asked again together. */
  const later = Effect.fnUntraced(function*(millis: number) {
    const now = yield* Clock.currentTimeMillis
    return now + Math.round(spread(millis, yield* Random.next))
  })

  const find = Effect.fnUntraced(function*(pubkey: string) {
    const kept = yield* checkSpace.get(database, pubkey)
    return kept?.value === undefined ? undefined : { ...kept.value, due: kept.due ?? 0 }
  })

  const recallFresh = Effect.fnUntraced(function*(pubkey: string, name: Nip05Name) {
    const text = nip05TextOf(name)
    const before = yield* find(pubkey)
    const now = yield* Clock.currentTimeMillis
    if (before?.name !== text || before.due <= now || before.said === undefined) return undefined
    if (before.said === "verified" && believedOf(before, now).said === undefined) return undefined
    return { fact: factOf(before.said), operations: [], onceStored: verifiedBy(pubkey, before) } satisfies Nip05Check
  })

  /** Nobody answered: that the name is the author's is believed for a while. */
  const putOff = Effect.fnUntraced(
    function*(pubkey: string, name: string, before: Stored | undefined, listing: Unanswered) {
      // Our own pace says nothing about the domain.
      const attempts = (before?.attempts ?? 0) + (listing.reason === "not checked in time" ? 0 : 1)
      const isPaced = !isBelievedPause(listing.reason, attempts)
      const own = isPaced ? doubled(silenceFirst, attempts, silenceMax) : 0
      const due = yield* later(Math.max(own, listing.retryAfter * 1.25))
      const stored: Stored = { name, ...believedOf(before, yield* Clock.currentTimeMillis), attempts }
      return {
        fact: stored.said === undefined ? listing : factOf(stored.said),
        operations: [checkSpace.put(pubkey, stored, due)],
        onceStored: verifiedBy(pubkey, stored)
      } satisfies Nip05Check
    }
  )

  /** What follows from what the domain says. */
  const settle = Effect.fnUntraced(function*(pubkey: string, name: Nip05Name, listing: Nip05Listing) {
    const text = nip05TextOf(name)
    const found = yield* find(pubkey)
    const before = found?.name === text ? found : undefined
    if (listing._tag === "Unanswered") return yield* putOff(pubkey, text, before, listing)
    const at = yield* Clock.currentTimeMillis
    const said = saidOf(listing, pubkey)
    const attempts = said === "verified" ? 0 : (before?.attempts ?? 0) + 1
    const fresh = said === "verified"
      ? verifiedFresh
      : doubled(problemFresh, attempts, problemMax)
    const stored: Stored = { name: text, said, at, attempts }
    const check = checkSpace.put(pubkey, stored, yield* later(fresh))
    if (said === "verified") {
      return { fact: factOf(said), operations: [check], onceStored: verifiedBy(pubkey, stored) } satisfies Nip05Check
    }
    const verified = yield* space.get(database, pubkey)
    const removed = verified?.value === text ? [space.drop(pubkey)] : []
    return { fact: factOf(said), operations: [check, ...removed], onceStored: [] } satisfies Nip05Check
  })

  const storedName = (pubkey: string) =>
    Effect.map(
      database.query([{ authors: [pubkey], kinds: [profileKind], limit: 1 }], { limitMax: 1 }),
      ({ events: [raw] }) => raw === undefined ? undefined : nameOf(JSON.parse(textOf(raw)) as Event)
    )

  return NameOwners.of({
    recall: (pubkey, name) => Effect.map(recallFresh(pubkey, name), (known) => known?.fact),

    check: Effect.fn("NameOwners.check")(function*(pubkey, name) {
      return (yield* recallFresh(pubkey, name)) ?? (yield* settle(pubkey, name, yield* documents.lookUp(name)))
    }),

    onStored: Effect.fnUntraced(function*(event) {
      if (settings.nip05 === "off") return []
      const { pubkey } = event
      const name = nameOf(event)
      const before = yield* find(pubkey)
      if (name === undefined) return before === undefined ? [] : forget(pubkey)
      const text = nip05TextOf(name)
      if (before?.name === text) return verifiedBy(pubkey, before)
      const stored: Stored = { name: text, attempts: 0 }
      return [
        ...(before === undefined ? [] : forget(pubkey)),
        checkSpace.put(pubkey, stored, yield* Clock.currentTimeMillis)
      ]
    }),

    recheck: Effect.fn("NameOwners.recheck")(function*(pubkey) {
      const name = yield* storedName(pubkey)
      if (name === undefined) return forget(pubkey)
      const listing = yield* documents.lookUp(name)
      const latest = yield* storedName(pubkey)
      // The profile has changed meanwhile, and what was written with that says what is to be looked at.
      if (latest === undefined || nip05TextOf(latest) !== nip05TextOf(name)) return []
      const { onceStored, operations } = yield* settle(pubkey, name, listing)
      return [...operations, ...onceStored]
    })
  })
})

export const layer: Layer.Layer<NameOwners, never, Database | Nip05Documents | Settings> = Layer.effect(
  NameOwners,
  make()
)
