/** The events of every world: made once, with signatures that only the fake engine believes. */
import { hash } from "node:crypto"
import { canonical, type Event } from "../../src/domain/Event.ts"
import { epoch, goodProfile } from "../support/events.ts"
import { notesMax } from "./Plan.ts"

const made = (author: string, fields: Pick<Event, "kind" | "content" | "created_at">): Event => {
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
