import { assert, describe, it } from "@effect/vitest"
import { type Filter, filterOf } from "../../src/domain/Filter.ts"
import { mayRead, readRefusal } from "../../src/domain/PrivateMessage.ts"
import { keyOf, signed } from "../support/events.ts"

const [ann, bob, eve] = ["ann", "bob", "eve"].map((name) => keyOf(name).pubkey) as [string, string, string]
const message = signed({ kind: 4, tags: [["p", bob]] }, "ann")
const filter = (value: object): Filter => {
  const filter = filterOf(value, { filterValuesMax: 10 })
  assert.isObject(filter)
  return filter as Filter
}
const asked = (value: object, ...readers: ReadonlyArray<string>) =>
  readRefusal([{ kinds: [1] }, filter(value)], new Set(readers))?.split(":")[0]

describe("private messages", () => {
  it("are for their author and those they are addressed to", () => {
    const wrap = signed({ kind: 1059, tags: [["p", bob, "wss://relay.example"]] }, "one-time key")
    assert.isTrue(mayRead(message, new Set([ann])))
    assert.isTrue(mayRead(message, new Set([eve, bob])), "any of a client's keys will do")
    assert.isTrue(mayRead(wrap, new Set([bob])))
    for (const event of [message, wrap]) {
      assert.isFalse(mayRead(event, new Set([eve])))
      assert.isFalse(mayRead(event, new Set()))
    }
  })

  it("leave other kinds to everybody", () => {
    assert.isTrue(mayRead(signed({ kind: 1, tags: [["p", bob]] }), new Set()))
  })

  it("take a key to be asked for by name", () => {
    for (const kinds of [[4], [1059], [21_059], [0, 1, 4]]) assert.strictEqual(asked({ kinds }), "auth-required")
    assert.isUndefined(asked({ authors: [ann] }))
    assert.isUndefined(asked({ kinds: [3, 5, 1058, 1060], "#p": [bob] }))
  })

  it("are not another's to ask for", () => {
    assert.strictEqual(asked({ kinds: [4], authors: [ann] }, eve), "restricted")
    assert.strictEqual(asked({ kinds: [1059], "#p": [bob] }, eve), "restricted")
    assert.isUndefined(asked({ kinds: [4], authors: [ann, bob] }, bob))
    assert.isUndefined(asked({ kinds: [4], authors: [ann], "#p": [bob] }, bob))
    assert.isUndefined(asked({ kinds: [1059] }, bob))
  })
})
