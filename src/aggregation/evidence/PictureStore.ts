/**
 * What is known about pictures, by URL, beyond one look and beyond one run.
 *
 * A contract, so that memory serves the tests and the database the service. Losing a record costs one more look.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { LruMap } from "../../domain/LruMap.ts"

/** A picture as its bytes describe it. */
export const PictureFacts = Schema.Struct({
  type: Schema.Literals(["png", "jpeg", "gif", "webp", "avif", "heic", "bmp", "svg"]),
  /** Pixels as shown, after rotation. */
  width: Schema.Int,
  height: Schema.Int,
  /** Missing where the bytes that were read do not tell. */
  animated: Schema.optional(Schema.Boolean),
  /** Length of the file, as its host declares it or as it was read. */
  bytes: Schema.optional(Schema.Int),
  /** Lower-case hex, where the file was read whole. */
  sha256: Schema.optional(Schema.String),
  /** The same of the first 4,096 bytes, where so many were read; searches tell copies by it. */
  head: Schema.optional(Schema.String)
})
export type PictureFacts = typeof PictureFacts.Type

/** The last look at one URL. */
export const PictureRecord = Schema.Struct({
  outcome: Schema.Union([
    Schema.TaggedStruct("Known", { facts: PictureFacts }),
    Schema.TaggedStruct("NoImage", {
      reason: Schema.Literals(["picture is gone", "picture is not an image", "picture target is not public"]),
      detail: Schema.String
    }),
    Schema.TaggedStruct("Unanswered", {
      reason: Schema.Literals([
        "picture host did not answer",
        "picture host asked for a pause",
        "not checked in time",
        "stopping"
      ]),
      detail: Schema.String
    })
  ]),
  /** HTTP status, where there was one. */
  status: Schema.optional(Schema.Int),
  /** Unix milliseconds. */
  checkedAt: Schema.Int,
  /** Unix milliseconds; until then nobody asks again. */
  freshUntil: Schema.Int,
  /** Looks in a row that were not answered, this one included. */
  attempts: Schema.Int
})
export type PictureRecord = typeof PictureRecord.Type

export class PictureStore extends Context.Service<PictureStore, {
  /** Of a `http:` or `https:` URL, at most 2048 characters. A store that fails answers undefined. */
  readonly get: (url: string) => Effect.Effect<PictureRecord | undefined>
  readonly set: (url: string, record: PictureRecord) => Effect.Effect<void>
}>()("profile-aggregator/aggregation/evidence/PictureStore") {
  /** Of so many URLs; the one that was used longest ago is forgotten first. */
  static readonly layerMemory = (urlsMax: number): Layer.Layer<PictureStore> =>
    Layer.sync(PictureStore, () => {
      const records = new LruMap<string, PictureRecord>(urlsMax)
      return {
        get: (url) => Effect.sync(() => records.get(url)),
        set: (url, record) => Effect.sync(() => records.set(url, record))
      }
    })
}
