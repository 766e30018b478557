/**
 * What is kept and what is gone, by the words of NIP-01, NIP-09 and NIP-62 alone: the obvious form of what the store does in
 * slices, to be held against it.
 */
import { type Event, isReplaceable } from "../../src/domain/Event.ts"
import { deletionKind, isRemoval, vanishKind } from "../../src/domain/Kinds.ts"

export interface StoredEvent {
  readonly seq: number
  readonly event: Event
}

export class Kept {
  /** What is there for everybody who asks, by id. */
  readonly there = new Map<string, StoredEvent>()
  /** What was there, and with which later event it went. */
  readonly gone = new Map<string, StoredEvent & { readonly since: number }>()
  /** `id pubkey` of what authors have asked to be deleted. */
  readonly #claims = new Set<string>()
  /** Authors, and until when nothing of theirs is wanted here. */
  readonly #vanished = new Map<string, number>()

  /** What is stored of that id, or was. */
  find(id: string): StoredEvent | undefined {
    return this.there.get(id) ?? this.gone.get(id)
  }

  /** Has its author asked for it not to be here? */
  isUnwanted({ created_at, id, kind, pubkey }: Event): boolean {
    if (kind !== vanishKind && created_at <= (this.#vanished.get(pubkey) ?? -1)) return true
    return !isRemoval(kind) && this.#claims.has(`${id} ${pubkey}`)
  }

  /** It was stored under that number. */
  add(event: Event, seq: number): void {
    const { created_at, id, kind, pubkey, tags } = event
    const isOwn = (other: Event) => other.pubkey === pubkey && other.id !== id
    if (isReplaceable(kind)) this.#drop(seq, (other) => isOwn(other) && other.kind === kind)
    if (kind === vanishKind) {
      this.#vanished.set(pubkey, Math.max(created_at, this.#vanished.get(pubkey) ?? -1))
      this.#drop(seq, (other) => isOwn(other) && other.kind !== vanishKind && other.created_at <= created_at)
    }
    if (kind === deletionKind) {
      const named = new Set(tags.map(([, value]) => value))
      for (const value of named) this.#claims.add(`${value} ${pubkey}`)
      this.#drop(seq, (other) => isOwn(other) && !isRemoval(other.kind) && named.has(other.id))
    }
    this.there.set(id, { seq, event })
  }

  #drop(since: number, isDropped: (event: Event) => boolean): void {
    for (const [id, stored] of this.there) {
      if (!isDropped(stored.event)) continue
      this.there.delete(id)
      this.gone.set(id, { ...stored, since })
    }
  }
}
