/**
 * The process around the program: signals, stray errors, deadlines and the last line.
 *
 * Nothing here imports Effect, so that the handlers stand a few milliseconds after the process starts, long before the
 * application is loaded; what comes before that, `entry.js` keeps for them. They stay to the very end, as a late signal would
 * otherwise end a finished stop by its default action.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import { certify, ExitCode } from "./Certificate.ts"
import { type Cause, Journal } from "./Journal.ts"
import * as Output from "./Output.ts"
import { report } from "./Report.ts"
import * as watchdog from "./watchdog.ts"

/** From the first stop request to the forced exit. */
const hardDeadlineMillis = 9000
/** A second signal counts when it comes this much later: wrappers deliver one signal twice. */
const debounceMillis = 250
/** How long handles may linger after the program has ended before they are called leaked. */
const lingerMillis = 500

export interface ProcessHost {
  readonly journal: Journal
  readonly output: Output.Output
  /** Calls back once, when a stop is asked for; at once when it already was. */
  readonly onStop: (callback: () => void) => void
  /** Calls back once, at the second signal. */
  readonly onHurry: (callback: () => void) => void
  /** Asks for an orderly stop. */
  readonly stop: (cause: Cause) => void
  /** A service is being run, not `--help`: lifecycle lines and the certificate are wanted from here on. */
  readonly serving: () => void
  /**
   * A command is being run whose stdout is data: lifecycle lines are for nobody, and what the process has to say all the same
   * (a report that is asked for, the certificate of a forced end) goes to stderr. Gives what sets the code it ends with,
   * however its main fiber ends.
   */
  readonly command: () => (code: number) => void
  /**
   * The program has ended and released everything: the process may end as soon as its event loop is empty. `code` is for
   * commands that are no service and have no certificate.
   */
  readonly finish: (code: number) => void
  /** Milliseconds for which the event loop may stand still. */
  readonly setWatchdogKill: (millis: number) => void
  /** Turns a clean stop by a signal into 128 + its number, for tooling that wants it. */
  readonly setSignalExit: (convention: "zero" | "conventional") => void
  /**
   * Keeps the certificate in that file, for the next process to show. What the last one left there is taken out now, so
   * that nothing is there after a kill.
   */
  readonly keepCertificate: (file: string) => void
}

/** Calls back once, also when the moment has passed already. */
const moment = () => {
  let passed = false
  const callbacks: Array<() => void> = []
  return {
    on: (callback: () => void) => void (passed ? callback() : callbacks.push(callback)),
    pass: () => {
      passed = true
      for (const callback of callbacks.splice(0)) callback()
    }
  }
}

const describe = (error: unknown): string =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 500)

/** What keeps the event loop alive and was not there before. */
const newHandles = (before: ReadonlyArray<string>): ReadonlyArray<string> => {
  const known = [...before]
  return process.getActiveResourcesInfo().filter((kind) => {
    const at = known.indexOf(kind)
    if (at >= 0) known.splice(at, 1)
    return at < 0
  })
}

/** What stands in the file, which is gone afterwards; null when nothing sensible does. */
const taken = (file: string): unknown => {
  try {
    const value: unknown = JSON.parse(fs.readFileSync(file, "utf8"))
    fs.rmSync(file)
    return value
  } catch {
    return null
  }
}

/** Installs every handler. Call it once, before anything else is imported. */
export const install = (): ProcessHost => {
  const output = Output.make(process.stdout, 1)
  const errors = Output.make(process.stderr, 2)
  let serving = false
  let isCommand = false
  let commandCode: number | undefined
  const early: Array<string> = []
  const journal = new Journal({
    now: () => performance.now(),
    wallTime: Date.now,
    emit: (line) => void (serving ? output.write(line) : early.push(line)),
    // On a terminal they are for a person, who has the time and reads the rest.
    isStamped: !output.isTerminal,
    // Also for a stop that a failing component began: its release may hang like any other.
    stopping: () => void setTimeout(() => force("hard deadline", ExitCode.CutShort), hardDeadlineMillis).unref()
  })
  const stopping = moment()
  const hurrying = moment()
  let signals = 0
  let lastSignalAt = 0
  let firstSignal: NodeJS.Signals | undefined
  let signalExit: "zero" | "conventional" = "zero"
  let written = false
  let certificateFile: string | undefined

  let baseline: ReadonlyArray<string> = []

  /** Writes the last line once and says which code it states. */
  const certificate = (handles: ReadonlyArray<string>, code?: number): number => {
    // First, as the phase that it ends is in the certificate.
    if (!written) journal.transition("stopped")
    const stated = certify(journal, handles)
    const conventional = stated.code === ExitCode.Clean && signalExit === "conventional" && firstSignal !== undefined
      ? 128 + os.constants.signals[firstSignal]
      : stated.code
    const final = code ?? conventional
    if (!written) {
      written = true
      const line = JSON.stringify({
        stopped: { ...stated, code: final },
        ...journal.stamp("stopped")
      })
      const sink = isCommand ? errors : output
      sink.writeSync(line)
      try {
        if (certificateFile !== undefined) fs.writeFileSync(certificateFile, `${line}\n`, { mode: 0o600 })
      } catch {
        // A full disk is no reason to end otherwise than stated.
      }
      journal.certified()
    }
    return final
  }

  const dog = watchdog.start({
    warnMillis: 2000,
    // Until the settings are known, which say what is wrong with a value that means nothing.
    killMillis: 1000 * Number(process.env["WATCHDOG_KILL_SECS"]) || watchdog.killMillis
  })

  const serve = () => {
    serving = true
    dog.warn()
    for (const line of early.splice(0)) output.write(line)
  }

  const force = (name: string, code: number): never => {
    journal.expire(name)
    if (!isCommand) serve()
    process.exit(certificate(newHandles(baseline), code))
  }

  const stop = (cause: Cause) => {
    journal.stop(cause)
    stopping.pass()
  }

  const onSignal = (signal: NodeJS.Signals) => {
    const now = journal.now()
    if (signals > 0 && now - lastSignalAt < debounceMillis) return
    signals += 1
    lastSignalAt = now
    firstSignal ??= signal
    if (signals === 1) return stop({ name: signal, code: ExitCode.Clean })
    if (signals === 2) return hurrying.pass()
    force(`third signal (${signal})`, 128 + os.constants.signals[signal])
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal)
  process.on("SIGUSR2", () => {
    const sink = isCommand ? errors : output
    sink.write(JSON.stringify({ report: report(journal), ...journal.stamp("report") }))
  })

  // By default this one opens a debugger's port.
  process.on("SIGUSR1", () => {})

  const stray = (name: string) => (error: unknown) =>
    stop({ name, detail: describe(error), code: ExitCode.ProofFailed })
  process.on("uncaughtException", stray("stray exception"))
  process.on("unhandledRejection", stray("stray rejection"))

  baseline = process.getActiveResourcesInfo()

  return {
    journal,
    output,
    onStop: stopping.on,
    onHurry: hurrying.on,
    stop,
    serving: serve,
    command: () => {
      isCommand = true
      return (code) => void (commandCode = code)
    },
    finish: (code) => {
      if (commandCode !== undefined) {
        const ended = commandCode
        process.once("exit", () => void (process.exitCode = ended))
        // A reader that has stalled keeps bytes of ours, and so the process; it gets as long as any handle.
        if (output.pending() > 0) setTimeout(() => process.exit(ended), lingerMillis).unref()
        return
      }
      if (journal.causes.length > 0) serve()
      if (!serving) {
        process.exitCode = code
        return
      }
      // The event loop is empty: nothing that we opened is left, and the process ends by itself after this line.
      process.once("beforeExit", () => {
        process.exitCode = certificate([])
        // Node takes its signal handlers down before it ends; leaving from here keeps them to the last instruction.
        process.once("exit", () => process.exit())
      })
      setTimeout(() => {
        const handles = newHandles(baseline)
        // A reader that does not take our last lines is no leak of ours, and must not hold the process.
        process.exit(certificate(output.pending() > 0 ? [] : handles.length > 0 ? handles : ["unknown"]))
      }, lingerMillis).unref()
    },
    setWatchdogKill: dog.killAfter,
    setSignalExit: (convention) => void (signalExit = convention),
    keepCertificate: (file) => {
      journal.lastCertificate = taken(file)
      certificateFile = file
    }
  }
}
