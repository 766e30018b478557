import { assert, describe, it } from "@effect/vitest"
import { listed, managementRequestOf, supportedMethods, textMax } from "../../src/domain/Management.ts"
import { hex } from "./arbitraries.ts"

const asked = (method: unknown, ...params: ReadonlyArray<unknown>) => managementRequestOf({ method, params })

const parameter = (method: string) =>
  method.includes("kind")
    ? 1
    : method.includes("picture")
    ? "Pics.Example"
    : method.includes("ip")
    ? "::1"
    : method.startsWith("change")
    ? "text"
    : hex(1)

/** Under which name a picture is taken down; undefined where it is refused. */
const nameOf = (value: unknown) => {
  const request = asked("banpicture", value, "why")
  return typeof request !== "string" && request._tag === "Put" ? request.rule.name : undefined
}

describe("NIP-86 requests", () => {
  it("puts a ban with its reason, and lifts it", () => {
    assert.deepStrictEqual(asked("banpubkey", hex(7), "spam"), {
      _tag: "Put",
      method: "banpubkey",
      rule: { subject: "pubkey", name: hex(7), state: "banned", text: "spam" }
    })
    assert.deepStrictEqual(asked("unbanpubkey", hex(7)), {
      _tag: "Remove",
      method: "unbanpubkey",
      subject: "pubkey",
      name: hex(7),
      state: "banned"
    })
  })

  it("reads every method that it says it supports", () => {
    for (const method of supportedMethods) assert.isObject(asked(method, parameter(method)), method)
  })

  it("takes a body without parameters where none are needed", () => {
    assert.deepStrictEqual(managementRequestOf({ method: "supportedmethods" }), { _tag: "Methods" })
  })

  for (
    const [name, value] of Object.entries({
      "no object": "banpubkey",
      "no method": {},
      "an unknown method": { method: "shutdown", params: [] },
      "a method of every object": { method: "toString", params: [] },
      "params that are no array": { method: "banpubkey", params: {} },
      "an upper-case pubkey": { method: "banpubkey", params: ["A".repeat(64)] },
      "a kind that is none": { method: "allowkind", params: [65_536] },
      "an address that is none": { method: "blockip", params: ["example.com"] },
      "a reason that is too long": { method: "banpubkey", params: [hex(1), "x".repeat(textMax + 1)] },
      "a name that is no text": { method: "changerelayname", params: [1] },
      "turning deletions away": { method: "disallowkind", params: [5] },
      "turning requests to vanish away": { method: "disallowkind", params: [62] }
    })
  ) {
    it(`refuses ${name}`, () => assert.isString(managementRequestOf(value)))
  }

  it("takes a picture down by its hash or its host, in one spelling", () => {
    assert.strictEqual(nameOf(hex(7)), hex(7))
    assert.strictEqual(nameOf("Pics.Example."), "pics.example")
    assert.strictEqual(nameOf("bücher.example"), "xn--bcher-kva.example")
    for (const wrong of ["", "https://pics.example/a.png", "pics.example/a", "a@b", "a b", 7, "x".repeat(300)]) {
      assert.isUndefined(nameOf(wrong), String(wrong))
    }
  })

  it("lists by the keys of the NIP", () => {
    const rule = { subject: "pubkey", name: "x", state: "banned", text: "why" } as const
    assert.deepStrictEqual(listed("listbannedpubkeys", [rule]), [{ pubkey: "x", reason: "why" }])
    assert.deepStrictEqual(listed("listbannedevents", [rule]), [{ id: "x", reason: "why" }])
    assert.deepStrictEqual(listed("listblockedips", [rule]), [{ ip: "x", reason: "why" }])
    assert.deepStrictEqual(listed("listbannedpictures", [rule]), [{ picture: "x", reason: "why" }])
    const kinds = ["10002", "3"].map((name) => ({ ...rule, subject: "kind", name }) as const)
    assert.deepStrictEqual(listed("listallowedkinds", kinds), [3, 10_002])
  })
})
