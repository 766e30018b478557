/**
 * Rejections that took a network to find out, remembered by event id across restarts, so that nobody is asked twice.
 *
 * A verdict holds for the rules it was reached by and for some days, spread out so that not all are asked again together.
 * Of rejections that cost nothing only the latest are kept, in memory. What was accepted needs no memory: the store knows.
 */
import { Clock, Context, Effect, Layer, Random, Schema } from "effect"
import { madeOf, Settings } from "../../config/Settings.ts"
import { Database, type DatabaseError, type RecordWrite } from "../../database/Database.ts"
import { spread } from "../../domain/Backoff.ts"
import type { Event } from "../../domain/Event.ts"
import { profileKind } from "../../domain/Kinds.ts"
import { LruMap } from "../../domain/LruMap.ts"
import { Rejected, type RejectionReason, type Verdict } from "../../domain/Quality.ts"
import { rulesIdOf } from "../evidence/Rules.ts"
import * as Space from "../Space.ts"

const day = 24 * 3_600_000

/** Milliseconds for which a rejection is believed, before the spread of a fifth either way. */
const lifetimes: Partial<{ readonly [reason in RejectionReason]: number }> = {
  // A line in a file is soon added.
  "NIP-05 name is not listed": day,
  "NIP-05 name belongs to another key": 3 * day,
  "NIP-05 domain is not public": 7 * day,
  "picture is too small": 7 * day,
  "picture is not an image": 7 * day,
  "picture target is not public": 7 * day,
  "picture is gone": 3 * day,
  // People begin to write.
  "no text note": day,
  "bridged account": 30 * day
}

/** Verdicts by event id; due when they expire. */
export const space = Space.versioned("verdict", {
  reason: Schema.String,
  /** `rulesIdOf` the settings it was reached by. */
  rules: Schema.String,
  /** Unix milliseconds. */
  at: Schema.Int,
  retryAt: Schema.Int
})

export type Rejection = Extract<Verdict, { readonly _tag: "Rejected" }>

/** A rejection, and until when it holds, in Unix milliseconds. */
interface Remembered {
  readonly rejection: Rejection
  readonly until: number
}

/** Rejections kept in memory, by id: the same profile comes from every upstream, and again with every pass. 100 bytes each. */
const recentMax = 50_000

export class Verdicts extends Context.Service<Verdicts, {
  /** The rejection of exactly this event, while it holds. */
  readonly recall: (event: Event) => Effect.Effect<Rejection | undefined, DatabaseError>
  /** Of an event whose signature is valid: what to write with whatever else becomes of it. `asked`: a network was. */
  readonly remember: (event: Event, rejection: Rejection, asked: boolean) => Effect.Effect<ReadonlyArray<RecordWrite>>
}>()("profile-aggregator/aggregation/admission/Verdicts") {}

const make = Effect.fnUntraced(function*() {
  const database = yield* Database
  const settings = yield* Settings
  /** Otherwise nothing is kept that would hold. */
  const keepsAny = () => settings.pictures === "on" || settings.proof === "on" || settings.nip05 === "require"
  /** By the rules as they are; with other rules it begins anew. */
  const recent = madeOf(() => rulesIdOf(settings.now), () => new LruMap<string, Remembered>(recentMax))

  return Verdicts.of({
    recall: Effect.fnUntraced(function*(event) {
      const now = yield* Clock.currentTimeMillis
      const latest = recent().get(event.id)
      if (latest !== undefined && latest.until > now) return latest.rejection
      // Other kinds are rejected without asking anybody.
      if (event.kind !== profileKind || !keepsAny()) return undefined
      const verdict = (yield* space.get(database, event.id))?.value
      if (verdict === undefined || verdict.rules !== rulesIdOf(settings.now) || verdict.retryAt <= now) return undefined
      const rejection = Rejected(verdict.reason as RejectionReason)
      recent().set(event.id, { rejection, until: verdict.retryAt })
      return rejection
    }),

    remember: Effect.fnUntraced(function*(event, rejection, asked) {
      const lifetime = lifetimes[rejection.reason]
      const at = yield* Clock.currentTimeMillis
      const retryAt = lifetime === undefined
        ? Number.POSITIVE_INFINITY
        : at + Math.round(spread(lifetime, yield* Random.next))
      recent().set(event.id, { rejection, until: retryAt })
      if (!asked || lifetime === undefined) return []
      return [space.put(event.id, { reason: rejection.reason, rules: rulesIdOf(settings.now), at, retryAt }, retryAt)]
    })
  })
})

export const layer: Layer.Layer<Verdicts, never, Database | Settings> = Layer.effect(
  Verdicts,
  make()
)
