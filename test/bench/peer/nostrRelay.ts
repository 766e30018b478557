/**
 * A relay to compare with: `@nostr-relay/core` and its SQLite repository with their defaults, behind `ws` as its readme
 * shows. Runs as a process that `Relay.start` can start in the service's place: a port of its own choice on loopback, the
 * file at `DATABASE_PATH`, and a line that says "listening".
 *
 * Its writes are less durable than the service's: WAL with `synchronous = NORMAL`, so that an OK can be lost with the power.
 */
import { createOutgoingClosedMessage, createOutgoingNoticeMessage } from "@nostr-relay/common"
import { NostrRelay } from "@nostr-relay/core"
import { EventRepositorySqlite } from "@nostr-relay/event-repository-sqlite"
import { Validator } from "@nostr-relay/validator"
import type { AddressInfo } from "node:net"
import { WebSocketServer } from "ws"

const repository = new EventRepositorySqlite(process.env["DATABASE_PATH"])
await repository.init()
const relay = new NostrRelay(repository)
const validator = new Validator()

/** COUNT it does not know; NIP-45 has a relay say so by CLOSED. */
const refusalOf = (text: string, reason: string) =>
  text.startsWith("[\"COUNT\",")
    ? createOutgoingClosedMessage((JSON.parse(text) as [string, string])[1], "unsupported: COUNT")
    : createOutgoingNoticeMessage(reason)

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
server.on("connection", (socket) => {
  relay.handleConnection(socket)
  // Messages are buffers unless `binaryType` is set.
  const onMessage = async (data: Buffer) => {
    try {
      await relay.handleMessage(socket, await validator.validateIncomingMessage(data))
    } catch (error) {
      socket.send(JSON.stringify(refusalOf(data.toString(), String(error))))
    }
  }
  socket.on("message", (data) => void onMessage(data as Buffer))
  socket.on("close", () => relay.handleDisconnect(socket))
  socket.on("error", () => {})
})
server.on("listening", () => {
  const { port } = server.address() as AddressInfo
  console.log(JSON.stringify({ message: "listening", url: `ws://127.0.0.1:${port}` }))
})
// Whoever started it is gone.
process.on("disconnect", () => process.exit())
