import { assert, describe, it } from "@effect/vitest"
import { longMax, ReadTurns } from "../../../../src/database/sqlite/thread/ReadTurns.ts"

/** Reads of so many steps, each a millisecond by a clock that only they move; -1 never ends. */
const make = () => {
  let now = 0
  const clock = () => now
  let opened = 0
  let held = 0
  const answered: Array<string> = []
  const turns = new ReadTurns<{ readonly name: number; readonly steps: number }, number>(
    () => {
      opened++
      return {
        *work({ steps, name }) {
          held++
          try {
            if (steps === 0) throw new Error("broken")
            for (let i = 1; i !== steps; i++) {
              now++
              yield
            }
            now++
            return name
          } finally {
            held--
          }
        },
        close: () => void opened--
      }
    },
    {
      answer: (id, name) => {
        assert.strictEqual(id, name)
        answered.push(`${name}`)
      },
      failed: (id, error) => void answered.push(`${id} ${String(error)}`)
    },
    clock
  )
  let name = 0
  return {
    turns,
    answered,
    opened: () => opened,
    held: () => held,
    ask: (steps: number) => {
      name++
      turns.ask(name, { name, steps })
      return name
    },
    /** Turns until so many steps are done, or nothing is left to do. */
    run: (steps: number) => {
      const until = clock() + steps
      while (clock() < until && turns.turn());
    }
  }
}

describe("ReadTurns", () => {
  it("answers a short read before all long ones that came first, after two slices of these at most", () => {
    const { answered, ask, run } = make()
    for (let i = 0; i < 32; i++) ask(1000)
    // As long as it takes to know all of them for what they are.
    run(32 * 16)
    const short = ask(2)
    run(2 * 4 + 2)
    assert.deepStrictEqual(answered, [`${short}`])
  })

  it("lets long ones that are under way have their share beside any number of short ones", () => {
    const { answered, ask, run } = make()
    const long = ask(2000)
    run(8)
    for (let i = 0; i < 2000; i++) ask(5)
    run(3.5 * 2000)
    assert.notInclude(answered, `${long}`)
    run(0.5 * 2000)
    assert.include(answered, `${long}`)
  })

  it("ends all of them, however many there are, through a few readers", () => {
    const { answered, ask, held, opened, run } = make()
    const names = Array.from({ length: 40 }, (_, i) => ask(1 + 7 * (i % 9)))
    run(Infinity)
    assert.deepStrictEqual(answered.map(Number).toSorted((a, b) => a - b), names)
    assert.strictEqual(opened(), longMax + 1)
    assert.strictEqual(held(), 0)
  })

  it("goes on with the next one when one fails, through the same reader", () => {
    const { answered, ask, opened, run } = make()
    ask(0)
    ask(1)
    ask(0)
    run(Infinity)
    assert.deepStrictEqual(answered, ["1 Error: broken", "2", "3 Error: broken"])
    assert.strictEqual(opened(), 1)
  })

  it("forgets a read that is cancelled, whether it waits or is under way, and gives its snapshot back", () => {
    const { answered, ask, held, run, turns } = make()
    const names = Array.from({ length: longMax + 3 }, () => ask(-1))
    run(16 * names.length)
    const fresh = ask(1)
    for (const name of [fresh, ...names]) turns.cancel(name)
    turns.cancel(12_345)
    assert.strictEqual(held(), 0)
    const last = ask(1)
    run(Infinity)
    assert.deepStrictEqual(answered, [`${last}`])
  })

  it("drops all reads and closes all readers at the end", () => {
    const { answered, ask, held, opened, run, turns } = make()
    for (let i = 0; i < 10; i++) ask(-1)
    run(100)
    turns.close()
    assert.deepStrictEqual([opened(), held()], [0, 0])
    assert.isFalse(turns.turn())
    assert.deepStrictEqual(answered, [])
  })

  it("closes the readers that many reads at once have taken, but for one, when there is little to do", () => {
    const { turns, ask, run, opened, answered } = make()
    for (let i = 0; i < 8; i++) ask(100)
    run(10_000)
    assert.strictEqual(answered.length, 8)
    assert.isAbove(opened(), 1)
    turns.rest()
    assert.strictEqual(opened(), 1)
    const next = ask(1)
    run(1)
    assert.strictEqual(answered.at(-1), `${next}`)
  })
})
