/**
 * What a stranger's message makes us do: one unit for all of it, so that one limit bounds all of it. Pure.
 *
 * A unit is about a tenth of a millisecond of a thread, whichever that is. Bytes are paid for before anybody looks at them,
 * the rest once the message is decoded and before it is acted on. Estimates err upwards: they say what a message may cost, and
 * what is in the store decides what it does.
 */
import type { ClientMessage, Problem } from "./ClientMessage.ts"
import type { Filter } from "./Filter.ts"
import { workOf as entriesOf } from "./Work.ts"

/** Units of work, each about 0.1 ms of a thread. */
export type Work = number

/** Characters that are unmasked, scanned, parsed and thrown away for one unit, of the JSON that is worst for that. */
const charactersPerUnit = 1536

/** Values of a filter that are looked up for one unit. */
const valuesPerUnit = 20

/** Rows that are read and sent for one unit, of those a filter asks for; one that does not say is guessed. */
const rowsPerUnit = 100
const rowsGuess = 500
const rowsMax = 5000

/** A frame that has to be taken apart, whatever it says. */
const frameWork: Work = 0.05

/** A signature, and a place in a transaction, beside its index entries. */
const eventWork: Work = 0.75
const signatureWork: Work = 2

/** Index entries (`Work.ts`) that are written or removed for one unit, where each takes as long as one may. */
const entriesPerUnit = 10

/** Of a message of so many characters, before it is looked at. */
export const workOfText = (characters: number): Work => frameWork + characters / charactersPerUnit

const workOfFilter = ({ authors, ids, kinds, limit, tags }: Filter): Work => {
  let values = (ids?.length ?? 0) + (authors?.length ?? 0) + (kinds?.length ?? 0)
  for (const list of tags?.values() ?? []) values += list.length
  const rows = Math.min(limit ?? rowsGuess, rowsMax, ids?.length ?? rowsMax)
  return values / valuesPerUnit + rows / rowsPerUnit
}

/** Of what a message asks for, beside its text. Nothing for what only gives something back. */
export const workOfMessage = (message: ClientMessage | Problem): Work => {
  switch (message._tag) {
    case "EVENT":
      // Its text is paid for already.
      return eventWork + entriesOf(message.event, 0) / entriesPerUnit
    case "AUTH":
      return signatureWork
    case "REQ":
      return message.filters.reduce((work, filter) => work + workOfFilter(filter), 1)
    case "COUNT":
      return message.filters.reduce((work, filter) => work + 10 + workOfFilter(filter), 10)
    case "NEG-OPEN":
      return 50 + workOfFilter(message.filter)
    case "NEG-MSG":
      return 5 + message.message.length / 1024
    case "Problem":
      return 1
    default:
      return 0
  }
}
