/** A kind that is kept besides is a line in `domain/Kinds`, and one in the table below. */
import { assert, describe, it } from "@effect/vitest"
import { isReplaceable } from "../../src/domain/Event.ts"
import {
  deletesKept,
  isRemoval,
  keptAddressesOf,
  keptInWords,
  keptKinds,
  kindsWith,
  listKinds,
  removalKinds
} from "../../src/domain/Kinds.ts"
import { keyOf } from "../support/events.ts"

const roles: ReadonlyArray<readonly [kind: number, roles: string]> = [
  [0, "kept harvested"],
  [5, "removal harvested"],
  [62, "removal harvested companion"],
  [10_002, "kept list harvested companion"],
  [10_050, "kept list harvested companion"]
]

const rolesOf = (kind: number): string => {
  const { companions, harvested, kept, lists } = kindsWith(listKinds)
  return Object.entries({ kept, removal: removalKinds, list: lists, harvested, companion: companions })
    .filter(([, kinds]) => kinds.includes(kind)).map(([role]) => role).join(" ")
}

describe("kinds", () => {
  it("have these roles, and no other kind has any", () => {
    const all = Array.from({ length: 65_536 }, (_, kind) => [kind, rolesOf(kind)] as const)
    assert.deepStrictEqual(all.filter(([, roles]) => roles !== ""), roles)
  })

  it("that are kept are replaceable, so that there is one of each for an author, and can be deleted by address", () => {
    for (const kind of keptKinds) assert.isTrue(isReplaceable(kind), `${kind}`)
  })

  it("are removals where the author says so", () => {
    assert.deepStrictEqual([0, 4, 5, 6, 61, 62, 63].filter(isRemoval), [5, 62])
  })

  it("read as a sentence", () => {
    assert.strictEqual(
      keptInWords,
      roles.filter(([, of]) => of.startsWith("kept")).map(([kind]) => kind).join(", ")
        .replace(/, (\d+)$/, " and $1")
    )
  })
})

describe("a deletion of what is kept", () => {
  const { pubkey } = keyOf("author")
  const deletes = (...tags: ReadonlyArray<ReadonlyArray<string>>) => deletesKept({ pubkey, tags }, keptKinds)

  it("names the profile or a list of its own author, with or without the last colon", () => {
    for (const address of keptAddressesOf(pubkey, keptKinds)) {
      assert.isTrue(deletes(["e", "x"], ["a", address]), address)
      assert.isTrue(deletes(["a", address.slice(0, -1)]), address)
    }
  })

  it("is none where it names something else or somebody else's", () => {
    const stranger = keyOf("stranger").pubkey
    for (const address of [`1:${pubkey}:`, `0:${stranger}:`, `0:${pubkey}:x`, `0:${pubkey}::`, "", ":"]) {
      assert.isFalse(deletes(["a", address]), address)
    }
    assert.isFalse(deletes(["a"], ["e", `0:${pubkey}:`], ["A", `0:${pubkey}:`]))
  })
})
