/** The sockets of clients, as `Door` makes them. */
import { SimSocket } from "../Client.ts"
import { run } from "../Run.ts"
import type { FakeWebSocket } from "./platformNode.ts"

export class WsClientSocket extends SimSocket {
  constructor(webSocket: FakeWebSocket) {
    super(webSocket.client, run())
  }
}
