import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  type Filter,
  filterOf,
  type FilterProblem,
  filterRefusal,
  matches,
  matchesAny,
  searchMax,
  wireOf
} from "../../src/domain/Filter.ts"
import { signed } from "../support/events.ts"
import {
  eventArbitrary,
  filterJsonArbitrary,
  hex,
  hostileTexts,
  json,
  limits,
  mutated,
  slowMatches
} from "./arbitraries.ts"

const decoded = (value: unknown): Filter => {
  const filter = filterOf(value, limits)
  return typeof filter === "string" ? assert.fail(filter) : filter
}

const refuses = (problem: FilterProblem, ...values: ReadonlyArray<unknown>) => {
  for (const value of values) assert.strictEqual(filterOf(value, limits), problem, JSON.stringify(value))
}

describe("wireOf", () => {
  it("is what filterOf reads, tags included", () => {
    const wire = { authors: [hex(2)], kinds: [5], since: 1, limit: 3, "#k": ["0"], "#a": [`0:${hex(2)}:`] }
    assert.deepStrictEqual(wireOf(decoded(wire)), wire)
    assert.deepStrictEqual(wireOf({}), {})
  })
})

describe("filterOf", () => {
  it("decodes every condition of NIP-01 and the search of NIP-50", () => {
    const filter = { ids: [hex(1)], authors: [hex(2)], kinds: [0], since: 1, until: 2, limit: 3, search: "mira" }
    assert.deepStrictEqual(decoded({ ...filter, "#t": ["a"], "#E": ["x"] }), {
      ...filter,
      tags: new Map([["t", ["a"]], ["E", ["x"]]])
    })
    assert.deepStrictEqual(decoded({}), {})
  })

  it("refuses what is no object", () => {
    refuses("filter must be an object", null, undefined, [], "x", 1, [{}])
  })

  it("refuses unknown keys, which would widen the answer if they were ignored", () => {
    refuses(
      "filter contains unknown elements",
      { kind: [0] },
      { "#": ["a"] },
      { "#ab": ["a"] },
      { "#1": ["a"] },
      { "#é": ["a"] },
      { t: ["a"] },
      JSON.parse("{\"__proto__\":{\"kinds\":[0]}}"),
      { constructor: 1 }
    )
  })

  it("wants ids, authors, #e and #p as 64 lower-case hex characters, prefixes refused", () => {
    for (const key of ["ids", "authors", "#e", "#p"]) {
      refuses(
        "ids, authors, #e and #p must be 64 lower-case hex characters",
        { [key]: ["abcd"] },
        { [key]: ["A".repeat(64)] },
        { [key]: [hex(1, 65)] },
        { [key]: [1] },
        { [key]: hex(1) },
        { [key]: null }
      )
      decoded({ [key]: [hex(1)] })
    }
  })

  it("wants kinds that events can have", () => {
    decoded({ kinds: [0, 65_535] })
    refuses(
      "kinds must be integers from 0 to 65535",
      ...[-1, 65_536, 1.5, "1", null].map((kind) => ({ kinds: [kind] }))
    )
    refuses("kinds must be integers from 0 to 65535", { kinds: 1 })
  })

  it("wants since, until and limit as non-negative safe integers (fault 32)", () => {
    for (const key of ["since", "until", "limit"]) {
      decoded({ [key]: 0 })
      decoded({ [key]: Number.MAX_SAFE_INTEGER })
      for (const value of [-1, 0.5, 2 ** 53, Infinity, "1", null, [1]]) {
        refuses("since, until and limit must be non-negative integers", { [key]: value })
      }
    }
  })

  it("takes any text as a tag value, but for what no stored event has", () => {
    decoded({ "#t": ["", "👍", "x".repeat(1000)] })
    for (const value of ["\0", "\ud83d", 1, null]) {
      refuses("tag values must be strings without NUL or lone surrogates", { "#t": [value] })
    }
    refuses("tag values must be strings without NUL or lone surrogates", { "#t": "a" })
  })

  it("bounds the search text", () => {
    decoded({ search: "" })
    decoded({ search: "x".repeat(searchMax) })
    refuses("search must be a short string", { search: "x".repeat(searchMax + 1) }, { search: 1 }, { search: "\0" })
  })

  it("counts the values of all lists together (fault 32)", () => {
    const half = Array.from({ length: limits.filterValuesMax / 2 }, (_, i) => hex(i))
    decoded({ ids: half, authors: half })
    refuses("filter has too many values", { ids: half, authors: half, kinds: [1] })
  })

  it("answers a missing feature with unsupported and a broken filter with invalid", () => {
    assert.strictEqual(
      filterRefusal("filter contains unknown elements"),
      "unsupported: filter contains unknown elements"
    )
    assert.strictEqual(filterRefusal("filter must be an object"), "invalid: filter must be an object")
  })

  it.effect.prop(
    "never throws on JSON",
    { value: json, near: mutated({ ids: [hex(1)], kinds: [0], since: 1, "#t": ["a"], search: "x" }) },
    ({ near, value }) =>
      Effect.sync(() => {
        filterOf(value, limits)
        filterOf(near, limits)
      }),
    { arbitrary: { runs: 500 } }
  )

  it("survives hostile texts", () => {
    for (const text of hostileTexts) assert.strictEqual(filterOf(text, limits), "filter must be an object")
  })
})

describe("NIP-01 filters", () => {
  const event = signed({
    kind: 1,
    created_at: 100,
    tags: [["t", "first", "second"], ["T", "upper"], ["x"], ["tt", "z"]]
  })

  it("matches everything without a condition", () => assert.isTrue(matches({}, event)))

  it("includes both ends of since and until", () => {
    assert.isTrue(matches({ since: 100, until: 100 }, event))
    assert.isFalse(matches({ since: 101 }, event))
    assert.isFalse(matches({ until: 99 }, event))
  })

  it("matches nothing by an empty list", () => {
    for (const key of ["ids", "authors", "kinds", "#t"]) assert.isFalse(matches(decoded({ [key]: [] }), event), key)
  })

  it("looks at the first value of a tag only, and at letters as they are written", () => {
    assert.isTrue(matches(decoded({ "#t": ["other", "first"] }), event))
    assert.isFalse(matches(decoded({ "#t": ["second"] }), event))
    assert.isFalse(matches(decoded({ "#t": ["upper"] }), event))
    assert.isTrue(matches(decoded({ "#T": ["upper"] }), event))
    assert.isFalse(matches(decoded({ "#t": ["z"] }), event))
  })

  it("does not take a tag without a value for one with an empty value", () => {
    assert.isFalse(matches(decoded({ "#x": [""] }), event))
    assert.isTrue(matches(decoded({ "#x": [""] }), { ...event, tags: [["x", ""]] }))
  })

  it("wants every letter of several to match", () => {
    assert.isTrue(matches(decoded({ "#t": ["first"], "#T": ["upper"] }), event))
    assert.isFalse(matches(decoded({ "#t": ["first"], "#T": ["lower"] }), event))
  })

  it("does not look at limit and search", () => assert.isTrue(matches({ limit: 0, search: "nothing" }, event)))

  it("takes filters as alternatives", () => {
    assert.isTrue(matchesAny([{ kinds: [0] }, { kinds: [1] }], event))
    assert.isFalse(matchesAny([{ kinds: [0] }, { kinds: [3] }], event))
    assert.isFalse(matchesAny([], event))
  })

  it.effect.prop(
    "agrees with a slow, obvious matcher",
    { raw: filterJsonArbitrary, event: eventArbitrary },
    ({ event, raw }) =>
      Effect.sync(() => {
        const filter = decoded(raw)
        assert.strictEqual(matches(filter, event), slowMatches(filter, event))
      }),
    { arbitrary: { runs: 3000 } }
  )
})
