/**
 * What the main thread and a verifier thread say to each other. Plain data, and no Effect: the thread imports this.
 *
 * A job is packed records in one buffer, its answer one byte per record in the same order. Both buffers are transferred,
 * not copied. The main thread ends a thread by closing the port; a thread has nothing to clean up and just runs out.
 */
import type { MessagePort } from "node:worker_threads"
import { isHex } from "../domain/Event.ts"
import type { Engine } from "./engines/Engine.ts"
import type { EnginePreference, Refusal } from "./engines/EngineSelection.ts"

/** Bytes of one record: x-only public key (32), event id (32), signature (64). */
export const recordBytes = 128

/** Answer bytes. */
export const verdictValid = 1
const verdictInvalid = 0

/** What a thread is started with. */
export interface ThreadData {
  readonly port: MessagePort
  readonly preference: EnginePreference
}

/** Main thread to verifier thread. */
export interface Job {
  /** Echoed in the answer. */
  readonly job: number
  /** A multiple of `recordBytes`. */
  readonly records: Uint8Array<ArrayBuffer>
}

/** The first message of a thread: it has an engine and will answer jobs. */
export interface Ready {
  readonly engine: Engine["name"]
  readonly refused: ReadonlyArray<Refusal>
}

export interface Answer {
  readonly job: number
  readonly verdicts: Uint8Array<ArrayBuffer>
}

/** The three hex fields of an event that its record holds. */
export interface Signed {
  readonly pubkey: string
  readonly id: string
  readonly sig: string
}

/** Lower-case hex of the length its field has (NIP-01). Other spellings would give one signature several forms. */
export const wellFormed = ({ pubkey, id, sig }: Signed): boolean =>
  isHex(pubkey, 64) && isHex(id, 64) && isHex(sig, 128)

/** Packs well-formed events, in order. */
export const pack = (events: ReadonlyArray<Signed>): Uint8Array<ArrayBuffer> => {
  const records = Buffer.from(new ArrayBuffer(events.length * recordBytes))
  let at = 0
  for (const { pubkey, id, sig } of events) {
    records.write(pubkey, at, 32, "hex")
    records.write(id, at + 32, 32, "hex")
    records.write(sig, at + 64, 64, "hex")
    at += recordBytes
  }
  return records
}

/** Checks every record of a job. */
export const verifyRecords = (engine: Engine, records: Uint8Array): Uint8Array<ArrayBuffer> => {
  const count = Math.floor(records.length / recordBytes)
  const verdicts = new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const at = i * recordBytes
    const pubkey = records.subarray(at, at + 32)
    const id = records.subarray(at + 32, at + 64)
    const sig = records.subarray(at + 64, at + recordBytes)
    verdicts[i] = engine.verify(id, pubkey, sig) ? verdictValid : verdictInvalid
  }
  return verdicts
}
