import { it } from "@effect/vitest"
import { once } from "node:events"
import { createServer } from "node:net"

it("passes, and leaves a server listening", async () => {
  await once(createServer().listen(0, "127.0.0.1"), "listening")
})
