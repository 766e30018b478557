import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Turns } from "../../../src/websocket/client/Turns.ts"

const turn = Effect.forEach([1, 2, 3], () => Effect.yieldNow, { discard: true })

describe("Turns", () => {
  it.effect("end for an address with its part of the work, and for no other", () =>
    Effect.gen(function*() {
      const turns = new Turns(Effect.runForkWith(yield* Effect.context()))
      turns.spend("a", 150)
      assert.isFalse(turns.isOver("a"))
      turns.spend("a", 150)
      assert.deepStrictEqual([turns.isOver("a"), turns.isOver("b")], [true, false])
      yield* turn
      assert.isFalse(turns.isOver("a"), "the next one")
    }))

  it.effect("go on with those who have waited for longest, as many as the address may have in one", () =>
    Effect.gen(function*() {
      const turns = new Turns(Effect.runForkWith(yield* Effect.context()))
      const order: Array<string> = []
      const wait = (name: string, times: number) =>
        turns.wait("a", () => {
          order.push(name)
          turns.spend("a", 300)
          if (times > 1) wait(name, times - 1)
        })
      for (const name of ["x", "y", "z"]) wait(name, 2)
      while (order.length < 6) {
        const before = order.length
        yield* Effect.yieldNow
        assert.isAtMost(order.length, before + 1)
      }
      assert.deepStrictEqual(order, ["x", "y", "z", "x", "y", "z"])
    }))
})
