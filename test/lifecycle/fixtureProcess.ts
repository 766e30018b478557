/**
 * A process with small components whose faults are chosen by the first argument. It goes through the real entry:
 * handlers, `launch`, `runMain`, certificate. Run by `process.test.ts`.
 */
import type * as MailboxModule from "../../src/lifecycle/Mailbox.ts"
import { install } from "../../src/lifecycle/process.ts"

const host = install()
const [fault = "none"] = process.argv.slice(2)

const { NodeRuntime } = await import("@effect/platform-node")
const { Context, Effect, Layer, Logger, Scope } = await import("effect")
const { attach, launch, teardown } = await import("../../src/lifecycle/Launch.ts")
const Mailbox = await import("../../src/lifecycle/Mailbox.ts")
const { StartError } = await import("../../src/lifecycle/StartError.ts")
const { announce, Shutdown } = await import("../../src/lifecycle/Shutdown.ts")
const { Supervisor } = await import("../../src/lifecycle/Supervisor.ts")

class Store extends Context.Service<Store, {
  readonly mailbox: MailboxModule.Mailbox<number>
}>()("fixture/Store") {}

/** The bottom of the chain: owns the mailbox the others send to. */
const store = Layer.effect(
  Store,
  Effect.gen(function*() {
    yield* announce("database")
    if (fault === "fails to start") {
      return yield* new StartError({ component: "database", message: "no such disk", exitCode: 74 })
    }
    const { mailbox } = yield* Mailbox.make<number, never>({
      name: "database",
      capacity: 8,
      batchMax: 8,
      budget: { name: "ingester drain", millis: 2000 },
      handle: () => fault === "stuck batch" ? Effect.never : Effect.void
    })
    return Store.of({ mailbox })
  })
)

/** The seed bug: a component that takes its sender into a scope nobody closes, and the same one done right. */
const leaky = Effect.fn("Leaky.start")(function*() {
  const { mailbox } = yield* Store
  const scope = yield* Scope.make()
  return yield* mailbox.sender("aggregation/leaky").pipe(Scope.provide(scope))
})
const scoped = Effect.fn("Scoped.start")(function*() {
  const { mailbox } = yield* Store
  return yield* mailbox.sender("aggregation/scoped")
})

const middle = Layer.effectDiscard(Effect.gen(function*() {
  yield* announce("aggregation")
  const supervisor = yield* Supervisor
  const sender = yield* fault === "leaked sender" ? leaky() : scoped()
  if (fault === "stuck batch") yield* sender.send(1)
  if (fault === "component dies" || fault === "component dies for ever") {
    yield* supervisor.fork("harvest", Effect.delay(Effect.die("a bug"), 50))
  }
  if (fault === "finalizer dies") yield* Effect.addFinalizer(() => Effect.die("broken finalizer"))
  if (fault === "finalizer hangs") {
    const shutdown = yield* Shutdown
    yield* Effect.addFinalizer(() =>
      shutdown.bounded({ name: "worker stop", millis: 1000 }, Effect.uninterruptible(Effect.never))
    )
  }
  if (["unbounded finalizer", "forced command"].includes(fault) || fault === "component dies for ever") {
    yield* Effect.addFinalizer(() => Effect.never)
  }
}))

const top = Layer.effectDiscard(Effect.gen(function*() {
  yield* announce("websocket")
  if (fault === "slow start") yield* Effect.sleep("10 seconds")
  const shutdown = yield* Shutdown
  if (fault === "short drain") {
    yield* Effect.addFinalizer(() =>
      shutdown.bounded({ name: "drain", millis: 4000, cut: 0 }, Effect.sleep("2 seconds"))
    )
  }
  if (fault === "slow drain") {
    yield* Effect.addFinalizer(() => shutdown.bounded({ name: "drain", millis: 4000, cut: 0 }, Effect.never))
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => shutdown.journal.transition("draining")))
  if (fault === "stray rejection") setTimeout(() => void Promise.reject(new Error("nobody caught me")), 50)
  if (fault === "stray exception") {
    setTimeout(() => {
      throw new Error("thrown in a timer")
    }, 50)
  }
  if (fault === "chatty") { for (let i = 0; i < 3000; i++) host.output.write(`{"line":"${"x".repeat(1000)}"}`) }
  if (fault === "leaked timer") setInterval(() => {}, 1000)
  if (fault === "stalled loop") setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 50)
}))

const App = top.pipe(Layer.provideMerge(middle), Layer.provideMerge(store))
const Logs = Logger.layer([Logger.make(({ logLevel, message }) => {
  host.output.write(JSON.stringify({ level: logLevel, message }))
})])

if (fault === "late command") {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000)
  process.kill(process.pid, "SIGTERM")
} else if (fault === "forced command") {
  host.command()
  for (let n = 0; n < 3; n++) setTimeout(() => process.kill(process.pid, "SIGTERM"), 2000 + n * 400)
} else host.serving()
NodeRuntime.runMain(
  Effect.provide(
    attach(host, launch(App)),
    Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layer(host.journal)), Layer.provideMerge(Logs))
  ),
  { teardown: teardown(host), disableErrorReporting: true }
)
