/**
 * How many profiles, of those that are stored or wait, have a picture of at least a given size: what another `PICTURE_MIN` would
 * let in, as far as their pictures have been looked at. Asks nobody.
 */
import { Effect } from "effect"
import { space as waitingSpace } from "../aggregation/admission/RetryQueue.ts"
import { factOf } from "../aggregation/evidence/Picture.ts"
import { lookAt } from "../aggregation/evidence/PictureReader.ts"
import { PictureStore } from "../aggregation/evidence/PictureStore.ts"
import type { SettingsShape } from "../config/Settings.ts"
import { Archive } from "../database/Archive.ts"
import { Database } from "../database/Database.ts"
import { decodeDataUrl } from "../domain/DataUrl.ts"
import type { Event } from "../domain/Event.ts"
import { profileKind } from "../domain/Kinds.ts"
import { pictureUrlOf } from "../domain/PictureUrl.ts"
import { profileOf } from "../domain/Profile.ts"
import { judgePicture, type Size } from "../domain/Quality.ts"

/** Pixels, width by height, that are told about besides the one that is set. */
const usualSizes: ReadonlyArray<Size> = [
  { width: 1, height: 1 },
  { width: 100, height: 100 },
  { width: 200, height: 200 },
  { width: 300, height: 300 },
  { width: 300, height: 600 },
  { width: 600, height: 600 }
]

/** Profiles that are stored, or that wait. */
export interface Counts {
  readonly all: number
  /** Of those whose picture has been looked at: how many each size lets in, in the order of `sizes`. */
  readonly measured: number
  readonly letIn: ReadonlyArray<number>
}

export interface PictureTally {
  readonly sizes: ReadonlyArray<Size>
  readonly stored: Counts
  readonly waiting: Counts
}

export const sizeText = ({ height, width }: Size): string => `${width}x${height}`

const sizesWith = (min: Size): ReadonlyArray<Size> => {
  const all = new Map([min, ...usualSizes].map((size) => [sizeText(size), size]))
  return [...all.values()].toSorted((a, b) => a.width * a.height - b.width * b.height)
}

/** As far as pictures have been looked at, and those of `data:` URLs, which need nobody. */
export const pictureTally = Effect.fnUntraced(function*({ limits, pictureMin, rules }: SettingsShape) {
  const sizes = sizesWith(pictureMin)
  const pictures = yield* PictureStore

  const fact = Effect.fnUntraced(function*({ content }: Pick<Event, "content">) {
    const profile = profileOf(content, limits.contentMax)
    if (typeof profile === "string") return undefined
    const url = pictureUrlOf(profile.picture, rules)
    if (url._tag === "Refused") return undefined
    if (url._tag === "Inline") {
      const bytes = decodeDataUrl(profile.picture, limits.frameBytesMax)
      const reading = bytes === undefined ? undefined : lookAt(bytes).reading
      return reading?._tag === "Image" ? { _tag: "Image", size: reading } as const : undefined
    }
    const record = yield* pictures.get(url.url)
    return record === undefined || record.outcome._tag === "Unanswered"
      ? undefined
      : factOf({ ...record.outcome, checkedAt: record.checkedAt })
  })

  const counting = () => {
    const counts = { all: 0, measured: 0, letIn: sizes.map(() => 0) }
    const add = (event: Pick<Event, "content">) =>
      Effect.map(fact(event), (found) => {
        counts.all++
        if (found === undefined) return
        counts.measured++
        for (const [i, size] of sizes.entries()) {
          if (judgePicture(found, size)._tag === "Accepted") counts.letIn[i] = (counts.letIn[i] ?? 0) + 1
        }
      })
    return { counts, add }
  }

  const stored = counting()
  const archive = yield* Archive
  yield* archive.walk(
    [{ kinds: [profileKind] }],
    "newest first",
    (events) => Effect.forEach(events, ({ raw }) => stored.add(JSON.parse(raw) as Event), { discard: true })
  )
  const waiting = counting()
  for (const { value } of yield* waitingSpace.all(yield* Database)) {
    const event = value?.event as Event | undefined
    if (event?.kind === profileKind) yield* waiting.add(event)
  }
  return { sizes, stored: stored.counts, waiting: waiting.counts } satisfies PictureTally
})
