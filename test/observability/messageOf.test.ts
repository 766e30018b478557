import { assert, describe, it } from "@effect/vitest"
import { SqlError } from "effect/sql"
import { messageOf } from "../../src/observability/messageOf.ts"

describe("what a failure says", () => {
  it("is its message, whatever was thrown", () => {
    assert.strictEqual(messageOf(new TypeError("no such thing")), "no such thing")
    assert.strictEqual(messageOf("a text"), "a text")
    assert.strictEqual(messageOf(undefined), "undefined")
  })

  it("ends with what caused it", () => {
    const disk = new Error("disk I/O error")
    assert.strictEqual(messageOf(new Error("cannot save", { cause: disk })), "cannot save: disk I/O error")
    assert.strictEqual(
      messageOf(new Error("cannot save: disk I/O error", { cause: disk })),
      "cannot save: disk I/O error"
    )
    assert.strictEqual(messageOf(new Error("cannot save", { cause: "a text" })), "cannot save")
    const reason = new SqlError.UnknownError({ cause: disk, message: "Failed to execute statement" })
    assert.strictEqual(messageOf(new SqlError.SqlError({ reason })), "Failed to execute statement: disk I/O error")
  })

  it("has an end, though one is the cause of the other", () => {
    const one = new Error("one")
    one.cause = new Error("two", { cause: one })
    assert.strictEqual(messageOf(one), "one: two: one: two: one")
  })
})
