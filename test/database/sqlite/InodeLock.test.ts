/** The lock of a file itself, between processes and within one. */
import { assert, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { describe } from "vitest"
import { holdInode } from "../../../src/database/sqlite/FileLock.ts"
import * as InodeLock from "../../../src/database/sqlite/InodeLock.ts"
import { directory } from "../support.ts"

const module = JSON.stringify(new URL("../../../src/database/sqlite/InodeLock.ts", import.meta.url).href)

/** What another process gets when it asks for the lock. */
const elsewhere = (path: string): string => {
  const body = `const { load, take } = await import(${module})
    console.log(take(${JSON.stringify(path)}, await load())._tag)`
  const { stderr, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", body], { encoding: "utf8" })
  return stdout.trim() || stderr
}

const inDirectory = (title: string, body: (folder: string) => Effect.Effect<void, unknown>) =>
  it.live(title, () => Effect.scoped(Effect.flatMap(directory, body)))

describe.runIf(process.platform === "linux")("the lock of the file itself", () => {
  inDirectory("belongs to the file under all its names, as long as it is held", (folder) =>
    Effect.gen(function*() {
      const [path, link] = [join(folder, "one.db"), join(folder, "two.db")]
      fs.writeFileSync(path, "")
      fs.linkSync(path, link)
      const locks = yield* Effect.promise(InodeLock.load)
      const held = InodeLock.take(path, locks) as InodeLock.Held
      assert.deepStrictEqual([held._tag, held.unlocked], ["Held", undefined])
      assert.isTrue(InodeLock.isSame(held.inode, InodeLock.find(link)))
      assert.strictEqual(elsewhere(link), "InUse")
      assert.strictEqual(InodeLock.take(link, locks)._tag, "InUse", "within one process, too")
      fs.renameSync(path, join(folder, "three.db"))
      assert.strictEqual(elsewhere(join(folder, "three.db")), "InUse")
      held.release()
      assert.strictEqual(elsewhere(link), "Held")
    }))

  inDirectory("outlives any other open and close of the file", (folder) =>
    Effect.gen(function*() {
      const path = join(folder, "one.db")
      fs.writeFileSync(path, "")
      const held = InodeLock.take(path, yield* Effect.promise(InodeLock.load))
      fs.readFileSync(path)
      assert.strictEqual(elsewhere(path), "InUse")
      if (held._tag === "Held") held.release()
    }))
})

inDirectory("where the platform has no such lock, says so once and goes on", (folder) =>
  Effect.gen(function*() {
    const path = join(folder, "one.db")
    fs.writeFileSync(path, "")
    const lines: Array<unknown> = []
    const logger = Logger.make<unknown, void>(({ message }) => void lines.push(message))
    const held = yield* Effect.scoped(holdInode(path, { unlocked: "not here" })).pipe(
      Effect.provide(Logger.layer([logger]))
    )
    assert.strictEqual(held?.unlocked, "not here")
    assert.deepStrictEqual(lines.flat(), [
      "the database is locked by its name alone: see that nothing opens it by another"
    ])
  }))
