/**
 * Every fiber that is alive in this process, and every journal that one of them ran with.
 *
 * Effect keeps no list of fibers, so each one is entered here when it first runs. What a fiber is called is the logical call
 * that it is in; with LEAK_STACKS=1 also where it was started.
 */
import { Context, Effect, type Fiber, References } from "effect"
import type { Journal } from "../../src/lifecycle/Journal.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"

/** What is used of Effect's fibers beyond their contract. */
interface Running extends Fiber.Fiber<unknown, unknown> {
  evaluate: (effect: unknown) => void
}

const live = new Map<Running, string | undefined>()
const journals = new Set<Journal>()

const startOf = (): string | undefined => {
  if (process.env["LEAK_STACKS"] === undefined) return undefined
  return new Error("started").stack?.split("\n").filter((line) => /\/(?:src|test)\/(?!support\/fibers)/.test(line))
    .slice(0, 4).join("\n")
}

const enter = (fiber: Running): void => {
  live.set(fiber, startOf())
  fiber.addObserver(() => live.delete(fiber))
  const shutdown = Context.getOrUndefined(fiber.context, Shutdown)
  if (shutdown !== undefined) journals.add(shutdown.journal)
}

let isWatching = false

/** From now on. Once is enough. */
export const watch = (): void => {
  if (isWatching) return
  isWatching = true
  const prototype = Object.getPrototypeOf(Effect.runFork(Effect.void)) as Running
  const { evaluate } = prototype
  prototype.evaluate = function(this: Running, effect) {
    if (!live.has(this) && this.pollUnsafe() === undefined) enter(this)
    return evaluate.call(this, effect)
  }
}

const nameOf = (fiber: Running, started: string | undefined): string => {
  const frame = fiber.getRef(References.CurrentStackFrame)
  const place = /([^/\\]+:\d+):\d+\)?$/.exec(frame?.stack()?.split("\n")[0] ?? "")?.[1]
  const name = frame === undefined ? `#${fiber.id}` : place === undefined ? frame.name : `${frame.name} @ ${place}`
  return started === undefined ? `fiber ${name}` : `fiber ${name} started\n${started}\n`
}

/** Names of the fibers that are alive now. */
export const living = (): ReadonlyArray<string> => [...live].map(([fiber, started]) => nameOf(fiber, started))

/** The journals that were seen. */
export const seen = (): ReadonlySet<Journal> => journals
