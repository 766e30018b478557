/** What is known about pictures, kept in the database, so that a restart asks no host again. */
import { Effect, Layer } from "effect"
import { Database } from "../../database/Database.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import * as Space from "../Space.ts"
import { PictureRecord, PictureStore } from "./PictureStore.ts"

/** By URL; due when it may be forgotten. */
export const space = Space.make("picture", PictureRecord)

/** Milliseconds for which a record is kept beyond its freshness: how often a host was silent says when to ask again. */
const keptAfter = 3 * 24 * 3_600_000

export const layer: Layer.Layer<PictureStore, MailboxClosed, Database> = Layer.effect(
  PictureStore,
  Effect.gen(function*() {
    const database = yield* Database
    const sender = yield* database.sender("aggregation/pictures")
    return PictureStore.of({
      get: (url) =>
        space.get(database, url).pipe(
          Effect.map((kept) => kept?.value),
          // Not known is what a store that fails answers: the host is asked once more.
          Effect.catch(() => Effect.undefined)
        ),
      set: (url, record) =>
        sender.write([space.put(url, record, record.freshUntil + keptAfter)]).pipe(
          Effect.catch((error) => Effect.logDebug("picture not remembered", error)),
          Effect.asVoid
        )
    })
  })
)
