/** An HTTP server and its TCP connections, without a network: instead of `node:http` and `node:net`. */
import { EventEmitter } from "node:events"
import type { Client } from "../Client.ts"
import { type Run, run } from "../Run.ts"

/** One TCP connection. */
export class FakeStream extends EventEmitter {
  readonly #run: Run
  readonly #onDestroyed: () => void
  isDestroyed = false

  constructor(run: Run, onDestroyed: () => void) {
    super()
    this.#run = run
    this.#onDestroyed = onDestroyed
  }

  /** The last words before the connection is closed. */
  end(_text: string): void {
    this.#run.world.soon(() => this.emit("finish"))
  }

  destroy(): void {
    if (this.isDestroyed) return
    this.isDestroyed = true
    this.#run.world.soon(() => {
      this.emit("close")
      this.#onDestroyed()
    })
  }
}

export class FakeServer extends EventEmitter {
  maxConnections = 0
  #isListening = false
  #isClosed = false
  readonly #streams = new Set<FakeStream>()

  listen(_address: object, listening: () => void): void {
    const { plan, world } = run()
    run().server = this
    world.later(world.dice.between(0, 5), "bind", () => {
      if (plan.portTaken) return this.emit("error", Object.assign(new Error("listen"), { code: "EADDRINUSE" }))
      this.#isListening = true
      return listening()
    })
  }

  address() {
    return { address: "127.0.0.1", family: "IPv4", port: 7000 }
  }

  /** No new connections; "close" once the last one is gone. */
  close(): void {
    this.#isListening = false
    this.#settle()
  }

  closeAllConnections(): void {}

  #settle(): void {
    if (this.#isListening || this.#isClosed || this.#streams.size > 0) return
    this.#isClosed = true
    run().world.soon(() => this.emit("close"))
  }

  /** A client dials; says whether anybody was there. */
  connect(client: Client): boolean {
    if (!this.#isListening) return false
    const { stream } = client
    this.#streams.add(stream)
    stream.once("close", () => {
      this.#streams.delete(stream)
      this.#settle()
    })
    this.emit("connection", stream)
    const { world } = run()
    world.later(world.dice.between(0, 10), `${client.name} upgrades`, () => {
      if (stream.isDestroyed) return
      const request = {
        url: "/",
        headers: { "sec-websocket-version": "13" },
        socket: { remoteAddress: "127.0.0.1" },
        client
      }
      this.emit("upgrade", request, stream, Buffer.alloc(0))
    })
    return true
  }
}

export { FakeServer as Server }

export const createServer = (): FakeServer => new FakeServer()
