/**
 * The disk of a history, which outlives the machine: what was written, what is synced, and when it stops working.
 *
 * Only `apply` changes it, all at once at the moment of its sync: everything before that moment would be gone after a power
 * cut, everything after it would not.
 */
import type { Outcome } from "../../src/database/Database.ts"
import type { StoreAnswer, StoreBatch, StoreOperation } from "../../src/database/storeProtocol.ts"
import type { Event } from "../../src/domain/Event.ts"
import { isForged } from "./events.ts"

export interface StoredEvent {
  readonly seq: number
  readonly event: Event
  readonly raw: string
}

export class Disk {
  readonly events = new Map<string, StoredEvent>()
  readonly records = new Map<string, { readonly value: string; readonly due: number | null }>()
  seq = 0
  isOpen = false
  isWriting = false
  /** Somebody is in the state folder. */
  isHeld = false
  applied = 0
  /** The storage has failed, and the service was told. */
  hasFailed = false
  /** Events with a signature that nobody should have believed. */
  forgeries = 0
  /** Events that were there when this life began. */
  eventsBefore = 0
  /** Ids that some client was told `OK true` of, in this life or an earlier one. */
  readonly acknowledged = new Set<string>()

  /** The machine starts: nobody has the file open, and what was on it is there. */
  boot(): void {
    this.isOpen = false
    this.isWriting = false
    this.isHeld = false
    this.applied = 0
    this.hasFailed = false
    this.eventsBefore = this.events.size
  }

  sync({ writes }: StoreBatch): StoreAnswer {
    const results = writes.map((operations) => ({
      _tag: "Applied" as const,
      outcomes: operations.map((operation) => this.#operate(operation))
    }))
    return { results, seq: this.seq, events: this.events.size }
  }

  #operate(operation: StoreOperation): Outcome {
    if (operation._tag === "Save") {
      const event = JSON.parse(operation.raw) as Event
      if (this.events.has(event.id)) return { _tag: "Duplicate" }
      if (isForged(event)) this.forgeries++
      this.events.set(event.id, { seq: ++this.seq, event, raw: operation.raw })
      return { _tag: "Saved", seq: this.seq }
    }
    if (operation._tag === "Record") {
      const key = `${operation.space} ${operation.key}`
      if (operation.value === null) this.records.delete(key)
      else this.records.set(key, { value: operation.value, due: operation.due })
    }
    return { _tag: "Done" }
  }
}
