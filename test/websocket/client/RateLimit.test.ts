import { assert, describe, it } from "@effect/vitest"
import { clientMessageOf } from "../../../src/domain/ClientMessage.ts"
import { AddressRates, costOf, TokenBucket } from "../../../src/websocket/client/RateLimit.ts"
import { limits } from "../../domain/arbitraries.ts"
import { signed } from "../../support/events.ts"

const cost = (...message: ReadonlyArray<unknown>) => {
  const text = JSON.stringify(message)
  return costOf(clientMessageOf(text, limits), text.length)
}

describe("TokenBucket", () => {
  it("gives ten seconds' worth at once, and one second's worth in each second", () => {
    const bucket = new TokenBucket(() => 5, 0)
    for (let i = 0; i < 50; i++) {
      assert.isFalse(bucket.isEmpty(0), `${i}`)
      bucket.spend(1)
    }
    assert.isTrue(bucket.isEmpty(0))
    assert.isFalse(bucket.isEmpty(200))
    bucket.spend(1)
    assert.isTrue(bucket.isEmpty(200))
    assert.isFalse(bucket.isEmpty(60_000))
    for (let i = 0; i < 50; i++) bucket.spend(1)
    assert.isTrue(bucket.isEmpty(60_000), "no more than that is saved up")
  })

  it("lets a dear message pass, and makes the next ones wait for it", () => {
    const bucket = new TokenBucket(() => 1, 0)
    bucket.spend(30)
    assert.isTrue(bucket.isEmpty(19_999))
    assert.isFalse(bucket.isEmpty(20_001))
  })

  it("has no limit at a rate of 0", () => {
    const bucket = new TokenBucket(() => 0, 0)
    bucket.spend(1e9)
    assert.isFalse(bucket.isEmpty(0))
  })
})

describe("AddressRates", () => {
  it("outlive the connections of an address while they are not full", () => {
    const rates = new AddressRates(() => 1)
    const bucket = rates.of("192.0.2.1", 0)
    bucket.spend(5)
    rates.sweep(4999, () => false)
    assert.strictEqual(rates.of("192.0.2.1", 4999), bucket)
    rates.sweep(5001, (client) => client === "192.0.2.1")
    assert.strictEqual(rates.size, 1, "a connection holds it")
    rates.sweep(5001, () => false)
    assert.strictEqual(rates.size, 0)
  })
})

describe("costs", () => {
  it("grow with bytes, values and rows", () => {
    assert.isBelow(cost("EVENT", signed({ content: "short" })), cost("EVENT", signed({ content: "x".repeat(50_000) })))
    const id = "a".repeat(64)
    assert.isBelow(cost("REQ", "a", { ids: [id] }), cost("REQ", "a", { ids: Array.from({ length: 500 }, () => id) }))
    assert.isBelow(cost("REQ", "a", { limit: 1 }), cost("REQ", "a", { limit: 5000 }))
    assert.isBelow(cost("REQ", "a", { limit: 1 }), cost("COUNT", "a", { limit: 1 }))
  })

  it("are nothing for what gives something back", () => {
    assert.deepStrictEqual([cost("CLOSE", "a"), cost("NEG-CLOSE", "a")], [0, 0])
  })

  it("are something for nonsense", () => {
    assert.isAbove(cost("HELLO"), 0)
  })
})
