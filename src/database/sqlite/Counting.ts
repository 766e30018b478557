/** How many events there are (NIP-45), exactly or as a sketch that others can be added to. */
import type { DatabaseSync } from "node:sqlite"
import type { Filter } from "../../domain/Filter.ts"
import { HyperLogLog } from "../../domain/HyperLogLog.ts"
import { isPrivate } from "../../domain/PrivateMessage.ts"
import type { AskedBy, Sketch } from "../Database.ts"
import { prepare } from "./connection.ts"
import type * as FilterScan from "./FilterScan.ts"
import type * as Hidden from "./Hidden.ts"
import { pubkeyOfRaw } from "./rawEvent.ts"
import type { Snapshots, Work } from "./Snapshots.ts"
import { matcher } from "./View.ts"

/** Rows of an index that are counted at a time: half a millisecond. */
const countedPerStep = 8192

const isOnlyKinds = (filter: Filter): boolean =>
  filter.ids === undefined && filter.authors === undefined && (filter.tags === undefined || filter.tags.size === 0)

/** `now` of each question in Unix seconds. */
export const make = (db: DatabaseSync, snapshots: Snapshots, scan: FilterScan.Scan, hidden: Hidden.Hidden) => {
  const statements = {
    countKind: prepare(
      db,
      "SELECT count(*) FROM event INDEXED BY event_kind WHERE kind = ? AND created_at >= ? AND created_at <= ?"
    ),
    behindCounted: prepare(
      db,
      `SELECT created_at FROM event INDEXED BY event_kind WHERE kind = ? AND created_at >= ? AND created_at <= ?
        ORDER BY created_at DESC LIMIT 1 OFFSET ${countedPerStep}`
    ),
    countExpired: prepare(
      db,
      `SELECT count(*) FROM event INDEXED BY event_expiration
        WHERE expiration <= ? AND kind = ? AND created_at >= ? AND created_at <= ?`
    ),
    manyExpired: prepare(
      db,
      `SELECT 1 FROM event INDEXED BY event_expiration WHERE expiration <= ? LIMIT 1 OFFSET ${countedPerStep}`
    )
  }

  /** Rows of a kind, both ends inclusive: from the newest on, by whole seconds. */
  function* countKind(kind: number, since: number, until: number): Work<number> {
    const countOf = (from: number, to: number) => statements.countKind.get(kind, from, to)?.[0] as number
    let total = 0
    for (let last = until; last >= since;) {
      const behind = statements.behindCounted.get(kind, since, last)?.[0] as number | undefined
      if (behind === undefined) return total + countOf(since, last)
      total += countOf(behind, last)
      last = behind - 1
      yield
    }
    return total
  }

  /** Whole kinds are counted in their index, which has no row to read. */
  function* countKinds(kinds: ReadonlyArray<number>, filter: Filter, now: number): Work<number> {
    let total = 0
    for (const kind of new Set(kinds)) {
      const since = filter.since ?? 0
      const until = filter.until ?? Number.MAX_SAFE_INTEGER
      total += yield* countKind(kind, since, until)
      total -= statements.countExpired.get(now, kind, since, until)?.[0] as number
      yield
    }
    return total
  }

  const count = (
    filters: ReadonlyArray<Filter>,
    { now, readers }: { readonly now: number } & AskedBy
  ): Work<number> =>
    snapshots.run(function*() {
      const by = { readers, isHidden: hidden.now() }
      const [only] = filters
      // The index does not know who is on the way out, and what has expired is looked at row by row.
      const isIndexTrue = by.isHidden === undefined && statements.manyExpired.get(now) === undefined
      if (isIndexTrue && filters.length === 1 && only?.kinds !== undefined && isOnlyKinds(only)) {
        if (readers === undefined || !only.kinds.some(isPrivate)) return yield* countKinds(only.kinds, only, now)
      }
      const seen = new Set<number>()
      for (const filter of filters) {
        const isMatch = matcher(filter, by)
        for (const candidate of scan(filter, 1000, now)) {
          if (candidate === undefined) yield
          else if (candidate.raw !== null && isMatch(candidate.raw, candidate.seq)) seen.add(candidate.seq)
        }
      }
      return seen.size
    })

  const sketch = (
    filter: Filter,
    offset: number,
    { now, readers }: { readonly now: number } & AskedBy
  ): Work<Sketch> =>
    snapshots.run(function*() {
      const isMatch = matcher(filter, { readers, isHidden: hidden.now() })
      const authors = new HyperLogLog(offset)
      let count = 0
      for (const candidate of scan(filter, 1000, now)) {
        if (candidate === undefined) yield
        else if (candidate.raw !== null && isMatch(candidate.raw, candidate.seq)) {
          count++
          authors.add(pubkeyOfRaw(candidate.raw))
        }
      }
      return { count, hll: authors.toHex() }
    })

  return { count, sketch }
}
