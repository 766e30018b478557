/** `ws` without a network; the rest of `@effect/platform-node` as it is. */
import type { Client } from "../Client.ts"
import type { FakeStream } from "./http.ts"

export { NodeHttpServer } from "@effect/platform-node"

/** What `ws` hands out once the handshake is done. */
export class FakeWebSocket {
  readonly client: Client

  constructor(client: Client) {
    this.client = client
  }

  terminate(): void {
    this.client.socket?.terminate()
  }
}

class FakeWebSocketServer {
  handleUpgrade(
    request: { readonly client: Client },
    _stream: FakeStream,
    _head: Buffer,
    connected: (webSocket: FakeWebSocket) => void
  ): void {
    connected(new FakeWebSocket(request.client))
    request.client.begin()
  }
}

export const NodeWS = { WebSocketServer: FakeWebSocketServer }
