/**
 * A map of bounded size, in which the entry that was asked for or set least recently makes room for the next.
 *
 * A `Map` iterates in order of insertion, so what is used is put in again. Whoever looks for the first key anew each time walks
 * over all that was taken out since the table was last packed, which at 50 000 keys is a thousand times as much as the rest:
 * one iterator stays where it is instead. What it has passed is gone, so nothing that is left ever stands before it.
 */
export class LruMap<K, V> {
  readonly #entries = new Map<K, V>()
  readonly #max: number
  readonly #oldest: Iterator<K, undefined> = this.#entries.keys()

  /** `max`: entries that are kept. */
  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#entries.size
  }

  /** Counts as a use. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  /** Without counting as a use. */
  peek(key: K): V | undefined {
    return this.#entries.get(key)
  }

  set(key: K, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#max) return
    const { done, value: oldest } = this.#oldest.next()
    if (done !== true) this.#entries.delete(oldest)
  }

  delete(key: K): boolean {
    return this.#entries.delete(key)
  }
}
