/** Proof of work on an event's id (NIP-13). */
import { type Event, tagValue } from "./Event.ts"

/** Leading zero bits of a hex text; all of them for one of zeroes only. */
export const leadingZeroBits = (hex: string): number => {
  let digits = 0
  while (digits < hex.length && hex.charCodeAt(digits) === 48) digits++
  if (digits === hex.length) return 4 * digits
  // A digit of four bits, in the low end of 32.
  return 4 * digits + Math.clz32(Number.parseInt(hex.charAt(digits), 16)) - 28
}

/** The difficulty that the author meant to reach; undefined without a readable third element of a `nonce` tag. */
export const committedTarget = (event: Pick<Event, "tags">): number | undefined => {
  const target = event.tags.find(([name]) => name === "nonce")?.[2]
  return target !== undefined && /^\d{1,3}$/.test(target) ? Number(target) : undefined
}

export type ProofProblem = `difficulty ${number} is less than ${number}` | `target ${number} is less than ${number}`

/**
 * What is missing for `difficulty` bits, or undefined. A target below that is refused even where the id happens to have
 * the bits: its author worked for less, and was lucky (NIP-13, "Mining").
 */
export const proofProblem = (event: Pick<Event, "id" | "tags">, difficulty: number): ProofProblem | undefined => {
  if (difficulty <= 0) return undefined
  const bits = leadingZeroBits(event.id)
  if (bits < difficulty) return `difficulty ${bits} is less than ${difficulty}`
  const target = tagValue(event, "nonce") === undefined ? undefined : committedTarget(event)
  return target !== undefined && target < difficulty ? `target ${target} is less than ${difficulty}` : undefined
}
