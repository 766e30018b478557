import { assert, describe, it } from "@effect/vitest"
import { getEventHash, verifyEvent } from "nostr-tools/pure"
import { type Case, cases, newcomers, type Options, people, type Person } from "../../src/demo/Population.ts"
import type { Event } from "../../src/domain/Event.ts"

const options: Options = {
  seed: 7,
  now: 1_790_000_000,
  imageOrigins: ["http://127.0.0.1:1", "http://127.0.0.2:1"],
  relays: ["ws://127.0.0.1:2"]
}
const crowd = [...people(200, options)]

const judged = (event: Event) => {
  const copy = { ...event, tags: event.tags.map((tag) => [...tag]) }
  return getEventHash(copy) !== event.id ? "wrong id" : verifyEvent(copy) ? "valid" : "forged"
}
const ofCase = (name: Case) => crowd.filter((person) => person.case === name)
const current = (person: Person | undefined): Record<string, unknown> =>
  JSON.parse(person?.profiles.at(-1)?.content ?? "{}") as Record<string, unknown>

describe("Population", () => {
  it("is the same for the same seed, and another for another", () => {
    assert.deepStrictEqual([...people(50, options)], [...people(50, options)])
    assert.notDeepEqual([...people(5, { ...options, seed: 8 })], [...people(5, options)])
  })

  it("has as many people as asked for, each once, and each case at least once", () => {
    assert.lengthOf(crowd, 200)
    assert.strictEqual(new Set(crowd.map(({ pubkey }) => pubkey)).size, 200)
    for (const name of cases) assert.isNotEmpty(ofCase(name), name)
    assert.lengthOf([...people(0, options)], 0)
    assert.lengthOf([...people(1, options)], 1)
  })

  it("signs everything, except what is meant to be wrong", () => {
    for (const person of crowd) {
      const wrong = person.case === "forged signature" ? "forged" : person.case === "wrong id" ? "wrong id" : "valid"
      for (const event of person.profiles) assert.strictEqual(judged(event), wrong)
      for (const event of [...person.lists, ...person.notes]) assert.strictEqual(judged(event), "valid")
      for (const event of [...person.profiles, ...person.lists, ...person.notes]) {
        assert.strictEqual(event.pubkey, person.pubkey)
      }
    }
  })

  it("keeps to the past, except for those who do not", () => {
    for (const person of crowd) {
      for (const event of [...person.profiles, ...person.lists, ...person.notes]) {
        const future = event.created_at > options.now
        assert.strictEqual(future, person.case === "from the future" && event.kind === 0, person.case)
      }
    }
  })

  it("makes each case what it says", () => {
    const [updated, worsened] = [ofCase("updated")[0], ofCase("worsened")[0]]
    assert.lengthOf(updated?.profiles ?? [], 2)
    assert.isBelow(updated?.profiles[0]?.created_at ?? 0, updated?.profiles[1]?.created_at ?? 0)
    assert.strictEqual(current(worsened)["about"], "")
    assert.isEmpty(ofCase("no notes")[0]?.notes ?? [1])
    assert.match(String(current(ofCase("picture gone")[0])["picture"]), /^http:\/\/127\.0\.0\.[12]:1\/gone\/\d+x\d+\//)
    for (const person of ofCase("not JSON")) {
      let value: unknown
      try {
        value = JSON.parse(person.profiles[0]?.content ?? "")
      } catch {
        value = undefined
      }
      assert.isFalse(typeof value === "object" && value !== null && !Array.isArray(value))
    }
  })

  it("lets people turn up later, at the moment they are asked for", () => {
    let now = options.now
    const arrivals = newcomers(options, () => now)
    const first = arrivals.next().value
    now += 5
    const second = arrivals.next().value
    assert.strictEqual(first.profiles[0]?.created_at, options.now)
    assert.strictEqual(second.profiles[0]?.created_at, options.now + 5)
    assert.notInclude(crowd.map(({ pubkey }) => pubkey), first.pubkey)
    assert.strictEqual(judged(first.profiles[0] as Event), "valid")
  })
})
