/** How long the event loop of a child process is busy at a time, by the probe that is loaded into it. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import type { Child } from "./child.ts"
import type { Turns } from "./loopProbe.ts"

/** How to start a process that can be asked. */
export const probed = {
  stdin: "open",
  execArgv: ["--import", join(import.meta.dirname, "loopProbe.ts")]
} as const

/** Milliseconds of CPU that a turn of the event loop may take, with what the probe cannot tell from it. */
const turnMax = 20 + 5

/** One turn may have held a whole garbage collection, whose length is the heap's and not the program's. */
const withCollection = 2 * turnMax

let asked = 0

/** Runs `body` and asserts that no turn of the process took 20 ms of CPU meanwhile, but for one; prints what they took. */
export const assertShortTurns = Effect.fnUntraced(function*<A, E, R>(process: Child, body: Effect.Effect<A, E, R>) {
  const number = ++asked
  yield* process.write("begin\n")
  const result = yield* body
  yield* process.write(`end ${number}\n`)
  const line = yield* process.errorLine(`"number":${number}}`)
  const { delay, longest } = (JSON.parse(line) as { readonly turns: Turns }).turns
  console.log(
    `event loop: ${longest.map((turn) => turn.toFixed(1)).join(", ")} ms of CPU in the longest turns; timers ${
      delay.toFixed(1)
    } ms late at most`
  )
  assert.isBelow(longest[0], withCollection)
  assert.isBelow(longest[1], turnMax)
  return result
})
