/**
 * What a query found, on its way from the reader's thread: all events in one buffer, which is handed over for nothing,
 * where as many strings would be copied twice. For a subscription, they are messages to it already.
 */
import { eventHead } from "../../../domain/RelayMessage.ts"
import { frameBytes, writeHeader } from "../../../domain/TextFrame.ts"
import type { StoredEvent } from "../../Database.ts"
import type { ReadAnswer, Selection } from "../SqliteReader.ts"
import type { AnswerBuffers } from "./AnswerBuffers.ts"

export interface PackedSelection {
  readonly asOf: number
  readonly complete: boolean
  /** At the start of its buffer: canonical JSON of the events in UTF-8, or the messages made of them, one after the other. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Where each one ends. */
  readonly ends: Uint32Array<ArrayBuffer>
}

/** What the thread answers: as the reader does, but for events. */
export type ThreadAnswer = Exclude<ReadAnswer, Selection> | PackedSelection

const closingBracket = 0x5d

/** Bytes of a message around an event of that size. */
const payloadOf = (head: Uint8Array, size: number): number => head.length + size + 1

/** `subscription`: the name of the one that the events are for, framed as EVENT messages (NIP-01); absent: just the events. */
export const pack = (
  { asOf, complete, events }: Selection,
  buffers: AnswerBuffers,
  subscription?: string
): PackedSelection => {
  const sizes = events.map((event) => Buffer.byteLength(event))
  const head = subscription === undefined ? undefined : Buffer.from(eventHead(subscription))
  const ends = new Uint32Array(events.length)
  let end = 0
  sizes.forEach((size, i) => {
    ends[i] = end += head === undefined ? size : frameBytes(payloadOf(head, size))
  })
  const buffer = buffers.take(end)
  const into = Buffer.from(buffer)
  let at = 0
  events.forEach((event, i) => {
    if (head !== undefined) {
      at = writeHeader(into, at, payloadOf(head, sizes[i]!))
      into.set(head, at)
      at += head.length
    }
    at += into.write(event, at)
    if (head !== undefined) into[at++] = closingBracket
  })
  return { asOf, complete, bytes: new Uint8Array(buffer, 0, end), ends }
}

/** The events, as views of the buffer. */
export const unpack = ({ bytes, ends }: PackedSelection): ReadonlyArray<StoredEvent> => {
  const events: Array<Uint8Array> = []
  let start = 0
  for (const end of ends) {
    events.push(bytes.subarray(start, end))
    start = end
  }
  return events
}
