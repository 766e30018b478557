/** Servers of the demo: reachable from this machine only, and gone with their scope. */
import { Effect, type Scope } from "effect"
import type { Server } from "node:http"
import type { AddressInfo, Socket } from "node:net"

const listenOnce = (server: Server, host: string, port: number) =>
  Effect.callback<number, NodeJS.ErrnoException>((resume) => {
    server.once("error", (error) => resume(Effect.fail(error)))
    server.listen(port, host, () => {
      server.removeAllListeners("error")
      resume(Effect.succeed((server.address() as AddressInfo).port))
    })
  })

/**
 * Listens on `port`, or on any free one when it is taken or 0, and answers with the port. Releasing drops every
 * connection: the other side is ours too, and has said its goodbyes by then.
 */
export const listen = (
  server: Server,
  host: string,
  port: number
): Effect.Effect<number, NodeJS.ErrnoException, Scope.Scope> => {
  const sockets = new Set<Socket>()
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.once("close", () => sockets.delete(socket))
  })
  return Effect.acquireRelease(
    Effect.catchIf(
      listenOnce(server, host, port),
      (error) => port !== 0 && error.code === "EADDRINUSE",
      () => listenOnce(server, host, 0)
    ),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )
}
