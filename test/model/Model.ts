/**
 * What a client of an open relay should see, by a reference that keeps lists and looks through all of them.
 *
 * It knows of the relay's rules what the NIPs say: 1 (kinds, filters, answers), 9, 40, 42, 45, 67, 70, 77, and who may read
 * private messages. Times stand still: nothing in it expires while a test runs.
 */
import { type Event, isEphemeral, isReplaceable, newestFirst, wins } from "../../src/domain/Event.ts"

export interface WireFilter {
  readonly ids?: ReadonlyArray<string>
  readonly authors?: ReadonlyArray<string>
  readonly kinds?: ReadonlyArray<number>
  readonly "#p"?: ReadonlyArray<string>
  readonly limit?: number
}

/** A frame as it is compared: a reason by its prefix only, a count without its registers. */
export type Expected = ReadonlyArray<unknown>

const privateKinds: ReadonlySet<number> = new Set([4, 1059])

/** Stands for either hint of NIP-67. */
export const anyHint = ["finish or more"]

export class Model {
  readonly subscriptionsMax: number
  #stored: Array<Event> = []
  /** Author and id of what its author took back, whether it ever came or not. */
  readonly #deleted = new Set<string>()
  readonly #keys = new Set<string>()
  readonly #open = new Map<string, ReadonlyArray<WireFilter>>()

  constructor(subscriptionsMax: number) {
    this.subscriptionsMax = subscriptionsMax
  }

  mayRead(event: Event): boolean {
    return !privateKinds.has(event.kind) || this.#keys.has(event.pubkey) ||
      event.tags.some(([name, value]) => name === "p" && this.#keys.has(value ?? ""))
  }

  matches(filter: WireFilter, event: Event): boolean {
    return (filter.ids?.includes(event.id) ?? true) && (filter.authors?.includes(event.pubkey) ?? true) &&
      (filter.kinds?.includes(event.kind) ?? true) &&
      (filter["#p"] === undefined ||
        event.tags.some(([name, value]) => name === "p" && filter["#p"]?.includes(value ?? "") === true))
  }

  /** All that a filter finds, in order, its limit aside. */
  find(filter: WireFilter): ReadonlyArray<Event> {
    return this.#stored.filter((event) => this.matches(filter, event) && this.mayRead(event)).toSorted(newestFirst)
  }

  /** The prefix by which asking for that is refused. */
  refusal(filters: ReadonlyArray<WireFilter>): string | undefined {
    for (const { authors, kinds, "#p": addressees } of filters) {
      if (kinds?.some((kind) => privateKinds.has(kind)) !== true) continue
      if (this.#keys.size === 0) return "auth-required"
      const named = [...(authors ?? []), ...(addressees ?? [])]
      if ((authors !== undefined || addressees !== undefined) && !named.some((key) => this.#keys.has(key))) {
        return "restricted"
      }
    }
    return undefined
  }

  authenticate(event: Event, isRight: boolean): ReadonlyArray<Expected> {
    if (isRight) this.#keys.add(event.pubkey)
    return [["OK", event.id, isRight, isRight ? "" : "invalid"]]
  }

  publish(event: Event, isForged: boolean): ReadonlyArray<Expected> {
    const refused = (prefix: string): ReadonlyArray<Expected> => [["OK", event.id, false, prefix]]
    if (event.tags.some(([name]) => name === "-") && !this.#keys.has(event.pubkey)) {
      return refused(this.#keys.size === 0 ? "auth-required" : "restricted")
    }
    if (this.#isDeleted(event)) return refused("blocked")
    if (this.#stored.some(({ id }) => id === event.id)) return [["OK", event.id, true, "duplicate"]]
    const rival = isReplaceable(event.kind)
      ? this.#stored.find(({ kind, pubkey }) => kind === event.kind && pubkey === event.pubkey)
      : undefined
    if (rival !== undefined && wins(rival, event)) return refused("invalid")
    if (isForged) return refused("invalid")
    const live = [...this.#open].filter(([, filters]) => filters.some((filter) => this.matches(filter, event)))
      .filter(() => this.mayRead(event)).map(([id]): Expected => ["EVENT", id, event.id])
    if (isEphemeral(event.kind)) return live.length === 0 ? refused("mute") : [["OK", event.id, true, ""], ...live]
    this.#stored = [...this.#stored.filter((other) => other !== rival), event]
    if (event.kind === 5) this.#delete(event)
    return [["OK", event.id, true, ""], ...live]
  }

  #delete(deletion: Event): void {
    for (const [name, id] of deletion.tags) if (name === "e") this.#deleted.add(`${deletion.pubkey} ${id}`)
    this.#stored = this.#stored.filter((event) => !this.#isDeleted(event))
  }

  /** A deletion cannot be deleted, nor what is never stored. */
  #isDeleted({ id, kind, pubkey }: Event): boolean {
    return kind !== 5 && !isEphemeral(kind) && this.#deleted.has(`${pubkey} ${id}`)
  }

  request(id: string, filters: ReadonlyArray<WireFilter>): ReadonlyArray<Expected> {
    this.#open.delete(id)
    if (this.#open.size >= this.subscriptionsMax) return [["CLOSED", id, "rate-limited"]]
    const refusal = this.refusal(filters)
    if (refusal !== undefined) return [["CLOSED", id, refusal]]
    this.#open.set(id, filters)
    const parts = filters.map((filter) => this.find(filter))
    const limited = parts.map((events, i) => events.slice(0, filters[i]?.limit ?? Infinity))
    const isCut = parts.some((events, i) => events.length > (filters[i]?.limit ?? Infinity))
    // Where a limit was reached exactly, looking further is more than a relay has to do, and "more" is always allowed.
    const isFull = parts.some((events, i) => events.length === filters[i]?.limit)
    const hint = isCut ? ["more"] : isFull ? anyHint : ["finish"]
    const events = [...new Set(limited.flat())].toSorted(newestFirst)
    return [...events.map((event): Expected => ["EVENT", id, event.id]), ["EOSE", id, hint]]
  }

  close(id: string): ReadonlyArray<Expected> {
    this.#open.delete(id)
    return []
  }

  count(id: string, filters: ReadonlyArray<WireFilter>): ReadonlyArray<Expected> {
    const refusal = this.refusal(filters)
    if (refusal !== undefined) {
      this.#open.delete(id)
      return [["CLOSED", id, refusal]]
    }
    return [["COUNT", id, new Set(filters.flatMap((filter) => this.find(filter))).size]]
  }
}
