/** A log reader that is slow or gone, from the side of whoever has something to say. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Writable } from "node:stream"
import type { WriteStream } from "node:tty"
import { vi } from "vitest"
import * as Output from "../../src/lifecycle/Output.ts"

/** A reader that takes nothing until it is told to. */
const reader = () => {
  const taken: Array<string> = []
  let next: (() => void) | undefined
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk, _encoding, done) => {
      taken.push(String(chunk))
      next = done
    }
  })
  return { stream: stream as unknown as WriteStream, taken, take: () => next?.() }
}

/** A process that writes 300 kB as its last line, through a pipe of 64 KiB; stderr is how many milliseconds that took. */
const script = `
  import * as Output from ${JSON.stringify(new URL("../../src/lifecycle/Output.ts", import.meta.url).href)}
  const output = Output.make(process.stdout, 1)
  const begun = performance.now()
  output.writeSync("x".repeat(300_000))
  process.stderr.write(String(performance.now() - begun))
`
const saidTo = (shell: string) =>
  spawnSync("sh", ["-c", `"$0" --input-type=module -e "$1" | { ${shell}; }`, process.execPath, script], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"] }
  })

describe("Output", () => {
  it("keeps a mebibyte for a reader that is behind, then drops whole lines and counts them", () => {
    const { stream } = reader()
    const output = Output.make(stream, 1)
    const line = "x".repeat(1023)
    // Up to the bound and one line over it: what waits is looked at before a line is added.
    for (let i = 0; i < 1025; i++) output.write(line)
    assert.deepStrictEqual([output.pending(), output.dropped()], [1025 * 1024, 0])
    output.write(line)
    output.write("short")
    assert.deepStrictEqual([output.pending(), output.dropped()], [1025 * 1024, 2])
  })

  it("takes lines again once the reader has caught up", async () => {
    const { stream, take, taken } = reader()
    const output = Output.make(stream, 1)
    output.write("x".repeat(1024 * 1024))
    output.write("lost")
    take()
    output.write("kept")
    await Promise.resolve()
    assert.deepStrictEqual([output.dropped(), taken.at(-1)], [1, "kept\n"])
  })

  it("goes on without a reader that is gone, and counts what it would have said", async () => {
    const { stream } = reader()
    const output = Output.make(stream, 1)
    stream.destroy(Object.assign(new Error("gone"), { code: "EPIPE" }))
    await new Promise((resolve) => stream.once("close", resolve))
    output.write("nobody")
    assert.strictEqual(output.dropped(), 1)
  })

  it("writes the last line at once, whole, with one newline", () => {
    const path = join(fs.mkdtempSync(join(tmpdir(), "output-")), "lines")
    const fd = fs.openSync(path, "w")
    Output.make(reader().stream, fd).writeSync("é".repeat(100_000))
    fs.closeSync(fd)
    assert.strictEqual(fs.readFileSync(path, "utf8"), `${"é".repeat(100_000)}\n`)
    fs.rmSync(join(path, ".."), { recursive: true })
  })

  it("writes no last line to a reader that is gone", async () => {
    const path = join(fs.mkdtempSync(join(tmpdir(), "output-")), "lines")
    const fd = fs.openSync(path, "w")
    const { stream } = reader()
    const output = Output.make(stream, fd)
    stream.destroy(new Error("gone"))
    await new Promise((resolve) => stream.once("close", resolve))
    output.writeSync("the end")
    fs.closeSync(fd)
    assert.strictEqual(fs.readFileSync(path, "utf8"), "")
    // Not even the descriptor is there any more: nothing to wait for.
    const wait = vi.spyOn(Atomics, "wait")
    Output.make(reader().stream, fd).writeSync("the end")
    assert.strictEqual(wait.mock.calls.length, 0)
    fs.rmSync(join(path, ".."), { recursive: true })
  })

  it("gives a reader that has stalled half a second for the last line, and one that reads the whole of it", () => {
    const stalled = Number(saidTo("sleep 3").stderr)
    assert.isAtLeast(stalled, 450)
    assert.isBelow(stalled, 2500)
    assert.strictEqual(saidTo("sleep 0.1; wc -c").stdout.trim(), "300001")
  })
})
