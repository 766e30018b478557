/**
 * Entry of the reader's thread: several reads take turns, so that a long one does not hold up a short one.
 *
 * After a while in which little was read it gives back what many reads at once have taken: a hundred megabytes of rows that
 * were sent long ago, and the page caches of further readers.
 */
import { getHeapStatistics } from "node:v8"
import { parentPort, workerData } from "node:worker_threads"
import { messageOf } from "../../../observability/messageOf.ts"
import { connect } from "../connection.ts"
import * as SqliteReader from "../SqliteReader.ts"
import type { ReadAnswer, ReadRequest } from "../SqliteReader.ts"
import { AnswerBuffers } from "./AnswerBuffers.ts"
import { collect } from "./garbage.ts"
import { pack, type ThreadAnswer } from "./packedSelection.ts"
import { ReadTurns } from "./ReadTurns.ts"
import type { FromThread, ToThread } from "./threadProtocol.ts"

/** Milliseconds after which the thread is looked at, when it has read. */
const lookAfter = 3000
/** Milliseconds of work in that time up to which it has next to nothing to do. */
const restUpTo = 150
/** Bytes of heap that the thread may have all the same: a few times what it needs. */
const heapAtRest = 33_554_432

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

/** Milliseconds of CPU that this thread has used, as of the kernel's last tick. */
const worked = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

const reads = new ReadTurns<ReadRequest, ReadAnswer>(
  () => SqliteReader.make(connect(path, "reader")),
  { answer, failed: (id, error) => say({ _tag: "Failed", id, detail: messageOf(error) }) },
  worked
)
let isTurning = false
let isWatching = false

const rest = () => {
  reads.rest()
  if (getHeapStatistics().total_heap_size > heapAtRest) collect()
}

/** One timer, however many reads there are. */
const watch = () => {
  isWatching = true
  const before = worked()
  setTimeout(() => {
    isWatching = false
    if (isTurning || worked() - before > restUpTo) return watch()
    rest()
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
