/**
 * What the process does about signals, stray errors and deadlines, seen from its handlers: they are called by hand, on a clock
 * of our own. `process.test.ts` has the same in real processes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, vi } from "vitest"
import type { Certificate } from "../../src/lifecycle/Certificate.ts"
import * as Output from "../../src/lifecycle/Output.ts"
import { install } from "../../src/lifecycle/process.ts"
import * as watchdog from "../../src/lifecycle/watchdog.ts"

vi.mock(import("../../src/lifecycle/watchdog.ts"), () => ({ start: vi.fn(), killMillis: 15_000 }))
vi.mock(import("../../src/lifecycle/Output.ts"), () => ({ make: vi.fn() }))

type Listener = (...args: ReadonlyArray<unknown>) => void

/** What has been said, first to last; what came at once is marked. */
let said: Array<{ readonly line: Record<string, unknown>; readonly atOnce: boolean }> = []
let listeners: Map<string, Listener> = new Map()
let once: Map<string, Listener> = new Map()
/** Bytes that the log reader is behind. */
let pending = 0
let handles: Array<string> = []
/** How often the watchdog was told that a stall is worth a warning. */
let warned = 0
/** Code of each `process.exit`; 0 where none was given. */
let exits: Array<number | undefined> = []

const parse = (line: string) => JSON.parse(line) as Record<string, unknown>

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "Date"], now: 1_700_000_000_000 })
  said = []
  listeners = new Map()
  once = new Map()
  pending = 0
  handles = ["TTYWrap"]
  exits = []
  vi.mocked(Output.make).mockImplementation((_stream, fd) => ({
    write: (line) => void said.push({ line: { fd, ...parse(line) }, atOnce: false }),
    writeSync: (line) => void said.push({ line: { fd, ...parse(line) }, atOnce: true }),
    dropped: () => 0,
    pending: () => pending,
    isTerminal: false
  }))
  warned = 0
  vi.mocked(watchdog.start).mockReturnValue({ warn: () => void warned++, killAfter: () => {} })
  vi.spyOn(process, "on").mockImplementation((event: string | symbol, listener: Listener) => {
    listeners.set(String(event), listener)
    return process
  })
  vi.spyOn(process, "once").mockImplementation((event: string | symbol, listener: Listener) => {
    once.set(String(event), listener)
    return process
  })
  vi.spyOn(process, "exit").mockImplementation((code) => {
    exits.push(code as number | undefined)
    return undefined as never
  })
  vi.spyOn(process, "getActiveResourcesInfo").mockImplementation(() => [...handles])
})

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  process.exitCode = undefined
})

/** The process gets a signal, or an error that nobody caught. */
const emit = (event: string, ...args: ReadonlyArray<unknown>) => listeners.get(event)?.(...args)
const signal = (name: NodeJS.Signals) => emit(name, name)

/** Certificates that were written: one, at the end. */
const certificates = () =>
  said.flatMap(({ atOnce, line }) => {
    const { stopped } = line as { readonly stopped?: Certificate }
    if (stopped !== undefined) assert.isTrue(atOnce, "without the event loop")
    return stopped === undefined ? [] : [stopped]
  })
const states = () =>
  said.flatMap(({ line }) => {
    const { lifecycle } = line as { readonly lifecycle?: { readonly state: string } }
    return lifecycle === undefined ? [] : [lifecycle.state]
  })

/** A service that is up. */
const serving = () => {
  const host = install()
  host.serving()
  host.journal.transition("ready")
  const calls = { stop: 0, hurry: 0 }
  host.onStop(() => void calls.stop++)
  host.onHurry(() => void calls.hurry++)
  return { host, calls }
}

/** The event loop is empty, so Node is about to end the process. */
const runDry = () => {
  once.get("beforeExit")?.()
  once.get("exit")?.()
}

/** What it prints when it is asked. */
const reported = () => {
  signal("SIGUSR2")
  return said.at(-1)?.line["report"] as { readonly lastCertificate: unknown }
}

describe("a signal", () => {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it(`${name} asks for one stop, and the process ends with 0 once it is done`, () => {
      const { calls, host } = serving()
      signal(name)
      assert.deepStrictEqual([calls, exits], [{ stop: 1, hurry: 0 }, []])
      host.finish(0)
      assert.deepStrictEqual([exits, certificates()], [[], []])
      runDry()
      const [certificate] = certificates()
      assert.deepStrictEqual([certificate?.cause, certificate?.code, process.exitCode], [name, 0, 0])
      assert.deepStrictEqual(exits, [undefined], "with the code that was set")
      assert.deepStrictEqual(states(), ["starting", "ready", "draining", "stopped"])
      assert.isTrue(said.every(({ line }) => line["fd"] === 1))
    })
  }

  it("is the same one for 250 ms, whichever it is, and cuts waits short from then on", () => {
    const { calls } = serving()
    signal("SIGINT")
    vi.advanceTimersByTime(249)
    signal("SIGTERM")
    assert.deepStrictEqual(calls, { stop: 1, hurry: 0 })
    vi.advanceTimersByTime(1)
    signal("SIGHUP")
    assert.deepStrictEqual(calls, { stop: 1, hurry: 1 })
    assert.deepStrictEqual(exits, [])
  })

  it("that comes third ends the process at once, with its number and what is open then", () => {
    const { host } = serving()
    signal("SIGINT")
    vi.advanceTimersByTime(250)
    signal("SIGINT")
    vi.advanceTimersByTime(249)
    signal("SIGTERM")
    assert.deepStrictEqual(exits, [], "debounced as well")
    vi.advanceTimersByTime(1)
    handles.push("TCPSocketWrap")
    signal("SIGTERM")
    assert.deepStrictEqual(exits, [128 + os.constants.signals.SIGTERM])
    const [certificate, ...more] = certificates()
    assert.deepStrictEqual(more, [])
    assert.strictEqual(certificate?.code, 143)
    assert.deepStrictEqual(certificate?.forced, ["third signal (SIGTERM)"])
    assert.deepStrictEqual(certificate?.handles, ["TCPSocketWrap"])
    assert.strictEqual(host.journal.state, "stopped")
  })

  it("in the first quarter of a second of a process counts like any other", () => {
    vi.spyOn(performance, "now").mockReturnValue(40)
    const { calls } = serving()
    signal("SIGTERM")
    assert.strictEqual(calls.stop, 1)
  })

  it("that was there before anybody asked to be told is not lost", () => {
    const host = install()
    signal("SIGTERM")
    let told = 0
    host.onStop(() => void told++)
    assert.strictEqual(told, 1)
  })

  it("ends in 128 and its number where the operator wants that, when the stop was clean", () => {
    const { host } = serving()
    host.setSignalExit("conventional")
    signal("SIGINT")
    vi.advanceTimersByTime(300)
    signal("SIGTERM")
    host.finish(0)
    runDry()
    assert.deepStrictEqual([certificates()[0]?.code, process.exitCode], [130, 130], "the first one's")
  })

  it("leaves the code of an unclean stop, and of one without a signal, as it is", () => {
    const first = serving().host
    first.setSignalExit("conventional")
    signal("SIGINT")
    first.journal.expire("drain")
    first.finish(0)
    runDry()
    assert.strictEqual(process.exitCode, 75)

    const second = serving().host
    second.setSignalExit("conventional")
    second.stop({ name: "asked", code: 0 })
    second.finish(0)
    runDry()
    assert.strictEqual(process.exitCode, 0)
  })

  it("SIGUSR2 prints a report, and SIGUSR1 nothing", () => {
    const { calls } = serving()
    said = []
    signal("SIGUSR2")
    signal("SIGUSR1")
    assert.deepStrictEqual(
      said.map(({ line }) => Object.keys(line).toSorted()),
      [["report", "time", "level", "message", "component", "fd"]].map((keys) => keys.toSorted())
    )
    assert.deepStrictEqual([calls, exits], [{ stop: 0, hurry: 0 }, []])
    assert.isTrue(listeners.has("SIGUSR1"), "by default it opens a debugger")
  })
})

describe("the last line", () => {
  it("is said once, whatever comes after it", () => {
    const { host } = serving()
    signal("SIGTERM")
    host.finish(0)
    runDry()
    vi.advanceTimersByTime(500)
    signal("SIGTERM")
    vi.advanceTimersByTime(300)
    signal("SIGTERM")
    assert.strictEqual(certificates().length, 1)
    assert.strictEqual(states().filter((state) => state === "stopped").length, 1)
  })
})

describe("an error that nobody caught", () => {
  for (const [event, name] of [["uncaughtException", "stray exception"], ["unhandledRejection", "stray rejection"]]) {
    it(`${name}: an orderly stop, 70`, () => {
      const { calls, host } = serving()
      emit(event as string, new TypeError("x".repeat(600)))
      assert.strictEqual(calls.stop, 1)
      host.finish(0)
      runDry()
      assert.deepStrictEqual([certificates()[0]?.code, process.exitCode], [70, 70])
      assert.strictEqual(certificates()[0]?.cause, `${name}: TypeError: ${"x".repeat(489)}`)
    })
  }

  it("need not be an error", () => {
    const { host } = serving()
    emit("unhandledRejection", "why")
    assert.strictEqual(host.journal.causes[0]?.detail, "why")
  })
})

describe("a deadline", () => {
  it("of nine seconds from the first cause ends a stop that does not end: 75", () => {
    const { host } = serving()
    vi.advanceTimersByTime(60_000)
    host.stop({ name: "component failed", code: 1 })
    vi.advanceTimersByTime(5000)
    signal("SIGTERM")
    vi.advanceTimersByTime(3999)
    assert.deepStrictEqual(exits, [])
    vi.advanceTimersByTime(1)
    assert.deepStrictEqual(exits, [75])
    assert.deepStrictEqual([certificates()[0]?.code, certificates()[0]?.forced], [75, ["hard deadline"]])
  })

  it("of half a second is what handles have after the end; then they are named: 70", () => {
    const { host } = serving()
    signal("SIGTERM")
    host.finish(0)
    handles.push("TTYWrap", "Timeout")
    vi.advanceTimersByTime(499)
    assert.deepStrictEqual(exits, [])
    vi.advanceTimersByTime(1)
    assert.deepStrictEqual(exits, [70])
    assert.deepStrictEqual(certificates()[0]?.handles, ["TTYWrap", "Timeout"], "one of two was there before")
  })

  it("calls what keeps the process alive unknown where it cannot be seen", () => {
    const { host } = serving()
    signal("SIGTERM")
    host.finish(0)
    vi.advanceTimersByTime(500)
    assert.deepStrictEqual([exits, certificates()[0]?.handles], [[70], ["unknown"]])
  })

  it("takes a log reader that does not read for no leak of ours", () => {
    const { host } = serving()
    signal("SIGTERM")
    host.finish(0)
    pending = 1
    handles.push("PipeWrap")
    vi.advanceTimersByTime(500)
    assert.deepStrictEqual([exits, certificates()[0]?.handles], [[0], []])
  })
})

describe("lines", () => {
  it("from before anybody said that a service is run come then, first", () => {
    const host = install()
    assert.deepStrictEqual(said, [])
    host.serving()
    host.journal.transition("ready")
    assert.deepStrictEqual(states(), ["starting", "ready"])
  })

  it("of a command that is no service do not come at all, and its code is its own", () => {
    const host = install()
    host.finish(3)
    assert.deepStrictEqual([said, process.exitCode, once.size], [[], 3, 0])
  })

  it("of a command that was stopped do come, as there is something to say", () => {
    const host = install()
    signal("SIGTERM")
    host.finish(0)
    runDry()
    assert.deepStrictEqual(states(), ["starting", "draining", "stopped"])
    assert.strictEqual(certificates().length, 1)
  })

  it("of a service that is cut short before it said anything come as well", () => {
    install()
    signal("SIGTERM")
    vi.advanceTimersByTime(9000)
    assert.deepStrictEqual(states(), ["starting", "draining", "stopped"])
  })

  it("go to nobody when stderr is gone, which must not end the process either", () => {
    install()
    assert.deepStrictEqual(vi.mocked(Output.make).mock.calls, [[process.stdout, 1], [process.stderr, 2]])
  })
})

describe("a command whose stdout is data", () => {
  it("ends with the code that it set, however its main fiber ended, and says nothing", () => {
    const host = install()
    host.command()(3)
    host.finish(0)
    assert.strictEqual(process.exitCode, undefined, "as long as something may still be written")
    runDry()
    assert.deepStrictEqual([process.exitCode, exits, said], [3, [], []])
  })

  it("may take as long as it likes to end once its reader has everything", () => {
    const host = install()
    host.command()(3)
    host.finish(0)
    vi.advanceTimersByTime(60_000)
    assert.deepStrictEqual(exits, [])
  })

  it("does not wait longer than half a second for a reader that has stalled, and keeps its code", () => {
    const host = install()
    host.command()(3)
    pending = 1
    host.finish(0)
    vi.advanceTimersByTime(499)
    assert.deepStrictEqual(exits, [])
    vi.advanceTimersByTime(1)
    assert.deepStrictEqual(exits, [3])
  })
})

describe("a certificate that is kept in a file", () => {
  let folder = ""
  beforeEach(() => {
    folder = fs.mkdtempSync(join(os.tmpdir(), "profile-aggregator-"))
  })
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }))

  it("is the last line, which the next process reports and takes out", () => {
    const file = join(folder, "certificate")
    const first = serving().host
    first.keepCertificate(file)
    assert.strictEqual(reported().lastCertificate, null, "there was none before")
    signal("SIGTERM")
    first.finish(0)
    runDry()
    const text = fs.readFileSync(file, "utf8")
    const kept: Record<string, unknown> = JSON.parse(text)
    assert.match(text, /^\{"stopped":/)
    assert.deepStrictEqual(kept["stopped"], certificates()[0])
    // What every line of a log has.
    assert.deepStrictEqual([kept["level"], kept["message"], kept["component"]], ["info", "stopped", "lifecycle"])
    assert.isFalse(Number.isNaN(Date.parse(String(kept["time"]))))
    assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)

    serving().host.keepCertificate(file)
    assert.deepStrictEqual(reported().lastCertificate, kept)
    assert.isFalse(fs.existsSync(file), "so that nothing is there after a kill")
  })

  it("is none where the file has something else, or cannot be written, and the process ends as stated", () => {
    const { host } = serving()
    fs.writeFileSync(join(folder, "certificate"), "{")
    host.keepCertificate(join(folder, "certificate"))
    assert.strictEqual(reported().lastCertificate, null)
    host.keepCertificate(join(folder, "missing", "certificate"))
    signal("SIGTERM")
    host.finish(0)
    runDry()
    assert.deepStrictEqual([certificates()[0]?.code, process.exitCode], [0, 0])
  })
})

describe("the watchdog", () => {
  it("warns after two seconds and kills after fifteen, or what the operator says", () => {
    install()
    assert.deepStrictEqual(vi.mocked(watchdog.start).mock.lastCall, [{ warnMillis: 2000, killMillis: 15_000 }])
    vi.stubEnv("WATCHDOG_KILL_SECS", "60")
    install()
    assert.deepStrictEqual(vi.mocked(watchdog.start).mock.lastCall, [{ warnMillis: 2000, killMillis: 60_000 }])
  })

  it("warns of a service, not of a command", () => {
    const host = install()
    assert.strictEqual(warned, 0)
    host.serving()
    assert.strictEqual(warned, 1)
  })
})
