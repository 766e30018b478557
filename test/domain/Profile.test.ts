import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  comparable,
  isBlank,
  labelMax,
  labelOf,
  lineOf,
  type Profile,
  profileOf,
  showsAtLeast
} from "../../src/domain/Profile.ts"
import { goodProfile } from "../support/events.ts"
import { hostileTexts, json, limits, mutated } from "./arbitraries.ts"

const decode = (content: unknown): Profile => {
  const profile = profileOf(JSON.stringify(content), limits.contentMax)
  return typeof profile === "string" ? assert.fail(profile) : profile
}

const empty = decode({})

describe("profileOf", () => {
  it("reads the fields of NIP-01, 05, 24 and 57, trimmed", () => {
    const fields = {
      name: " mira\n",
      display_name: "Mira",
      about: "a",
      picture: " https://images.example/a.png ",
      banner: "b",
      website: "w",
      nip05: "n@example.com",
      lud06: "6",
      lud16: "16",
      bot: true
    }
    assert.deepStrictEqual(decode(fields), {
      name: "mira",
      displayName: "Mira",
      about: "a",
      picture: "https://images.example/a.png",
      banner: "b",
      website: "w",
      nip05: "n@example.com",
      lud06: "6",
      lud16: "16",
      bot: true,
      deleted: false,
      ignored: []
    })
  })

  it("gives empty text for what is missing or null", () => {
    assert.deepStrictEqual(decode({ name: null, about: null, bot: null }), empty)
    assert.strictEqual(empty.name, "")
  })

  it("ignores a field of the wrong type, remembers it, and keeps the rest", () => {
    for (const wrong of [1, true, {}, [], ["x"]]) {
      const profile = decode({ ...goodProfile, website: wrong, nip05: wrong })
      assert.deepStrictEqual(profile, { ...decode(goodProfile), ignored: ["website", "nip05"] })
    }
  })

  it("takes displayName where display_name shows nothing", () => {
    assert.strictEqual(decode({ displayName: " camel " }).displayName, "camel")
    assert.strictEqual(decode({ displayName: "camel", display_name: " " }).displayName, "camel")
    assert.strictEqual(decode({ displayName: "camel", display_name: "snake" }).displayName, "snake")
    assert.strictEqual(decode({ username: "u" }).name, "")
  })

  it("takes a bot at its word, however it spells true", () => {
    for (const bot of [true, "true", 1]) assert.isTrue(decode({ bot }).bot)
    for (const bot of [false, "false", 0, "yes", null, {}]) assert.isFalse(decode({ bot }).bot)
    assert.deepStrictEqual(decode({ bot: "true" }).ignored, ["bot"])
  })

  it("recognises the ways of saying that an account is gone", () => {
    assert.isTrue(decode({ deleted: true }).deleted)
    assert.isFalse(decode({ deleted: "true" }).deleted)
  })

  it("says what a content is that is no object", () => {
    for (const content of ["", " ", "{", "name: x", "undefined", "{'name':1}"]) {
      assert.strictEqual(profileOf(content, limits.contentMax), "content is not JSON", content)
    }
    for (const content of ["null", "[]", "\"x\"", "1", "true", "[{\"name\":\"x\"}]"]) {
      assert.strictEqual(profileOf(content, limits.contentMax), "content is not an object", content)
    }
  })

  it("looks at a content of the allowed length and not at one character more", () => {
    const content = JSON.stringify({ name: "x" })
    assert.isObject(profileOf(content, content.length))
    assert.strictEqual(profileOf(content, content.length - 1), "content is too long")
  })

  it("takes no field from __proto__, and the last of duplicate keys", () => {
    const profile = profileOf("{\"__proto__\":{\"name\":\"x\"},\"about\":\"1\",\"about\":\"2\"}", limits.contentMax)
    assert.deepStrictEqual(profile, { ...empty, about: "2" })
  })

  it("survives hostile texts", () => {
    for (const text of hostileTexts) assert.isDefined(profileOf(text, limits.contentMax))
    assert.deepStrictEqual(profileOf(`{"x":${"[".repeat(10_000)}${"]".repeat(10_000)}}`, limits.contentMax), empty)
  })

  it.effect.prop(
    "never loses a good field to another one",
    { near: mutated({ name: "mira", about: "boats" }), value: json },
    ({ near, value }) =>
      Effect.sync(() => {
        assert.isDefined(profileOf(JSON.stringify(value), limits.contentMax))
        const profile = decode(near)
        if (near["name"] === "mira") assert.strictEqual(profile.name, "mira")
        if (near["about"] === "boats") assert.strictEqual(profile.about, "boats")
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("showsAtLeast", () => {
  it("counts only characters that show something, each once", () => {
    for (const text of ["ab\u200bc", " a b c ", "\u3164a\u2800bc", "👩🏽x"]) {
      assert.isTrue(showsAtLeast(text, 3), text)
      assert.isFalse(showsAtLeast(text, 4), text)
    }
  })

  it("asks for nothing below one", () => {
    assert.isTrue(showsAtLeast("", 0))
    assert.isFalse(showsAtLeast(" \u200b", 1))
    assert.isTrue(showsAtLeast(".", 1))
  })
})

describe("comparable", () => {
  it("is the same for texts that look the same", () => {
    const same = [
      "account deleted",
      "Account\u200b Deleted",
      "Account\u00a0deleted",
      "Ａccount deleted",
      "Account  deleted",
      "\ufeffAcc\u00adount\n\tdeleted\u2800",
      "𝐀𝐜𝐜𝐨𝐮𝐧𝐭\u3000ｄｅｌｅｔｅｄ\0"
    ]
    for (const text of same) assert.strictEqual(comparable(text), "account deleted", JSON.stringify(text))
    assert.strictEqual(comparable("accountdeleted"), "accountdeleted")
  })
})

describe("isBlank", () => {
  it("sees through blanks, zero-width characters and fillers", () => {
    for (const text of ["", " \n\t", "\u200b\u200d\ufeff", "\u202e", "\u3164", "\u2800", "\u00a0\u3000", "\u00ad"]) {
      assert.isTrue(isBlank(text), JSON.stringify(text))
    }
  })

  it("takes anything that shows for text", () => {
    for (const text of [".", "0", "é", "👍", "\u200bx", "名", "\ue000"]) assert.isFalse(isBlank(text), text)
  })
})

describe("lineOf", () => {
  it("makes one line of what can be seen", () => {
    assert.strictEqual(lineOf("  a\n\tb\u200bc  \u202ed\0 "), "a bc d")
    assert.strictEqual(lineOf("e\u0301"), "é")
  })

  it("cuts after the allowed characters, never within one", () => {
    assert.strictEqual(lineOf("x".repeat(labelMax)), "x".repeat(labelMax))
    assert.strictEqual(lineOf("x".repeat(labelMax + 1)), "x".repeat(labelMax))
    assert.strictEqual(lineOf("👍".repeat(labelMax + 1)), "👍".repeat(labelMax))
  })

  it.effect.prop(
    "is short, well-formed and unchanged by a second pass",
    { text: Schema.String },
    ({ text }) =>
      Effect.sync(() => {
        const line = lineOf(text)
        assert.isTrue(line.isWellFormed())
        assert.isAtMost(Array.from(line).length, labelMax)
        assert.strictEqual(lineOf(line), line)
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("labelOf", () => {
  it("prefers the display name, where it shows anything", () => {
    assert.strictEqual(labelOf({ name: "n", displayName: "d" }), "d")
    assert.strictEqual(labelOf({ name: "n", displayName: "\u200b" }), "n")
    assert.strictEqual(labelOf({ name: "", displayName: "" }), "")
  })
})
