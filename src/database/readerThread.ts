/**
 * Entry of the reader's thread: several reads take turns, so that a long one does not hold up a short one.
 *
 * Each read that is under way has a connection of its own, as it has a snapshot of its own.
 */
import { parentPort, workerData } from "node:worker_threads"
import { connect } from "./connection.ts"
import { pack, type ThreadAnswer } from "./packedSelection.ts"
import * as SqliteReader from "./SqliteReader.ts"
import type { ReadAnswer, ReadRequest, Work } from "./SqliteReader.ts"
import { type FromThread, messageOf, type ToThread } from "./threadProtocol.ts"

/** Connections, and so reads under way at once; further ones wait. */
const readersMax = 4
/** Milliseconds that one read may go on before the next one's turn. */
const slice = 4

interface Job {
  readonly id: number
  readonly reader: SqliteReader.SqliteReader
  readonly work: Work<ReadAnswer>
}

const port = parentPort!
const { path } = workerData as { readonly path: string }
const say = (message: FromThread<ThreadAnswer>, handedOver: Array<ArrayBuffer> = []) =>
  port.postMessage(message, handedOver)

const answer = (id: number, found: ReadAnswer) => {
  if (typeof found !== "object" || !("events" in found)) return say({ _tag: "Answer", id, payload: found })
  const payload = pack(found)
  say({ _tag: "Answer", id, payload }, [payload.bytes.buffer, payload.ends.buffer])
}

const idle: Array<SqliteReader.SqliteReader> = [SqliteReader.make(connect(path, "reader"))]
let readers = 1
const waiting: Array<{ readonly id: number; readonly request: ReadRequest }> = []
const running: Array<Job> = []
let isTurning = false

const start = () => {
  while (waiting.length > 0 && (idle.length > 0 || readers < readersMax)) {
    const { id, request } = waiting.shift()!
    let reader = idle.pop()
    if (reader === undefined) {
      reader = SqliteReader.make(connect(path, "reader"))
      readers++
    }
    running.push({ id, reader, work: reader.work(request) })
  }
}

/** One slice of the job that has waited longest. */
const turn = () => {
  isTurning = false
  const job = running.shift()
  if (job === undefined) return
  try {
    const until = performance.now() + slice
    let step = job.work.next()
    while (step.done !== true && performance.now() < until) step = job.work.next()
    if (step.done === true) {
      idle.push(job.reader)
      answer(job.id, step.value)
    } else running.push(job)
  } catch (error) {
    idle.push(job.reader)
    say({ _tag: "Failed", id: job.id, detail: messageOf(error) })
  }
  go()
}

const go = () => {
  start()
  if (isTurning || running.length === 0) return
  isTurning = true
  // Between two slices, messages come in.
  setImmediate(turn)
}

const cancel = (id: number) => {
  const queued = waiting.findIndex((job) => job.id === id)
  if (queued >= 0) waiting.splice(queued, 1)
  const at = running.findIndex((job) => job.id === id)
  const [job] = at < 0 ? [] : running.splice(at, 1)
  if (job === undefined) return
  // Ends its snapshot.
  job.work.return(0)
  idle.push(job.reader)
}

port.on("message", (message: ToThread<ReadRequest>) => {
  switch (message._tag) {
    case "Request":
      waiting.push({ id: message.id, request: message.payload })
      return go()
    case "Cancel":
      cancel(message.id)
      return go()
    case "Close":
      for (const job of running.splice(0)) {
        job.work.return(0)
        idle.push(job.reader)
      }
      for (const reader of idle) reader.close()
      say({ _tag: "Closed", detail: "closed" })
      port.close()
  }
})

say({ _tag: "Ready" })
