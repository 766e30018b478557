/** A verifier thread that breaks at its first job, or before; how, stands where its engine's name would. */
import { workerData } from "node:worker_threads"
import type { Ready, ThreadData } from "../../src/crypto/protocol.ts"

export type Fault = "throw" | "reject" | "exit" | "memory" | "spin" | "throw at start" | "mute"

const { port, preference: how } = workerData as Omit<ThreadData, "preference"> & { readonly preference: Fault }

const fill = () => {
  const kept: Array<unknown> = []
  for (;;) kept.push(Array.from({ length: 100_000 }, () => ({})))
}
const spin = () => {
  for (;;);
}

const breakDown = () => {
  switch (how) {
    case "throw":
      throw new Error("on purpose")
    case "reject":
      void Promise.reject(new Error("on purpose"))
      break
    case "exit":
      process.exit(3)
      break
    case "memory":
      fill()
      break
    case "spin":
      spin()
      break
    default:
      throw new Error(`how should it break? ${how}`)
  }
}

if (how === "throw at start") throw new Error("on purpose")
if (how !== "mute") {
  port.on("message", breakDown)
  port.postMessage({ engine: "wasm", refused: [] } satisfies Ready)
} else port.on("message", () => {})
