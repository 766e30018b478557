/**
 * What a query found, on its way from the reader's thread: all events in one buffer, which is handed over for nothing,
 * where as many strings would be copied twice.
 */
import type { QueryResult } from "./Database.ts"
import type { ReadAnswer, Selection } from "./SqliteReader.ts"

export interface PackedSelection {
  readonly asOf: number
  readonly complete: boolean
  /** Canonical JSON of the events in UTF-8, one after the other. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Where each one ends. */
  readonly ends: Uint32Array<ArrayBuffer>
}

/** What the thread answers: as the reader does, but for events. */
export type ThreadAnswer = Exclude<ReadAnswer, Selection> | PackedSelection

export const pack = ({ asOf, complete, events }: Selection): PackedSelection => {
  const ends = new Uint32Array(events.length)
  let end = 0
  events.forEach((event, i) => {
    ends[i] = end += Buffer.byteLength(event)
  })
  const bytes = new Uint8Array(end)
  const text = Buffer.from(bytes.buffer)
  end = 0
  for (const event of events) end += text.write(event, end)
  return { asOf, complete, bytes, ends }
}

/** Its events are views of the buffer. */
export const unpack = ({ asOf, bytes, complete, ends }: PackedSelection): QueryResult => {
  const events: Array<Uint8Array> = []
  let start = 0
  for (const end of ends) {
    events.push(bytes.subarray(start, end))
    start = end
  }
  return { asOf, complete, events }
}
