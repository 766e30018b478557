/** A disk so small that it can be filled: a tmpfs of its own, where this process may mount one. */
import { Effect, type Scope } from "effect"
import { spawnSync } from "node:child_process"
import { appendFileSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Why a command cannot be run; undefined where it can. */
export const failureOf = (command: string, ...args: ReadonlyArray<string>): string | undefined => {
  const { error, status, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 10_000 })
  if (error !== undefined) return `${command} cannot be run (${error.message})`
  return status === 0 ? undefined : `${command} is not allowed here: ${stderr.trim()}`
}

/** Why there can be none here, which takes root; undefined where there can. */
export const obstacle = (): string | undefined => {
  const at = mkdtempSync(join(tmpdir(), "probe-"))
  try {
    return failureOf("mount", "-t", "tmpfs", "tmpfs", at) ?? failureOf("umount", at)
  } finally {
    rmSync(at, { recursive: true, force: true })
  }
}

/** A disk of so many bytes, removed with the scope; `grow` makes it larger. */
export const make = Effect.fnUntraced(function*(bytes: number): Effect.fn.Return<
  { readonly folder: string; readonly grow: (bytes: number) => void },
  never,
  Scope.Scope
> {
  const folder = mkdtempSync(join(tmpdir(), "profile-aggregator-disk-"))
  yield* Effect.acquireRelease(
    Effect.sync(() => void spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder])),
    () =>
      Effect.sync(() => {
        spawnSync("umount", ["-l", folder])
        rmSync(folder, { recursive: true, force: true })
      })
  )
  return {
    folder,
    grow: (bytes) => void spawnSync("mount", ["-o", `remount,size=${bytes}`, folder])
  }
})

/** Fills the disk of that folder to its last page, and returns what gives all of it back. */
export const exhaust = (folder: string): () => void => {
  const filler = join(folder, "filler")
  const { bavail, bsize } = statfsSync(folder)
  try {
    writeFileSync(filler, Buffer.alloc(bavail * bsize))
    for (;;) appendFileSync(filler, Buffer.alloc(4096))
  } catch {
    // Full.
  }
  return () => rmSync(filler, { force: true })
}
