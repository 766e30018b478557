/** The events of every world: made once, with signatures that only the fake engine believes. */
import { hash } from "node:crypto"
import { canonical, type Event } from "../../src/domain/Event.ts"
import { epoch, goodProfile } from "../support/events.ts"
import { notesMax } from "./Plan.ts"
import { begin } from "./World.ts"

const made = (author: string, fields: Pick<Event, "kind" | "content" | "created_at">): Event => {
  const unsigned = { pubkey: hash("sha256", author), tags: [], ...fields }
  return { id: hash("sha256", canonical(unsigned)), ...unsigned, sig: "a".repeat(128) }
}

/** A signature that the fake engine does not believe. */
export const forged = (event: Event): Event => ({ ...event, sig: "0".repeat(128) })

export const notes: ReadonlyArray<Event> = Array.from(
  { length: notesMax },
  (_, n) => made(`author ${n % 7}`, { kind: 1, content: `note ${n}`, created_at: epoch + n })
)

const profile = (owner: string, n: number, created_at: number) =>
  made(`${owner} ${n}`, { kind: 0, content: JSON.stringify({ ...goodProfile, name: `person ${n}` }), created_at })

/** What an upstream has from the beginning, at two per second. */
export const profiles = (upstream: number, count: number): ReadonlyArray<Event> =>
  Array.from({ length: count }, (_, n) => profile(`upstream ${upstream}`, n, epoch - (n >> 1)))

/** What comes to it while the run goes on. */
export const liveProfile = (upstream: number, n: number): Event =>
  profile(`live ${upstream}`, n, Math.floor(begin / 1000) - 60 + n)
