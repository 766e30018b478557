/**
 * Entry of the ingester's thread: owns the writing connection, applies one batch per message.
 *
 * Imports nothing but the store, as a thread that loads Effect takes ten times as long to start.
 */
import { parentPort, workerData } from "node:worker_threads"
import { collecting, lookAfter, resting } from "../../../lifecycle/garbage.ts"
import { messageOf } from "../../../observability/messageOf.ts"
import type { StoreAnswer, StoreRequest, SweepAnswer } from "../../storeProtocol.ts"
import { connect } from "../connection.ts"
import * as FileWatch from "../FileWatch.ts"
import type { WatchedFile } from "../FileWatch.ts"
import * as Reserve from "../Reserve.ts"
import { SqliteStore } from "../SqliteStore.ts"
import type { FromThread, ToThread } from "./threadProtocol.ts"

const port = parentPort!
const { file, progress, relayUrl } = workerData as {
  readonly file: WatchedFile
  readonly relayUrl: string
  /** Counted up whenever something was done, for whoever waits (`SqliteWriter.ts`). */
  readonly progress: SharedArrayBuffer
}
const counter = new Int32Array(progress)
const store = new SqliteStore(
  connect(file.path, "writer"),
  relayUrl,
  () => void Atomics.add(counter, 0, 1),
  () => Reserve.isCramped(file.path)
)
const look = FileWatch.make(file)

/** Whatever it is, it is on disk, in the file that will be opened next time. */
const answer = (request: StoreRequest): StoreAnswer | SweepAnswer => {
  const answer = store.request(request)
  look()
  return answer
}

const say = (message: FromThread<StoreAnswer | SweepAnswer>) => port.postMessage(message)

const giveBack = collecting()
let isWatching = false

/** What many writes have left is given back once there are few. */
const watch = (isResting = resting()) => {
  isWatching = true
  setTimeout(() => {
    isWatching = false
    if (isResting()) giveBack()
    else watch(isResting)
  }, lookAfter).unref()
}

port.on("message", (message: ToThread<StoreRequest>) => {
  switch (message._tag) {
    case "Request": {
      const { id, payload } = message
      if (!isWatching) watch()
      try {
        say({ _tag: "Answer", id, payload: answer(payload) })
      } catch (error) {
        say({ _tag: "Failed", id, detail: messageOf(error) })
      }
      return
    }
    case "Cancel":
      // A batch that was handed over is applied.
      return
    case "Close": {
      let detail: string
      try {
        detail = store.close()
      } catch (error) {
        detail = `skipped: ${messageOf(error)}`
      }
      say({ _tag: "Closed", detail })
      port.close()
    }
  }
})

say({ _tag: "Ready" })
