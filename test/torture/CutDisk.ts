/**
 * A disk whose power is cut: what was synced is there, and of what was not, any part may be, in sectors and in any order.
 *
 * Names of files are taken to be safe at once, as a journaling file system with synced directories keeps them.
 */
import type { Dice } from "../../src/demo/Dice.ts"
import type { Operation } from "./Trace.ts"

/** Bytes that a disk writes whole or not at all. */
const sector = 512

interface Pending {
  readonly at: number
  readonly bytes: Buffer
}

class DiskFile {
  #synced = Buffer.alloc(0)
  #pending: Array<Pending | { readonly size: number }> = []

  write(at: number, bytes: Buffer): void {
    this.#pending.push({ at, bytes })
  }

  truncate(size: number): void {
    this.#pending.push({ size })
  }

  sync(): void {
    for (const pending of this.#pending) this.#synced = applied(this.#synced, pending)
    this.#pending = []
  }

  /** As it may be found after a power cut. */
  image(dice: Dice): Buffer {
    let image = Buffer.from(this.#synced)
    // Everything, nothing, or any part of it: each a third of the time, as each has bugs of its own.
    const fate = dice.pick(["all", "none", "some"])
    if (fate === "none") return image
    for (const pending of fate === "all" ? this.#pending : dice.shuffle(this.#pending)) {
      if ("size" in pending) {
        if (fate === "all" || dice.chance(0.5)) image = applied(image, pending)
        continue
      }
      if (fate === "all") image = applied(image, pending)
      else for (const piece of sectors(pending)) if (dice.chance(0.5)) image = applied(image, piece)
    }
    return image
  }
}

const applied = (content: Buffer<ArrayBuffer>, change: Pending | { readonly size: number }): Buffer<ArrayBuffer> => {
  if ("size" in change) {
    const resized = Buffer.alloc(change.size)
    content.copy(resized)
    return resized
  }
  const end = change.at + change.bytes.length
  let into = content
  if (end > content.length) {
    into = Buffer.alloc(end)
    content.copy(into)
  }
  change.bytes.copy(into, change.at)
  return into
}

/** A write, cut where the disk's sectors end. */
function* sectors({ at, bytes }: Pending): Generator<Pending> {
  for (let from = 0; from < bytes.length;) {
    const to = Math.min(bytes.length, from + sector - (at + from) % sector)
    yield { at: at + from, bytes: bytes.subarray(from, to) }
    from = to
  }
}

export class CutDisk {
  readonly #files = new Map<string, DiskFile>()

  apply(operation: Exclude<Operation, { readonly _tag: "Told" }>): void {
    if (operation._tag === "Unlink") return void this.#files.delete(operation.file)
    const file = this.#files.get(operation.file) ?? new DiskFile()
    this.#files.set(operation.file, file)
    if (operation._tag === "Write") file.write(operation.at, operation.bytes)
    else if (operation._tag === "Truncate") file.truncate(operation.size)
    else file.sync()
  }

  /** Every file as it may be found now. */
  images(dice: Dice): ReadonlyMap<string, Buffer> {
    return new Map(Array.from(this.#files, ([name, file]) => [name, file.image(dice)]))
  }
}
