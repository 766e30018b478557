/**
 * What the service tells whoever has started it, where that is systemd or speaks like it (sd_notify(3)): that it is ready, that it is
 * stopping, in which state it is, and, while its event loop turns, that it is alive.
 *
 * Each message is a datagram to the Unix socket that `NOTIFY_SOCKET` names. Node has no such sockets, so they are made through
 * `koffi`; where that does not work, or nobody asked, nothing is told and nothing is loaded.
 */
import { Effect, Layer } from "effect"
import { messageOf } from "../observability/messageOf.ts"
import type { State } from "./Journal.ts"
import { Shutdown } from "./Shutdown.ts"
import { Supervisor } from "./Supervisor.ts"

/** Of this process, as far as it concerns the manager. */
export interface Environment {
  readonly NOTIFY_SOCKET?: string | undefined
  /** Microseconds within which a sign of life is expected. */
  readonly WATCHDOG_USEC?: string | undefined
  /** Whose sign of life, where it is not everybody's. */
  readonly WATCHDOG_PID?: string | undefined
}

/** sys/socket.h and sys/un.h of Linux. */
const linux = {
  family: 1,
  datagram: 2,
  closeOnExec: 0o2_000_000,
  dontWait: 0x40,
  noSignal: 0x4000,
  pathMax: 108
} as const

interface Channel {
  /** Sends, or not: a manager that does not read must hold nobody up. */
  readonly tell: (message: string) => void
  readonly close: () => void
}

const open = async (path: string): Promise<Channel> => {
  const { default: koffi } = await import("koffi")
  const library = koffi.load(null)
  const socket = library.func("socket", "int", ["int", "int", "int"])
  const sendto = library.func("sendto", "long", ["int", "void *", "size_t", "int", "void *", "uint"])
  const close = library.func("close", "int", ["int"])
  // An abstract address begins with a NUL, written as @.
  const name = Buffer.from(path.replace(/^@/, "\0"))
  if (name.length >= linux.pathMax) throw new Error("NOTIFY_SOCKET is too long")
  const address = Buffer.alloc(2 + name.length)
  address.writeUInt16LE(linux.family)
  name.copy(address, 2)
  const file = socket(linux.family, linux.datagram | linux.closeOnExec, 0) as number
  if (file < 0) throw new Error(`no socket: error ${koffi.errno()}`)
  return {
    tell: (message) => {
      const bytes = Buffer.from(message)
      sendto(file, bytes, bytes.length, linux.dontWait | linux.noSignal, address, address.length)
    },
    close: () => void close(file)
  }
}

const messageAt = (state: State): string => {
  switch (state) {
    case "ready":
      return "READY=1\nSTATUS=ready"
    case "draining":
      return "STOPPING=1\nSTATUS=draining: accepted work is finished"
    case "releasing":
      return "STATUS=releasing: components end in reverse order"
    default:
      return `STATUS=${state}`
  }
}

/** Milliseconds between two signs of life, half of what is asked for; undefined where none is. */
const pulseOf = ({ WATCHDOG_PID, WATCHDOG_USEC }: Environment): number | undefined => {
  const micros = Number(WATCHDOG_USEC)
  const isForUs = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid)
  return isForUs && micros > 0 ? micros / 2000 : undefined
}

const make = Effect.fnUntraced(function*(environment: Environment) {
  const path = environment.NOTIFY_SOCKET
  if (path === undefined || path === "" || process.platform !== "linux") return
  const { journal } = yield* Shutdown
  const supervisor = yield* Supervisor
  const opened = yield* Effect.result(Effect.tryPromise({ try: () => open(path), catch: messageOf }))
  if (opened._tag === "Failure") {
    yield* Effect.logWarning("the service manager cannot be told").pipe(
      Effect.annotateLogs({ component: "lifecycle", reason: opened.failure })
    )
    return
  }
  const { close, tell } = opened.success
  yield* Effect.acquireRelease(
    Effect.sync(() => journal.onTransition((state) => tell(messageAt(state)))),
    (forget) =>
      Effect.sync(() => {
        forget()
        tell("STATUS=released")
        close()
      })
  )
  tell("STATUS=starting")
  const pulse = pulseOf(environment)
  if (pulse === undefined) return
  // From the loop that must not stall: where it does, no sign comes, and the manager acts.
  yield* supervisor.fork(
    "service manager",
    Effect.forever(Effect.andThen(Effect.sync(() => tell("WATCHDOG=1")), Effect.sleep(pulse)))
  )
})

/** Acquire it before the components, so that it tells of all of their life. */
export const layer = (environment: Environment): Layer.Layer<never, never, Shutdown | Supervisor> =>
  Layer.effectDiscard(make(environment))
