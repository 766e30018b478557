/** A database thread that does as it is told: answers, dies, or says nothing for ever. */
import { parentPort } from "node:worker_threads"
import type { ToThread } from "../../src/database/sqlite/thread/threadProtocol.ts"

const port = parentPort!
port.on("message", (message: ToThread<"answer" | "throw" | "exit" | "hang" | "fail">) => {
  if (message._tag === "Close") {
    port.postMessage({ _tag: "Closed", detail: "closed" }, [])
    port.close()
    return
  }
  if (message._tag === "Cancel") return
  if (message.payload === "throw") throw new Error("out of order")
  if (message.payload === "exit") process.exit(3)
  if (message.payload === "answer") port.postMessage({ _tag: "Answer", id: message.id, payload: "answered" }, [])
  if (message.payload === "fail") port.postMessage({ _tag: "Failed", id: message.id, detail: "no" }, [])
})
port.postMessage({ _tag: "Ready" }, [])
