/**
 * What happens to the profile we serve when its author replaces it by one that the rules reject.
 *
 * It is served on for `PROFILE_GRACE`, counted from the first such version, then removed; a later version that is accepted
 * ends the matter. Only evidence about a newer version gets here: an older one never changes what is stored, and neither
 * does somebody's silence. After the removal the author's older versions stay out, wherever they still come from.
 */
import { Clock, Context, Duration, Effect, Layer, Option, Schema } from "effect"
import { Settings } from "../../config/Settings.ts"
import { Database, type DatabaseError, type Operation, textOf } from "../../database/Database.ts"
import { type Event, wins } from "../../domain/Event.ts"
import { profileKind } from "../../domain/Kinds.ts"

/** Name of the space where it is kept, by author; due when the stored version is to be removed. */
export const space = "grace"

const Stored = Schema.fromJsonString(Schema.Struct({
  version: Schema.Literal(1),
  /** Id of the version that is, or was, served. */
  served: Schema.String,
  /** Of the rejected one: older versions stay out once `removed`. */
  created_at: Schema.Int,
  removed: Schema.Boolean
}))
type Stored = typeof Stored.Type
const decode = Schema.decodeUnknownOption(Stored)

const operation = (pubkey: string, stored: Stored, due: number | null): Operation => ({
  _tag: "Record",
  space,
  key: pubkey,
  value: JSON.stringify(stored),
  due
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
}>()("profile-aggregator/aggregation/admission/Grace") {
  static readonly layer: Layer.Layer<Grace, never, Database | Settings> = Layer.effect(
    Grace,
    Effect.suspend(() => make())
  )
}

/** Authors whose grace ends in one write. */
const expiredMax = 200

const make = Effect.fnUntraced(function*() {
  const database = yield* Database
  const settings = yield* Settings

  const find = (pubkey: string) =>
    Effect.map(
      database.record(space, pubkey),
      (stored) => stored === undefined ? undefined : Option.getOrUndefined(decode(stored.value))
    )
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
          operation(pubkey, { version: 1, served: served.id, created_at, removed: true }, null)
        ]
      }
      const begun = yield* find(pubkey)
      // The time runs from the first version that was rejected.
      if (begun?.served === served.id && !begun.removed) return []
      const now = yield* Clock.currentTimeMillis
      return [operation(pubkey, { version: 1, served: served.id, created_at, removed: false }, now + grace)]
    }),

    onAccepted: ({ pubkey }) =>
      Effect.map(
        database.record(space, pubkey),
        (stored) => stored === undefined ? [] : [{ _tag: "Record", space, key: pubkey, value: null, due: null }]
      ),

    expired: Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const over = yield* database.due(space, now, expiredMax)
      const operations = yield* Effect.forEach(
        over,
        ({ key, value }) =>
          Effect.map(servedOf(key), (served): ReadonlyArray<Operation> => {
            const stored = Option.getOrUndefined(decode(value))
            // Something else is served by now, or nothing: the matter is settled.
            if (stored === undefined || served?.id !== stored.served) {
              return [{ _tag: "Record", space, key, value: null, due: null }]
            }
            return [
              { _tag: "Delete", ids: [served.id] },
              operation(key, { ...stored, removed: true }, null)
            ]
          })
      )
      return operations.flat()
    })
  })
})
