/**
 * How fast the machine is today: virtual machines of one name and one size differ by half and more.
 *
 * The yardstick is CPU of this thread for one event of 1 kB, from a frame's bytes to a checked signature. On the machine
 * that the references of `docs/performance.md` were measured on it took 38 µs with libsecp256k1; with another engine it says
 * nothing.
 */
import { hash } from "node:crypto"
import type { Engine } from "../../src/crypto/engines/Engine.ts"
import { selectEngine } from "../../src/crypto/engines/EngineSelection.ts"
import { pack, verdictValid, verifyRecords } from "../../src/crypto/protocol.ts"
import { canonical, type Event } from "../../src/domain/Event.ts"
import { block } from "./Corpus.ts"
import { median } from "./Measures.ts"

/** Microseconds. */
export const reference = 38

const engineName = "libsecp256k1"
/** Events between two looks at the clock, and how many times. */
const batch = 200
const batches = 7

const check = (engine: Engine, frame: Buffer): boolean => {
  const event = JSON.parse(frame.toString("utf8")) as Event
  return hash("sha256", canonical(event), "hex") === event.id &&
    verifyRecords(engine, pack([event]))[0] === verdictValid
}

/** Microseconds, or undefined where the library is not installed. */
export const measure = async (): Promise<number | undefined> => {
  const { engine } = await selectEngine(engineName)
  if (engine.name !== engineName) return undefined
  const frames = block("profiles", 0).slice(0, batch).map((raw) => Buffer.from(raw))
  const micros = Array.from({ length: batches }, () => {
    const before = process.threadCpuUsage()
    for (const frame of frames) if (!check(engine, frame)) throw new Error("a made-up event is not valid")
    const { system, user } = process.threadCpuUsage(before)
    return (system + user) / frames.length
  })
  return median(micros)
}
