/** Streams of events that are much work to take in and to take out again, with what is gone once each request is accepted. */
import type { Event } from "../../src/domain/Event.ts"
import { epoch, keyOf, profileEvent, signed } from "../support/events.ts"

/** Of one author in turn: events, of how many tags each, that are deleted one by one, and that are left for the vanish. */
const heavyTags = 300
const deleted = 6
const left = 14

/** Entered with the ids that a request has removed, before it is sent. */
export type Removing = (request: string, ids: ReadonlyArray<string>) => void

/** Authors one after the other: each publishes heavy events, deletes some, and vanishes with the others. */
export function* removalStream(owner: string, removing: Removing): Generator<Event, never> {
  for (let author = 0;; author++) {
    const key = keyOf(`${owner}, author ${author}`)
    const events = Array.from({ length: deleted + left }, (_, n) =>
      signed({
        content: `heavy ${n}`,
        created_at: epoch + n,
        tags: Array.from({ length: heavyTags }, (_, tag) => ["t", `${author} ${n} ${tag}`])
      }, key))
    yield* events
    const ids = events.map(({ id }) => id)
    const deletion = signed({
      kind: 5,
      created_at: epoch + 100,
      tags: ids.slice(0, deleted).map((id) => ["e", id])
    }, key)
    removing(deletion.id, ids.slice(0, deleted))
    yield deletion
    const vanish = signed({ kind: 62, created_at: epoch + 200, tags: [["relay", "ALL_RELAYS"]] }, key)
    removing(vanish.id, [...ids, deletion.id])
    yield vanish
  }
}

/** Requests to delete what nobody has, three hundred ids each, by an author who does nothing else. */
export function* deletionStream(owner: string): Generator<Event, never> {
  const key = keyOf(`${owner}, deletions`)
  for (let n = 0;; n++) {
    const tags = Array.from({ length: 300 }, (_, i) => ["e", (n * 300 + i).toString(16).padStart(64, "0")])
    yield signed({ kind: 5, created_at: epoch + n, tags }, key)
  }
}

/** Profiles of which a field is as long as a message lets it be, and made for a pattern to go back and forth over. */
export function* backtrackingStream(owner: string): Generator<Event, never> {
  const fields = ["nip05", "name", "about", "picture", "website", "lud16", "display_name", "banner"]
  const parts = ["_at_.", ":", "a@a.", " ", "a.", "-", "%20", "npub1", "https://", "#", "\t \t"]
  for (let n = 0;; n++) {
    const field = fields[n % fields.length] as string
    const part = parts[n % parts.length] as string
    yield profileEvent({ [field]: `a${part.repeat(59_000 / part.length)}\n!` }, `${owner}, profile ${n}`)
  }
}
