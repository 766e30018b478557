/** Which stored events an answer shows: those that match, that whoever asks may read, and that nobody has taken away. */
import type { Event } from "../../domain/Event.ts"
import { type Filter, matches } from "../../domain/Filter.ts"
import { isPrivate, mayRead } from "../../domain/PrivateMessage.ts"
import type { AskedBy } from "../Database.ts"
import type * as Hidden from "./Hidden.ts"
import { idOfRaw, kindOfRaw, pubkeyOfRaw } from "./rawEvent.ts"

/** Who asks, and what is gone for everybody who does. */
export interface View extends AskedBy {
  readonly isHidden: Hidden.IsHidden | undefined
}

type Test = (raw: string, seq: number) => boolean

/** May this event be shown? What is private is rare, so nothing else is parsed. */
export const viewer = ({ isHidden, readers }: View): Test => {
  if (readers === undefined) return isHidden === undefined ? () => true : (raw, seq) => !isHidden(raw, seq)
  const keys = new Set(readers)
  const isReadable = (raw: string) => !isPrivate(kindOfRaw(raw)) || mayRead(JSON.parse(raw) as Event, keys)
  return isHidden === undefined ? isReadable : (raw, seq) => isReadable(raw) && !isHidden(raw, seq)
}

/** Does it match, and may it be shown? */
export const matcher = (filter: Filter, { isHidden, readers }: View): Test => {
  const isWhole = wholeMatcher(filter)
  // Kinds were compared in full already.
  const isPublic = readers === undefined || filter.kinds?.some(isPrivate) === false
  if (isPublic && isHidden === undefined) return isWhole
  const isShown = viewer({ isHidden, readers: isPublic ? undefined : readers })
  return (raw, seq) => isWhole(raw) && isShown(raw, seq)
}

/** Decides on the full values, where the scan went by short keys. */
const wholeMatcher = (filter: Filter): (raw: string) => boolean => {
  const others = filter.tags !== undefined && filter.tags.size > 0
  if (others || (filter.ids !== undefined && (filter.kinds !== undefined || filter.authors !== undefined))) {
    return (raw) => matches(filter, JSON.parse(raw) as Event)
  }
  const ids = filter.ids === undefined ? undefined : new Set(filter.ids)
  const authors = filter.authors === undefined ? undefined : new Set(filter.authors)
  return (raw) => (ids?.has(idOfRaw(raw)) ?? true) && (authors?.has(pubkeyOfRaw(raw)) ?? true)
}
