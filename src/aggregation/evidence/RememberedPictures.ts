/** What is known about pictures, kept in the database, so that a restart asks no host again. */
import { Effect, Layer, Option, Schema } from "effect"
import { Database } from "../../database/Database.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import { PictureRecordJson, PictureStore } from "./PictureStore.ts"

/** Name of the space where it is kept, by URL; due when it may be forgotten. */
export const space = "picture"

/** Milliseconds for which a record is kept beyond its freshness: how often a host was silent says when to ask again. */
const keptAfter = 3 * 24 * 3_600_000

const decode = Schema.decodeUnknownOption(PictureRecordJson)
const encode = Schema.encodeUnknownEffect(PictureRecordJson)

export const layer: Layer.Layer<PictureStore, MailboxClosed, Database> = Layer.effect(
  PictureStore,
  Effect.gen(function*() {
    const database = yield* Database
    const sender = yield* database.sender("aggregation/pictures")
    return PictureStore.of({
      get: (url) =>
        database.record(space, url).pipe(
          Effect.map((record) => record === undefined ? undefined : Option.getOrUndefined(decode(record.value))),
          // Not known is what a store that fails answers: the host is asked once more.
          Effect.catch(() => Effect.undefined)
        ),
      set: (url, record) =>
        encode(record).pipe(
          Effect.flatMap((value) =>
            sender.write([{ _tag: "Record", space, key: url, value, due: record.freshUntil + keptAfter }])
          ),
          Effect.catch((error) => Effect.logDebug("picture not remembered", error)),
          Effect.asVoid
        )
    })
  })
)
