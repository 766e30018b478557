import { assert, describe, it } from "@effect/vitest"
import { textOf } from "../../src/database/Database.ts"
import { pack, unpack } from "../../src/database/packedSelection.ts"

const selection = (events: ReadonlyArray<string>) => ({ asOf: 7, complete: false, events })

describe("pack and unpack", () => {
  it("give back every event as it was, whatever its letters", () => {
    const events = ["{\"content\":\"plain\"}", "{\"content\":\"café 日本 🛶\"}", "", "{\"content\":\"ü\"}"]
    const { asOf, complete, events: unpacked } = unpack(pack(selection(events)))
    assert.deepStrictEqual([asOf, complete], [7, false])
    assert.deepStrictEqual(unpacked.map(textOf), events)
  })

  it("take as many bytes as the events do in UTF-8, in one buffer", () => {
    const { bytes, ends } = pack(selection(["aé", "日"]))
    assert.deepStrictEqual([bytes.length, [...ends]], [6, [3, 6]])
  })

  it("know the empty answer", () => {
    assert.deepStrictEqual(unpack(pack(selection([]))), selection([]))
  })
})
