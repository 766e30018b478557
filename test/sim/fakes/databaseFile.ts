/** The file of a world: it can be opened, and locked, and that takes a while. */
import { Effect } from "effect"
import { run } from "../Run.ts"

const millis = Effect.sync(() => run().world.dice.between(0, 20))

export const open = (path: string) =>
  Effect.acquireRelease(
    Effect.andThen(
      Effect.flatMap(millis, Effect.sleep),
      Effect.sync(() => {
        if (run().disk.isOpen) run().violate("lock", "the file was opened twice")
        run().disk.isOpen = true
        return { named: path, path, inode: { dev: 0n, ino: 0n } }
      })
    ),
    () =>
      Effect.sync(() => {
        run().disk.isOpen = false
      })
  )

/** Nobody moves it. */
export const displacementOf = (_file: unknown) => undefined

/** It has no end. */
export const spaceAt = (_path: string) => undefined
export const keep = (_path: string) => {}

/** Just enough to be asked for the sizes. */
export const connection = (_path: string, _role: string) =>
  Effect.sync(() => {
    const db = {
      isOpen: true,
      close: () => void (db.isOpen = false),
      prepare: () => ({ setReturnArrays: () => {}, get: () => [run().disk.sizes.seq, run().disk.sizes.events] })
    }
    return db
  })
