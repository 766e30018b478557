/** How an upstream answers, as far as it has shown: kept, so that a restart need not find out again. */
import { Schema } from "effect"
import type { RecordWrite } from "../../database/Database.ts"
import { orderOf, type Page } from "../../domain/HarvestWindow.ts"
import * as Space from "../Space.ts"
import type { RelayLimits } from "../upstream/RelayLimits.ts"
import type { Progress } from "./HarvestStatus.ts"

/** By upstream. */
export const space = Space.versioned("manners", {
  /** Its pages come in no order, or now in one and now in the other: none proves anything by its order. */
  isUnordered: Schema.Boolean,
  /** Events that it takes to be asked for at a time, where it has refused more. */
  pageSizeMax: Schema.optionalKey(Schema.Int)
})
type Stored = Space.Value<typeof space>

/** Goes on with what was known. */
export const recall = (progress: Progress, stored: Stored | undefined): void => {
  progress.isUnordered ||= stored?.isUnordered ?? false
  progress.pageSizeMax = Math.min(progress.pageSizeMax, stored?.pageSizeMax ?? Infinity)
}

/** Goes by what it says beforehand: once in the life of a process, and at least one event or filter at a time. */
export const heed = (progress: Progress, { filtersMax, limitMax }: RelayLimits): void => {
  progress.isInformed = true
  progress.pageSizeMax = Math.min(progress.pageSizeMax, limitMax ?? Infinity)
  progress.filtersMax = filtersMax ?? Infinity
}

/** What to write of it. */
export const remember = ({ isUnordered, pageSizeMax, url }: Progress): RecordWrite =>
  space.put(url, { isUnordered, ...Number.isFinite(pageSizeMax) && { pageSizeMax } })

/** Looks at the order of a page; answers whether it has shown that there is none to go by. */
export const showsDisorder = (progress: Progress, events: Page["events"]): boolean => {
  if (progress.isUnordered) return false
  const order = orderOf(events)
  if (order === "one second") return false
  progress.isUnordered = order === "none" || (progress.order !== undefined && progress.order !== order)
  progress.order = order
  return progress.isUnordered
}
