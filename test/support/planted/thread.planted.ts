import { it } from "@effect/vitest"
import { once } from "node:events"
import { Worker } from "node:worker_threads"

it("passes, and leaves a thread", async () => {
  await once(new Worker("setInterval(() => {}, 1000)", { eval: true, name: "planted" }), "online")
})
