/**
 * Signed events for tests: seeded, so that every run sees the same bytes.
 *
 * A key costs about 0.03 ms and a signature 0.06 ms, so thousands are no reason to wait.
 */
import { keyOf, sign, withForgedSignature, withWrongId } from "../../src/demo/Signer.ts"
import type { Key } from "../../src/demo/Signer.ts"
import type { Event, EventTemplate } from "../../src/domain/Event.ts"

export { type Key, keyOf, withForgedSignature, withWrongId }

/** 2026-01-01T00:00:00Z in Unix seconds: in the past of every run. */
export const epoch = 1_767_225_600

/** A key may be given as its seed. */
export type Author = Key | string | number

const keyFrom = (author: Author): Key => typeof author === "object" ? author : keyOf(author)

/** A text note (kind 1) of `epoch`, unless the template says otherwise. */
export const signed = (template: Partial<EventTemplate> = {}, author: Author = "author"): Event =>
  sign({ kind: 1, content: "", tags: [], created_at: epoch, ...template }, keyFrom(author))

/** The content of a profile that no rule objects to: name, bio, picture (NIP-01 kind 0, NIP-24). */
export const goodProfile = {
  name: "mira",
  display_name: "Mira Solberg",
  about: "Builds wooden boats and writes about the tide.",
  picture: "https://images.example/mira.png"
}

/**
 * A kind 0 event. `fields` are laid over `goodProfile`, and `undefined` removes one of them; a string is the content as
 * it is, JSON or not.
 */
export const profileEvent = (
  fields: string | Readonly<Record<string, unknown>> = {},
  author: Author = "author",
  template: Partial<Omit<EventTemplate, "kind" | "content">> = {}
): Event =>
  signed({
    ...template,
    kind: 0,
    content: typeof fields === "string" ? fields : JSON.stringify({ ...goodProfile, ...fields })
  }, author)

/** Text notes by one author, one second apart, the newest first, the newest of them at `newest`. */
export const notes = (count: number, author: Author = "author", newest: number = epoch): ReadonlyArray<Event> => {
  const key = keyFrom(author)
  return Array.from(
    { length: count },
    (_, i) => signed({ content: `note ${count - i}`, created_at: newest - i }, key)
  )
}

/** A kind 10002 event: relays to write to, and to read from (NIP-65). */
export const relayListEvent = (
  relays: { readonly write?: ReadonlyArray<string>; readonly read?: ReadonlyArray<string> },
  author: Author = "author",
  created_at: number = epoch
): Event =>
  signed({
    kind: 10002,
    created_at,
    tags: [
      ...(relays.write ?? []).map((url) => ["r", url, "write"]),
      ...(relays.read ?? []).map((url) => ["r", url, "read"])
    ]
  }, author)

/** A kind 10050 event: relays for direct messages (NIP-17). */
export const dmRelaysEvent = (
  relays: ReadonlyArray<string>,
  author: Author = "author",
  created_at: number = epoch
): Event => signed({ kind: 10050, created_at, tags: relays.map((url) => ["relay", url]) }, author)

/** A kind 5 event: its author asks for the removal of these events (NIP-09). */
export const deletionEvent = (
  ids: ReadonlyArray<string>,
  author: Author = "author",
  created_at: number = epoch + 1
): Event => signed({ kind: 5, created_at, tags: ids.map((id) => ["e", id]) }, author)

/** Other content under the old id and signature: what a relay sees when somebody edits an event on its way. */
export const withEditedContent = (event: Event): Event => ({ ...event, content: `${event.content} ` })
