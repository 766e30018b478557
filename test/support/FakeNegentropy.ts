/**
 * The relay's side of NIP-77 for a fake upstream: told of a message, it answers it where it is one of a reconciliation.
 *
 * Both fakes take it: `FakeUpstream.make({ play: negentropy.play })`, and on the test clock before a relay's own answer.
 */
import { hash } from "node:crypto"
import type { UpstreamEvents } from "../../src/demo/UpstreamEvents.ts"
import { ItemSet } from "../../src/domain/negentropy/ItemSet.ts"
import { respond } from "../../src/domain/negentropy/Session.ts"
import type { SortedItems } from "../../src/domain/negentropy/SortedItems.ts"

export interface Options {
  /** Windows of more items are refused: `blocked: this query is too big`. */
  readonly itemsMax?: number
  /** Says this instead of an answer: a NEG-ERR, a NOTICE, a CLOSED, garbage, or nothing where it is undefined. */
  readonly instead?: (id: string) => ReadonlyArray<unknown> | undefined
  /** Bytes of a message. */
  readonly frameBytesMax?: number
}

export interface Opened {
  readonly since: number
  readonly until: number
  /** Items of the relay's own. */
  readonly size: number
}

export interface FakeNegentropy {
  readonly play: (
    message: ReadonlyArray<unknown>,
    say: (...frames: ReadonlyArray<unknown>) => void,
    events: UpstreamEvents
  ) => boolean
  /** Windows asked for, in order. */
  readonly opened: ReadonlyArray<Opened>
  /** Ids of reconciliations that have not been closed. */
  readonly open: ReadonlySet<string>
  /** Changes how it behaves from now on. */
  readonly behave: (options: Options) => void
}

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer")

export const make = (initial: Options = {}): FakeNegentropy => {
  const opened: Array<Opened> = []
  const sessions = new Map<string, SortedItems>()
  let options = initial

  const answer = (id: string, hex: string, say: (frame: unknown) => void) => {
    const items = sessions.get(id)
    if (items === undefined) return say(["NEG-ERR", id, "closed: no such subscription"])
    const slices = respond(items, Buffer.from(hex, "hex"), { frameBytesMax: options.frameBytesMax ?? 60_000, sha256 })
    let slice = slices.next()
    while (slice.done !== true) slice = slices.next()
    const { value } = slice
    say(
      value._tag === "Message"
        ? ["NEG-MSG", id, Buffer.from(value.bytes).toString("hex")]
        : ["NEG-ERR", id, `invalid: ${value.problem}`]
    )
  }

  const begin = (id: string, filter: Readonly<Record<string, unknown>>, events: UpstreamEvents): boolean => {
    const items = new ItemSet()
    // As a relay that keeps an index: what its pages hide is in it.
    for (const event of events.all(filter)) {
      items.insert(event.created_at, Buffer.from(event.id, "hex"))
    }
    opened.push({ since: Number(filter["since"]), until: Number(filter["until"]), size: items.size })
    sessions.set(id, items.snapshot())
    return items.size <= (options.itemsMax ?? Number.POSITIVE_INFINITY)
  }

  return {
    opened,
    get open() {
      return new Set(sessions.keys())
    },
    behave: (next) => void (options = next),
    play: ([type, id, third, fourth], say, events) => {
      if (typeof id !== "string" || typeof type !== "string" || !type.startsWith("NEG-")) return false
      if (type === "NEG-CLOSE") sessions.delete(id)
      else if (options.instead !== undefined) {
        const frame = options.instead(id)
        if (frame !== undefined) say(frame)
      } else if (type === "NEG-MSG") answer(id, String(third), say)
      else if (begin(id, third as Readonly<Record<string, unknown>>, events)) answer(id, String(fourth), say)
      else {
        sessions.delete(id)
        say(["NEG-ERR", id, "blocked: this query is too big", options.itemsMax])
      }
      return true
    }
  }
}
