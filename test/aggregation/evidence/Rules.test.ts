import { assert, describe, it } from "@effect/vitest"
import { publishedRules, rulesIdOf } from "../../../src/aggregation/evidence/Rules.ts"
import { type Overrides, Settings, type SettingsShape } from "../../../src/config/Settings.ts"
import { factsOf, judge } from "../../../src/domain/Quality.ts"
import { epoch, profileEvent } from "../../support/events.ts"

const settingsOf = (overrides: Overrides): SettingsShape => Settings.valuesOf(overrides)

/** Another value of the same sort. */
const another = (value: unknown): unknown => {
  if (typeof value === "number") return value + 1
  if (typeof value === "boolean") return !value
  return (value as ReadonlyArray<unknown>).slice(1)
}

/** Another value for each setting of a rule. */
const changes: ReadonlyArray<Overrides> = [
  ...Object.entries(Settings.defaults.rules).map(([name, value]): Overrides => ({ rules: { [name]: another(value) } })),
  { admission: "open" },
  { pictureMin: { width: 1, height: 1 } },
  { pictures: "off" },
  { proof: "off" },
  { proofKinds: [1, 20] },
  { proofQuorum: 3 },
  { proofMin: 2 },
  { nip05: "require" },
  { limits: { contentMax: 100 } },
  { limits: { createdAtFutureMax: 1 } },
  { fetchAllow: [{ address: "10.0.0.0", prefix: 8, family: "ipv4" }] }
]

/** What the judge says of a profile with these fields. */
const judged = (change: Overrides, fields: Parameters<typeof profileEvent>[0]) => {
  const policy = settingsOf(change)
  const verdict = judge(factsOf(profileEvent(fields), epoch, policy), policy)
  return verdict._tag === "Accepted" ? "accepted" : verdict.reason
}

describe("the rules as they are set", () => {
  it("have a name that changes with each of them", () => {
    const before = rulesIdOf(Settings.defaults)
    assert.strictEqual(rulesIdOf(settingsOf({})), before)
    const names = changes.map((change) => rulesIdOf(settingsOf(change)))
    for (const [i, name] of names.entries()) assert.notStrictEqual(name, before, JSON.stringify(changes[i]))
    assert.strictEqual(new Set(names).size, changes.length)
  })

  it("are published as they are, each of them", () => {
    const before = JSON.stringify(publishedRules(Settings.defaults))
    // What is no rule for profiles stands elsewhere in the document, or is nobody's business.
    const profile = changes.filter(({ admission, fetchAllow, limits }) =>
      admission === undefined && fetchAllow === undefined && limits === undefined
    )
    for (const change of profile) {
      assert.notStrictEqual(JSON.stringify(publishedRules(settingsOf(change))), before, JSON.stringify(change))
    }
  })

  it("reach the judge", () => {
    const cases: ReadonlyArray<readonly [Overrides, Parameters<typeof profileEvent>[0], string]> = [
      [{ rules: { createdAtMin: epoch + 1 } }, {}, "created_at is too old"],
      [{ rules: { nameMin: 5 } }, { display_name: "Mir" }, "name is too short"],
      [{ rules: { aboutMin: 100 } }, {}, "about is too short"],
      [{ rules: { aboutMin: 0 } }, { about: undefined }, "accepted"],
      [{ rules: { deletedNames: ["gone"] } }, { name: "GONE" }, "account deleted"],
      [{ rules: { bridgeDomains: ["bridge.example"] } }, { nip05: "a@x.bridge.example" }, "bridged account"],
      [{ rules: { bridgeDomains: [] } }, { nip05: "a@mostr.pub" }, "accepted"],
      [{ rules: { bridgeAddresses: false } }, { nip05: "a_at_b.example@c.example" }, "accepted"],
      [{ rules: { bridgeNames: ["bot"] } }, { name: "News Bot" }, "bridged account"],
      [{ rules: { pictureSchemes: ["https"] } }, { picture: "http://a.example/x" }, "picture scheme is not supported"],
      [{ rules: { pictureUrlMax: 20 } }, { picture: "https://a.example/xyz" }, "picture URL is too long"],
      [{ rules: { pictureAddressHosts: false } }, { picture: "https://9.9.9.9/x" }, "picture host is an address"],
      [{ rules: { picturePageHosts: ["a.example"] } }, { picture: "https://a.example/x" }, "picture is a page"],
      [
        { rules: { picturePlaceholders: ["robohash"] } },
        { picture: "https://robohash.org/x" },
        "picture is a placeholder"
      ]
    ]
    for (const [change, fields, verdict] of cases) {
      assert.strictEqual(judged(change, fields), verdict, JSON.stringify([change, fields]))
    }
  })
})
