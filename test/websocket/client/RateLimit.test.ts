import { assert, describe, it } from "@effect/vitest"
import { Allowance, Rates, TokenBucket } from "../../../src/websocket/client/RateLimit.ts"

describe("TokenBucket", () => {
  it("gives two seconds' worth at once, and one second's worth in each second", () => {
    const bucket = new TokenBucket(() => 5, 0)
    for (let i = 0; i < 10; i++) {
      assert.isFalse(bucket.isEmpty(0), `${i}`)
      bucket.spend(1)
    }
    assert.isTrue(bucket.isEmpty(0))
    assert.isFalse(bucket.isEmpty(200))
    bucket.spend(1)
    assert.isTrue(bucket.isEmpty(200))
    assert.isFalse(bucket.isEmpty(60_000))
    for (let i = 0; i < 10; i++) bucket.spend(1)
    assert.isTrue(bucket.isEmpty(60_000), "no more than that is saved up")
  })

  it("tells when it is worth coming back", () => {
    const bucket = new TokenBucket(() => 100, 0)
    assert.strictEqual(bucket.wait(0), 0)
    bucket.spend(250)
    assert.strictEqual(bucket.wait(0), 550)
    assert.strictEqual(bucket.wait(400), 150)
    assert.strictEqual(bucket.wait(550), 0)
  })

  it("follows its rate as it changes", () => {
    let rate = 1
    const bucket = new TokenBucket(() => rate, 0)
    bucket.spend(12)
    assert.strictEqual(bucket.wait(0), 10_050)
    rate = 100
    assert.strictEqual(bucket.wait(0), 150)
    rate = 0
    assert.strictEqual(bucket.wait(0), 0)
  })

  it("lets a dear message pass, and makes the next ones wait for it", () => {
    const bucket = new TokenBucket(() => 1, 0)
    bucket.spend(30)
    assert.isTrue(bucket.isEmpty(27_999))
    assert.isFalse(bucket.isEmpty(28_001))
  })

  it("has no limit at a rate of 0", () => {
    const bucket = new TokenBucket(() => 0, 0)
    bucket.spend(1e9)
    assert.isFalse(bucket.isEmpty(0))
  })
})

describe("Rates", () => {
  it("outlive the connections of an address while they are not full", () => {
    const rates = new Rates(() => 1)
    const bucket = rates.hold("192.0.2.1", 0)
    rates.sweep(0)
    assert.strictEqual(rates.size, 1, "a connection holds it")
    bucket.spend(2)
    bucket.holders--
    rates.sweep(1000)
    assert.strictEqual(rates.hold("192.0.2.1", 1000), bucket)
    bucket.holders--
    rates.sweep(2001)
    assert.strictEqual(rates.size, 0)
  })
})

describe("Allowance", () => {
  const rates = new Rates(() => 10)
  const allowanceOf = (client: string) => new Allowance({ rates, rate: () => 1000, client, now: 0 })

  it("is as much as the poorest of its buckets has, which others may spend from", () => {
    const [one, another, stranger] = ["a", "a", "b"].map(allowanceOf) as [Allowance, Allowance, Allowance]
    one.spend(20)
    assert.deepStrictEqual([one, another, stranger].map((each) => each.isEmpty(0)), [true, true, false])
    assert.deepStrictEqual([one, another, stranger].map((each) => each.wait(0)), [50, 50, 0])
  })

  it("follows a key from one address to another", () => {
    const [here, there] = ["c", "d"].map(allowanceOf) as [Allowance, Allowance]
    for (const one of [here, there]) one.include("a pubkey", 0)
    here.spend(20)
    assert.isTrue(there.isEmpty(0))
    assert.isFalse(allowanceOf("d").isEmpty(0), "nobody else at that address")
  })

  it("gives its buckets back once", () => {
    const one = allowanceOf("e")
    const other = allowanceOf("e")
    one.release()
    one.release()
    rates.sweep(60_000)
    other.spend(20)
    assert.isTrue(allowanceOf("e").isEmpty(0), "it is the same bucket")
  })
})
