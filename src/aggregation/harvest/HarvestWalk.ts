/**
 * One page of a walk backwards through what an upstream has: asked for, and read with suspicion.
 */
import { Effect } from "effect"
import type { Event } from "../../domain/Event.ts"
import { type Filter, matches } from "../../domain/Filter.ts"
import { networkBegin, type Page, type Walk } from "../../domain/HarvestWindow.ts"
import type { PageAnswer, PagedConnection } from "../upstream/PagedConnection.ts"
import * as Refusal from "../upstream/Refusal.ts"
import { UpstreamError } from "../upstream/UpstreamError.ts"

/** Where reading backwards ends. Sent as `since`: some relays take a small `until` for none and start again at the top. */
export const floor = networkBegin

/** Seconds before the present that are never taken for covered: relays hand events on late. */
export const overlap = 300

/** An upstream that refuses so small a page does not mind its size. */
const pageSizeMin = 50

/** A page, and the walk that it answers: it may have had to ask for less. */
export interface Answered {
  readonly at: Walk
  readonly answer: PageAnswer
}

/** A page may be refused for its size; it is asked for again, smaller. */
export const ask = (connection: PagedConnection, filter: Filter, at: Walk): Effect.Effect<Answered, UpstreamError> =>
  connection.page({ ...filter, since: at.since, until: at.until, limit: at.limit }).pipe(
    Effect.map((answer) => ({ at, answer })),
    Effect.catch((error) => {
      const smaller = Math.floor(at.limit / 2)
      const isSize = error.reason === "refused" && !Refusal.isFinal(error.detail) && smaller >= pageSizeMin
      return isSize ? ask(connection, filter, { ...at, limit: smaller }) : Effect.fail(error)
    })
  )

export interface PageRead {
  readonly page: Page
  /** What has not been brought by an earlier page. */
  readonly fresh: ReadonlyArray<Event>
  /** Events of the page that nobody asked for. */
  readonly strange: number
}

/** Nothing that was asked for, and something else, is no proof that there is nothing. */
export const strangePage = () =>
  new UpstreamError({ reason: "misbehaved", detail: "a page of events that were not asked for" })

/** Reads what a page brought; fails when it cannot be an answer to what was asked. */
export const readPage = (filter: Filter, { answer, at }: Answered): Effect.Effect<PageRead, UpstreamError> => {
  // What is too large for us, or not quite an event, still marks how far the page reaches.
  const marks = answer.events.filter(({ created_at, event }) =>
    created_at >= at.since && created_at <= at.until && (event === undefined || matches(filter, event))
  )
  const isBelow = answer.events.every(({ created_at }) => created_at < at.since)
  if (marks.length === 0 && !isBelow) return Effect.fail(strangePage())
  const fresh = new Map<string, Event>()
  for (const { event } of marks) if (event !== undefined && !at.seen.has(event.id)) fresh.set(event.id, event)
  return Effect.succeed({
    page: { events: marks, finished: answer.finished },
    fresh: [...fresh.values()],
    strange: answer.events.length - marks.length
  })
}
