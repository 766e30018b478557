/** What a relay holds that cannot reconcile: found by asking for all of it, a page at a time (NIP-01). */
import type { UpstreamMessage } from "../aggregation/upstream/UpstreamMessage.ts"
import type { Event } from "../domain/Event.ts"
import { type Filter, matches, wireOf } from "../domain/Filter.ts"
import * as HarvestWindow from "../domain/HarvestWindow.ts"

/** Events asked for at a time. */
const pageSize = 500

type Sent = Extract<UpstreamMessage, { readonly _tag: "Event" }>

export class SyncPages {
  /** Ids that the relay has shown. */
  readonly theirs = new Set<string>()
  /** Seconds of which it may hold more events than it hands out. */
  saturated = 0
  readonly #filter: Filter
  readonly #walks: Array<HarvestWindow.Walk>

  /** `now`: Unix seconds; what is dated later is not asked for, unless the filter does. */
  constructor(filter: Filter, now: number) {
    this.#filter = filter
    this.#walks = [HarvestWindow.walk([filter.since ?? 0, filter.until ?? now], pageSize)]
  }

  /** The next question; undefined when all is known. */
  get question(): Readonly<Record<string, unknown>> | undefined {
    const at = this.#walks.at(-1)
    if (at === undefined) return undefined
    return wireOf({ ...this.#filter, since: at.since, until: at.until, limit: at.limit })
  }

  /** Its answer; gives the events that have not come before. */
  take(events: ReadonlyArray<Sent>, finished: boolean): ReadonlyArray<Event> {
    const at = this.#walks.pop()
    if (at === undefined) return []
    const marks = events.filter(({ created_at, event }) =>
      created_at >= at.since && created_at <= at.until && (event === undefined || matches(this.#filter, event))
    )
    const step = HarvestWindow.advance(at, { events: marks, finished }, pageSize)
    if (step.saturated !== undefined) this.saturated++
    this.#walks.push(...step.next.toReversed())
    const fresh: Array<Event> = []
    for (const { event, id } of marks) {
      if (this.theirs.has(id)) continue
      this.theirs.add(id)
      if (event !== undefined) fresh.push(event)
    }
    return fresh
  }
}
