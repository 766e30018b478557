/**
 * One run of a write policy plugin: a child process that is asked a line at a time.
 *
 * It has a process group of its own, so that a shell's children go with it and Ctrl-C in a terminal is ours alone. Released,
 * the group is killed at once: whatever it does, and whether it listens, a stop waits for the kernel and for nobody else.
 */
import { Effect, Schema, type Scope } from "effect"
import { spawn } from "node:child_process"
import { messageOf } from "../../observability/messageOf.ts"

/** The plugin is of no use any more. `hung`: it did not answer in time, or whoever asked did not wait for it. */
export class PluginFailed extends Schema.TaggedError<PluginFailed>()("PluginFailed", {
  reason: Schema.Literals(["not started", "ended", "hung", "nonsense"]),
  detail: Schema.String
}) {}

export interface PluginProcess {
  readonly pid: number
  /** Undefined as long as it can be asked. */
  readonly failure: () => PluginFailed | undefined
  /** Writes one line, and waits for the next one. One at a time; interrupted, the process owes an answer and is done for. */
  readonly ask: (line: string) => Effect.Effect<string, PluginFailed>
  /** Kills it without waiting: for a process that has no event loop any more. */
  readonly kill: () => void
}

/** UTF-16 units of one answer. */
const answerMax = 65_536

export interface Options {
  readonly path: string
  /** Its whole environment: ours may hold secrets. */
  readonly env: Readonly<Record<string, string>>
  /** Processes that are alive are counted here, by what the system says of them. */
  readonly alive: { count: number }
}

const start = (path: string, env: Options["env"]) =>
  spawn(path, [], { env, detached: true, stdio: ["pipe", "pipe", "inherit"] })

const open = (
  { alive, env, path }: Options
): Effect.Effect<PluginProcess & { readonly end: Effect.Effect<void> }, PluginFailed> =>
  Effect.callback((resume) => {
    const notStarted = (error: unknown) =>
      resume(Effect.fail(new PluginFailed({ reason: "not started", detail: messageOf(error) })))
    let child: ReturnType<typeof start>
    try {
      child = start(path, env)
    } catch (error) {
      return notStarted(error)
    }
    let failure: PluginFailed | undefined
    let hasExited = false
    let text = ""
    let asker: ((answer: Effect.Effect<string, PluginFailed>) => void) | undefined
    const exits = new Set<() => void>()

    const settle = (answer: Effect.Effect<string, PluginFailed>) => {
      const waiting = asker
      asker = undefined
      waiting?.(answer)
    }
    const fail = (reason: PluginFailed["reason"], detail: string) => {
      failure ??= new PluginFailed({ reason, detail })
      settle(Effect.fail(failure))
    }
    const kill = () => {
      if (child.pid === undefined || hasExited) return
      try {
        process.kill(-child.pid, "SIGKILL")
      } catch {
        // It has ended, and its exit is on the way to us.
      }
    }

    child.once("error", notStarted)
    child.once("exit", (code, signal) => {
      // What it has started may live on in its group; the number is not given away while one of them does.
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      } catch {
        // There was nobody else.
      }
      hasExited = true
      alive.count--
      child.stdin.destroy()
      child.stdout.destroy()
      fail("ended", signal === null ? `exit code ${code}` : signal)
      for (const resumed of exits) resumed()
    })
    child.stdin.on("error", (error) => fail("ended", messageOf(error)))
    child.stdout.setEncoding("utf8")
    child.stdout.on("error", (error) => fail("ended", messageOf(error)))
    child.stdout.on("data", (chunk: string) => {
      if (failure !== undefined) return
      text += chunk
      if (asker === undefined) return fail("nonsense", "it says something without being asked")
      const end = text.indexOf("\n")
      if (end === -1 && text.length <= answerMax) return
      if (end === -1) return fail("nonsense", "its answer is too long")
      const line = text.slice(0, end)
      if (end + 1 < text.length) return fail("nonsense", "it says more than one line")
      text = ""
      settle(Effect.succeed(line))
    })

    child.once("spawn", () => {
      alive.count++
      resume(Effect.succeed({
        pid: child.pid ?? 0,
        failure: () => failure,
        ask: (line) =>
          Effect.callback<string, PluginFailed>((answered) => {
            if (failure !== undefined) return answered(Effect.fail(failure))
            asker = answered
            child.stdin.write(`${line}\n`)
            return Effect.sync(() => fail("hung", "nobody waited for its answer"))
          }),
        kill,
        end: Effect.callback<void>((ended) => {
          kill()
          if (hasExited) return ended(Effect.void)
          exits.add(() => ended(Effect.void))
        })
      }))
    })
  })

/** Starts one; it is gone when the scope has closed. */
export const make = (options: Options): Effect.Effect<PluginProcess, PluginFailed, Scope.Scope> =>
  Effect.acquireRelease(open(options), ({ end }) => end)
