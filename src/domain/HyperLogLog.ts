/**
 * How many different authors there are, in 256 bytes that relays can be added up by (NIP-45, "HyperLogLog").
 *
 * Authors are counted, not events: a client takes the larger of two relays' registers, place by place, and nobody who is
 * known to both counts twice. Which bytes of a pubkey are looked at depends on what was asked for, so that nobody can mine
 * keys that spoil every count.
 */
import { isHex } from "./Event.ts"
import type { Filter } from "./Filter.ts"
import { leadingZeroBits } from "./ProofOfWork.ts"

const registerCount = 256

/** The hash of a text, in hex. */
export type Sha256Hex = (text: string) => string

/** The pubkey of an address (`kind:pubkey:d`), or undefined. */
const pubkeyOfAddress = (value: string): string | undefined => {
  const [, pubkey, ...rest] = value.split(":")
  return rest.length > 0 && isHex(pubkey, 64) ? pubkey : undefined
}

/**
 * Where in a pubkey to look, in bytes, 8 to 23. Undefined where the NIP defines nothing: it does for a single filter with
 * a single tag condition, whose first value decides.
 */
export const offsetOf = (filters: ReadonlyArray<Filter>, sha256: Sha256Hex): number | undefined => {
  const [filter] = filters
  if (filters.length !== 1 || filter?.tags?.size !== 1) return undefined
  const [[value]] = [...filter.tags.values()] as [ReadonlyArray<string>]
  if (value === undefined) return undefined
  const hex = isHex(value, 64) ? value : pubkeyOfAddress(value) ?? sha256(value)
  return Number.parseInt(hex.charAt(32), 16) + 8
}

export class HyperLogLog {
  readonly #registers = new Uint8Array(registerCount)
  readonly #offset: number

  /** `offset` as `offsetOf` says. */
  constructor(offset: number) {
    this.#offset = offset
  }

  /** Counts an author, 64 hex characters; again makes no difference. */
  add(pubkey: string): void {
    const at = 2 * this.#offset
    const register = Number.parseInt(pubkey.slice(at, at + 2), 16)
    const value = leadingZeroBits(pubkey.slice(at + 2)) + 1
    if (value > (this.#registers[register] ?? 0)) this.#registers[register] = value
  }

  /** 512 hex characters, as in a COUNT message. */
  toHex(): string {
    return Array.from(this.#registers, (value) => value.toString(16).padStart(2, "0")).join("")
  }
}
