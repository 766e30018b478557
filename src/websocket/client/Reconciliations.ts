/**
 * The reconciliations that one client has open (NIP-77): from NEG-OPEN, turn by turn, to NEG-CLOSE or NEG-ERR.
 *
 * Turns are taken one at a time for each, in slices, so that whatever a client asks for delays nobody. A NEG-ERR ends what
 * it is about; every refusal is one, and carries the subscription id.
 */
import { Effect, Exit, type Fiber } from "effect"
import { hash } from "node:crypto"
import type { DatabaseError } from "../../database/Database.ts"
import type { Filter } from "../../domain/Filter.ts"
import { respond } from "../../domain/negentropy/Session.ts"
import type { SortedItems } from "../../domain/negentropy/SortedItems.ts"
import { type Readers, readRefusal } from "../../domain/PrivateMessage.ts"
import * as RelayMessage from "../../domain/RelayMessage.ts"
import { inSlices } from "../../lifecycle/Slice.ts"
import type { Shared } from "./Shared.ts"

/** Reconciliations of one client at once. */
const openMax = 8

/** Milliseconds that one may wait for its client. */
const patienceMillis = 60_000

/** Bytes of a message of ours; in hex and with its envelope it is within what other relays send. */
const frameBytesMax = 60_000

/** Milliseconds of work before others get their turn. */
const sliceMillis = 2

/** What the reconciliations need of their connection. */
export interface Outlet {
  /** Runs an effect in the connection's scope. */
  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E>
  send(frame: string): void
  readers(): Readers
  challenge(): void
}

interface Reconciliation {
  /** What the filter found, the same until the end; undefined until it is found. */
  items: SortedItems | undefined
  /** Takes a turn. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Monotonic milliseconds of the client's last word. */
  heardAt: number
}

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer")

/** The answer to one message. */
const turn = (items: SortedItems, message: string) =>
  Effect.suspend(() => inSlices(respond(items, Buffer.from(message, "hex"), { frameBytesMax, sha256 }), sliceMillis))

export class Reconciliations {
  readonly #shared: Shared
  readonly #outlet: Outlet
  readonly #byId = new Map<string, Reconciliation>()

  constructor(shared: Shared, outlet: Outlet) {
    this.#shared = shared
    this.#outlet = outlet
  }

  /** NEG-OPEN: in place of one by the same name. */
  open(id: string, filter: Filter, message: string): void {
    this.close(id)
    const refusal = this.#refusalOf(filter)
    if (refusal !== undefined) return this.#end(id, refusal)
    const reconciliation: Reconciliation = { items: undefined, fiber: undefined, heardAt: this.#shared.journal.now() }
    this.#byId.set(id, reconciliation)
    const { itemSets, limits } = this.#shared
    const begin = Effect.flatMap(itemSets.find(filter, this.#outlet.readers()), (found) => {
      if (found === "too big") {
        return Effect.sync(() => this.#end(id, "blocked: this query is too big", limits.syncItemsMax))
      }
      reconciliation.items = found
      return this.#answer(id, reconciliation, message)
    })
    this.#run(id, reconciliation, begin)
  }

  /** NEG-MSG */
  message(id: string, message: string): void {
    const reconciliation = this.#byId.get(id)
    if (reconciliation === undefined) return this.#end(id, "closed: no such subscription")
    if (reconciliation.fiber !== undefined || reconciliation.items === undefined) {
      return this.#end(id, "invalid: one message at a time")
    }
    reconciliation.heardAt = this.#shared.journal.now()
    this.#run(id, reconciliation, this.#answer(id, reconciliation, message))
  }

  /** NEG-CLOSE: silent, for an id that is not open as well. */
  close(id: string): void {
    const fiber = this.#byId.get(id)?.fiber
    this.#byId.delete(id)
    fiber?.interruptUnsafe()
  }

  closeAll(): void {
    for (const id of this.#byId.keys()) this.close(id)
  }

  /** Ends all of them and says why. */
  refuseAll(reply: RelayMessage.Reply): void {
    for (const id of this.#byId.keys()) this.#end(id, reply)
  }

  /** Ends those whose client has been silent for long: each holds what it found. */
  look(): void {
    const now = this.#shared.journal.now()
    for (const [id, { fiber, heardAt }] of this.#byId) {
      if (fiber === undefined && now - heardAt > patienceMillis) this.#end(id, "closed: no message for too long")
    }
  }

  #refusalOf(filter: Filter): RelayMessage.Reply | undefined {
    if (this.#shared.limits.syncItemsMax === 0) return "blocked: negentropy is not supported"
    if (filter.search !== undefined) return "unsupported: search"
    if (this.#byId.size >= openMax) return `rate-limited: at most ${openMax} reconciliations may be open`
    const refusal = readRefusal([filter], this.#outlet.readers())
    if (refusal?.startsWith("auth-required") === true) this.#outlet.challenge()
    return refusal
  }

  #run(id: string, reconciliation: Reconciliation, work: Effect.Effect<void, DatabaseError>): void {
    const fiber = this.#outlet.fork(work)
    reconciliation.fiber = fiber
    fiber.addObserver((exit) => {
      if (reconciliation.fiber === fiber) reconciliation.fiber = undefined
      if (Exit.isSuccess(exit) || this.#byId.get(id) !== reconciliation) return
      this.#outlet.fork(Effect.logWarning("reconciliation failed", exit.cause))
      this.#end(id, "error: could not read the store")
    })
  }

  #answer(id: string, reconciliation: Reconciliation, message: string): Effect.Effect<void> {
    return Effect.map(turn(reconciliation.items as SortedItems, message), (reply) => {
      if (this.#byId.get(id) !== reconciliation) return
      if (reply._tag === "Problem") return this.#end(id, `invalid: ${reply.problem}`)
      // Before the client can answer.
      reconciliation.fiber = undefined
      this.#outlet.send(RelayMessage.negMsg(id, Buffer.from(reply.bytes).toString("hex")))
    })
  }

  #end(id: string, reply: RelayMessage.Reply | `closed: ${string}`, recordsMax?: number): void {
    this.close(id)
    this.#outlet.send(RelayMessage.negErr(id, reply, recordsMax))
  }
}
