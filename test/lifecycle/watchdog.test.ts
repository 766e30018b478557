/** The watchdog's thread beside a main thread that beats, stalls, or ends: each in a process of its own. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"

const urlOf = (file: string) => JSON.stringify(new URL(`../../src/lifecycle/${file}.ts`, import.meta.url).href)

let folder = ""
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "watchdog-"))))
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs a script beside the thread, which looks every 20 ms and has counters of its own; says how it ended. */
const beside = (looks: { readonly warnLooks: number; readonly killLooks: number }, script: string) =>
  run(`
    import { Worker } from "node:worker_threads"
    const { killLooks, warnLooks } = ${JSON.stringify(looks)}
    const shared = new Int32Array(new SharedArrayBuffer(12))
    shared[2] = killLooks
    const beat = () => Atomics.add(shared, 0, 1)
    const warn = () => Atomics.store(shared, 1, 1)
    const stall = (millis) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
    const workerData = { shared, lookMillis: 20, warnLooks }
    const thread = new Worker(new URL(${urlOf("watchdogThread")}), { workerData })
    await new Promise((resolve) => thread.once("online", resolve))
    ${script}
  `)

const run = (script: string, how: "file" | "text" = "file") => {
  const file = join(folder, "script.mjs")
  writeFileSync(file, script)
  const args = how === "file" ? [file] : ["--input-type=module", "-e", script]
  const { signal, status, stderr, stdout } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    timeout: 9000,
    killSignal: "SIGTERM",
    env: { PATH: process.env["PATH"] }
  })
  const lines = stderr.trimEnd().split("\n").filter((line) => line !== "")
  return {
    signal,
    status,
    stdout,
    said: lines.map((line) => JSON.parse(line) as { readonly message: string; readonly silentMs: number })
  }
}

const killed = "event loop stalled for too long: killing the process"

describe("the watchdog's thread", () => {
  it("reports once a loop that has stopped beating, and kills it in the end", () => {
    const { said, signal } = beside(
      { warnLooks: 15, killLooks: 25 },
      `warn()
       const end = performance.now() + 300
       while (performance.now() < end) { beat(); stall(1) }
       stall()`
    )
    assert.strictEqual(signal, "SIGKILL")
    assert.deepStrictEqual(said.map(({ message, silentMs }) => [message, silentMs]), [
      ["event loop stalled", 300],
      [killed, 500]
    ])
  })

  it("does not warn of one that nobody asked about, and kills it all the same", () => {
    const { said, signal } = beside({ warnLooks: 5, killLooks: 10 }, "stall()")
    assert.strictEqual(signal, "SIGKILL")
    assert.deepStrictEqual(said.map(({ message, silentMs }) => [message, silentMs]), [[killed, 200]])
  })

  it("says nothing about a loop that beats, and counts from its last beat", () => {
    const { said, status } = beside(
      { warnLooks: 50, killLooks: 51 },
      `warn()
       for (let i = 0; i < 30; i++) { beat(); stall(100) }
       process.exit(0)`
    )
    assert.deepStrictEqual([status, said], [0, []])
  })
})

/** A process that starts its watchdog, and then does this. */
const start = (script: string) =>
  run(`
    import { start } from ${urlOf("watchdog")}
    start({ warnMillis: 1000, killMillis: 2000 }).warn()
    ${script}
  `)

describe("the watchdog", () => {
  it("does not keep a process alive that has nothing else to do", () => {
    const { said, signal, status } = start("")
    assert.deepStrictEqual([status, signal, said], [0, null, []])
  })

  it("watches this process: an idle loop beats, and one that is stalled is killed when the time is over", () => {
    const { said, signal, stdout } = start(`
      const { writeSync } = await import("node:fs")
      setTimeout(() => {
        writeSync(1, "alive")
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
      }, 3000)
    `)
    assert.strictEqual(stdout, "alive", "not while it was idle")
    assert.strictEqual(signal, "SIGKILL")
    assert.deepStrictEqual(said.map(({ message, silentMs }) => [message, silentMs]), [
      ["event loop stalled", 1000],
      [killed, 2000]
    ])
  })

  it("whose thread cannot run is missed, and no more", () => {
    // A thread takes over the flags of its process, and this one cannot do with "--input-type".
    const { said, status } = run(
      `
        import { start } from ${urlOf("watchdog")}
        start({ warnMillis: 250, killMillis: 500 }).warn()
        setTimeout(() => {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
          process.exit(0)
        }, 500)
      `,
      "text"
    )
    assert.deepStrictEqual([status, said], [0, []])
  })
})
