/**
 * Entry of the reader's thread: several reads take turns, so that a long one does not hold up a short one.
 *
 * After a while in which little was read it gives back what many reads at once have taken: a hundred megabytes of rows that
 * were sent long ago, and the page caches of further readers.
 */
import { parentPort, workerData } from "node:worker_threads"
import { collecting, lookAfter, resting, worked } from "../../../lifecycle/garbage.ts"
import { messageOf } from "../../../observability/messageOf.ts"
import { connect } from "../connection.ts"
import * as SqliteReader from "../SqliteReader.ts"
import type { ReadAnswer, ReadRequest } from "../SqliteReader.ts"
import { AnswerBuffers } from "./AnswerBuffers.ts"
import { pack, type ThreadAnswer } from "./packedSelection.ts"
import { ReadTurns } from "./ReadTurns.ts"
import type { FromThread, ToThread } from "./threadProtocol.ts"

const port = parentPort!
const { path } = workerData as { readonly path: string }
const say = (message: FromThread<ThreadAnswer>, handedOver: Array<ArrayBuffer> = []) =>
  port.postMessage(message, handedOver)

const buffers = new AnswerBuffers()

const answer = (id: number, found: ReadAnswer, request: ReadRequest) => {
  if (typeof found !== "object" || !("events" in found)) return say({ _tag: "Answer", id, payload: found })
  const payload = pack(found, buffers, request._tag === "Query" ? request.subscription : undefined)
  say({ _tag: "Answer", id, payload }, [payload.bytes.buffer, payload.ends.buffer])
}

const reads = new ReadTurns<ReadRequest, ReadAnswer>(
  () => SqliteReader.make(connect(path, "reader")),
  { answer, failed: (id, error) => say({ _tag: "Failed", id, detail: messageOf(error) }) },
  worked
)
let isTurning = false
let isWatching = false

const giveBack = collecting()

/** One timer, however many reads there are. */
const watch = (isResting = resting()) => {
  isWatching = true
  setTimeout(() => {
    isWatching = false
    if (!isResting() || isTurning) return watch(isResting)
    reads.rest()
    giveBack()
  }, lookAfter).unref()
}

const turn = () => {
  // Between two slices, messages come in.
  if (reads.turn()) setImmediate(turn)
  else isTurning = false
}

port.on("message", (message: ToThread<ReadRequest>) => {
  switch (message._tag) {
    case "Request":
      for (const buffer of message.buffers) buffers.give(buffer)
      reads.ask(message.id, message.payload)
      if (!isWatching) watch()
      if (!isTurning) setImmediate(turn)
      isTurning = true
      return
    case "Cancel":
      return reads.cancel(message.id)
    case "Close":
      isTurning = true
      reads.close()
      say({ _tag: "Closed", detail: "closed" })
      port.close()
  }
})

say({ _tag: "Ready" })
