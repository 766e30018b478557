import { assert, describe, it } from "@effect/vitest"
import { type Account, OutboundBudget } from "../../../src/websocket/client/OutboundBudget.ts"

const world = (bytesMax: number) => {
  const budget = new OutboundBudget(() => bytesMax)
  const cut: Array<string> = []
  const account = (name: string): Account => ({ waiting: 0, taken: 0, readAt: 0, cut: () => cut.push(name) })
  return { budget, cut, account }
}

describe("OutboundBudget", () => {
  it("gives each connection a part of what is left", () => {
    const { account, budget } = world(1000)
    assert.strictEqual(budget.share, 250)
    const one = account("one")
    budget.report(one, 600, 0, 0)
    assert.strictEqual(budget.share, 100)
    budget.report(one, 200, 400, 1)
    assert.strictEqual(budget.share, 200)
    budget.forget(one)
    assert.strictEqual(budget.waiting, 0)
    budget.forget(one)
    assert.strictEqual(budget.share, 250, "what is forgotten is given back once")
  })

  it("cuts who has taken nothing for longest, and only as many as it takes", () => {
    const { account, budget, cut } = world(1000)
    const [silent, slow, fresh] = ["silent", "slow", "fresh"].map(account) as [Account, Account, Account]
    budget.report(slow, 300, 0, 0)
    budget.report(silent, 300, 0, 1)
    budget.report(slow, 300, 100, 2)
    budget.report(fresh, 300, 0, 3)
    assert.deepStrictEqual(cut, [])
    budget.report(slow, 500, 200, 4)
    assert.deepStrictEqual(cut, ["silent"])
    assert.strictEqual(budget.waiting, 800)
  })

  it("cuts the largest of those who are equally slow", () => {
    const { account, budget, cut } = world(1000)
    budget.report(account("small"), 100, 0, 0)
    budget.report(account("large"), 800, 0, 0)
    budget.report(account("last"), 200, 0, 0)
    assert.deepStrictEqual(cut, ["large"])
  })

  it("counts nothing twice that reports while it is cut", () => {
    const budget = new OutboundBudget(() => 1000)
    const one: Account = { waiting: 0, taken: 0, readAt: 0, cut: () => budget.forget(one) }
    budget.report(one, 1500, 0, 0)
    assert.strictEqual(budget.waiting, 0)
  })
})
