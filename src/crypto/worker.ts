/** Entry of a verifier thread: checks jobs in the order they come, until its port is closed. */
import { workerData } from "node:worker_threads"
import { selectEngine } from "./engines/EngineSelection.ts"
import { type Answer, type Job, type Ready, type ThreadData, verifyRecords } from "./protocol.ts"

const { port, preference } = workerData as ThreadData
const { engine, refused } = await selectEngine(preference)

port.on("message", ({ job, records }: Job) => {
  const verdicts = verifyRecords(engine, records)
  port.postMessage({ job, verdicts } satisfies Answer, [verdicts.buffer])
})
port.postMessage({ engine: engine.name, refused } satisfies Ready)
