/**
 * What happens to the profile we serve when its author replaces it by one that the rules reject.
 *
 * It is served on for `PROFILE_GRACE`, counted from the first such version, then removed; a later version that is accepted
 * ends the matter. Only evidence about a newer version gets here: an older one never changes what is stored, and neither
 * does somebody's silence. After the removal the author's older versions stay out, wherever they still come from.
 */
import { Clock, Context, Duration, Effect, Layer, Schema } from "effect"
import { Settings } from "../../config/Settings.ts"
import { Database, type DatabaseError, type Operation, textOf } from "../../database/Database.ts"
import { type Event, wins } from "../../domain/Event.ts"
import { profileKind } from "../../domain/Kinds.ts"
import * as Space from "../Space.ts"

/** By author; due when the stored version is to be removed. */
export const space = Space.versioned("grace", {
  /** Id of the version that is, or was, served. */
  served: Schema.String,
  /** Of the rejected one: older versions stay out once `removed`. */
  created_at: Schema.Int,
  removed: Schema.Boolean
})

export class Grace extends Context.Service<Grace, {
  /** Was a newer version than this one rejected, and an older one removed for it? */
  readonly isOutlived: (event: Event) => Effect.Effect<boolean, DatabaseError>
  /** What to write when this event was rejected. */
  readonly onRejected: (event: Event) => Effect.Effect<ReadonlyArray<Operation>, DatabaseError>
  /** What to write when this event is accepted. */
  readonly onAccepted: (event: Event) => Effect.Effect<ReadonlyArray<Operation>, DatabaseError>
  /** What to write for authors whose grace is over, some of them at a time. */
  readonly expired: Effect.Effect<ReadonlyArray<Operation>, DatabaseError>
}>()("profile-aggregator/aggregation/admission/Grace") {}

/** Authors whose grace ends in one write. */
const expiredMax = 200

const make = Effect.fnUntraced(function*() {
  const database = yield* Database
  const settings = yield* Settings

  const find = (pubkey: string) => Effect.map(space.get(database, pubkey), (kept) => kept?.value)
  const servedOf = (pubkey: string) =>
    Effect.map(
      database.query([{ authors: [pubkey], kinds: [profileKind], limit: 1 }], { limitMax: 1 }),
      ({ events: [raw] }) => raw === undefined ? undefined : JSON.parse(textOf(raw)) as Event
    )

  return Grace.of({
    isOutlived: (event) =>
      Effect.map(find(event.pubkey), (found) => found?.removed === true && event.created_at <= found.created_at),

    onRejected: Effect.fnUntraced(function*(event) {
      const { created_at, pubkey } = event
      const served = yield* servedOf(pubkey)
      // A newer version may have been accepted while this one was being checked.
      if (served === undefined || !wins(event, served)) return []
      const grace = Duration.toMillis(settings.profileGrace)
      if (grace <= 0) {
        return [
          { _tag: "Delete", ids: [served.id] },
          space.put(pubkey, { served: served.id, created_at, removed: true })
        ]
      }
      const begun = yield* find(pubkey)
      // The time runs from the first version that was rejected.
      if (begun?.served === served.id && !begun.removed) return []
      const now = yield* Clock.currentTimeMillis
      return [space.put(pubkey, { served: served.id, created_at, removed: false }, now + grace)]
    }),

    onAccepted: ({ pubkey }) =>
      Effect.map(
        space.get(database, pubkey),
        (kept) => kept === undefined ? [] : [space.drop(pubkey)]
      ),

    expired: Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const over = yield* space.due(database, now, expiredMax)
      const operations = yield* Effect.forEach(
        over,
        ({ key, value: stored }) =>
          Effect.map(servedOf(key), (served): ReadonlyArray<Operation> => {
            // Something else is served by now, or nothing: the matter is settled.
            if (stored === undefined || served?.id !== stored.served) return [space.drop(key)]
            return [
              { _tag: "Delete", ids: [served.id] },
              space.put(key, { ...stored, removed: true })
            ]
          })
      )
      return operations.flat()
    })
  })
})

export const layer: Layer.Layer<Grace, never, Database | Settings> = Layer.effect(
  Grace,
  make()
)
