/** The events of every world: made once, with signatures that only the fake engine believes. */
import { hash } from "node:crypto"
import { canonical, type Event } from "../../src/domain/Event.ts"
import { epoch, goodProfile } from "../support/events.ts"
import { notesMax } from "./Plan.ts"

const made = (author: string, fields: Pick<Event, "kind" | "content" | "created_at"> & Partial<Event>): Event => {
  const unsigned = { pubkey: hash("sha256", author), tags: [], ...fields }
  return { id: hash("sha256", canonical(unsigned)), ...unsigned, sig: "a".repeat(128) }
}

/** A signature that the fake engine does not believe. */
export const forged = (event: Event): Event => ({ ...event, sig: "0".repeat(128) })
export const isForged = ({ sig }: Event): boolean => sig.startsWith("00")

export const notes: ReadonlyArray<Event> = Array.from(
  { length: notesMax },
  (_, n) => made(`author ${n % 7}`, { kind: 1, content: `note ${n}`, created_at: epoch + n })
)

/** Tags of a heavy event, each of them indexed. */
const heavyTags = 20

/** What an author deletes with one request: so many events of its own, and so many that nobody has. */
const deletedOwn = 4
const deletedStrange = 14

const heavy = (author: number, n: number): Event =>
  made(`heavy ${author}`, {
    kind: 1,
    content: `heavy ${n}`,
    created_at: epoch + n,
    tags: Array.from({ length: heavyTags }, (_, tag) => ["t", `${author} ${n} ${tag}`])
  })

const deletion = (author: number, n: number): Event =>
  made(`heavy ${author}`, {
    kind: 5,
    content: `deletion ${n}`,
    created_at: epoch + 200 + n,
    tags: [
      ...Array.from({ length: deletedOwn }, (_, i) => ["e", heavy(author, deletedOwn * n + i).id]),
      ...Array.from({ length: deletedStrange }, (_, i) => ["e", hash("sha256", `${author} ${n} ${i}`)])
    ]
  })

const vanish = (author: number, n: number): Event =>
  made(`heavy ${author}`, {
    kind: 62,
    content: `vanish ${n}`,
    created_at: epoch + 1000 + n,
    tags: [["relay", "ALL_RELAYS"]]
  })

const makers = { heavy, deletion, vanish }

/** Of an author whose events are much work to store and to remove. */
export const burden = (what: keyof typeof makers, author: number, n: number): Event => {
  const name = `${what} ${author} ${n}`
  const event = burdens.get(name) ?? makers[what](author, n)
  burdens.set(name, event)
  return event
}
const burdens = new Map<string, Event>()

const profile = (owner: string, n: number, created_at: number) =>
  made(`${owner} ${n}`, { kind: 0, content: JSON.stringify({ ...goodProfile, name: `person ${n}` }), created_at })

/** What an upstream has from the beginning, at two per second. */
export const profiles = (upstream: number, count: number): ReadonlyArray<Event> => {
  const made = known.get(upstream) ??
    Array.from({ length: count }, (_, n) => profile(`upstream ${upstream}`, n, epoch - (n >> 1)))
  known.set(upstream, made)
  return made
}
const known = new Map<number, ReadonlyArray<Event>>()

/** What comes to it in a life that began then, in milliseconds since the epoch. */
export const liveProfile = (upstream: number, n: number, startsAt: number): Event =>
  profile(`live ${upstream}`, n, Math.floor(startsAt / 1000) - 60 + n)
