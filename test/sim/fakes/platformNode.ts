/** `ws` without a network: instead of `@effect/platform-node/NodeWS`. */
import type { Client } from "../Client.ts"
import type { FakeStream } from "./http.ts"

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

export class WebSocketServer {
  readonly options: { maxPayload?: number }

  constructor(options: { readonly maxPayload?: number }) {
    this.options = { ...options }
  }

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
