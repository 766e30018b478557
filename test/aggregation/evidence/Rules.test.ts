import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { publishedRules, rulesIdOf, thresholdsOf } from "../../../src/aggregation/evidence/Rules.ts"
import { type Overrides, Settings, type SettingsShape } from "../../../src/config/Settings.ts"
import { factsOf, judge, thresholds } from "../../../src/domain/Quality.ts"
import { epoch, profileEvent } from "../../support/events.ts"

const settingsOf = (overrides: Overrides): SettingsShape =>
  Effect.runSync(Effect.provide(Settings, Settings.layerTest(overrides)))

/** Another value for each setting of a rule. */
const changes: ReadonlyArray<Overrides> = [
  ...Object.entries(
    {
      createdAtMin: epoch,
      nameMin: 3,
      aboutMin: 0,
      deletedNames: [],
      bridgeTags: [],
      bridgeLabels: [],
      bridgeDomains: ["bridge.example"],
      bridgeAddresses: "off",
      bridgeNames: [],
      pictureSchemes: ["https"],
      pictureUrlMax: 100,
      pictureAddressHosts: "off",
      picturePageHosts: [],
      picturePlaceholders: []
    } satisfies SettingsShape["rules"]
  ).map(([name, value]): Overrides => ({ rules: { [name]: value } })),
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
  const limits = thresholdsOf(settingsOf(change))
  const verdict = judge(factsOf(profileEvent(fields), epoch, limits), limits)
  return verdict._tag === "Accepted" ? "accepted" : verdict.reason
}

describe("the rules as they are set", () => {
  it("are those of the domain by default", () => assert.deepStrictEqual(thresholdsOf(Settings.defaults), thresholds))

  it("have a name that changes with each of them", () => {
    const before = rulesIdOf(Settings.defaults)
    assert.strictEqual(rulesIdOf(settingsOf({})), before)
    const names = changes.map((change) => rulesIdOf(settingsOf(change)))
    for (const [i, name] of names.entries()) assert.notStrictEqual(name, before, JSON.stringify(changes[i]))
    assert.strictEqual(new Set(names).size, changes.length)
    // Every setting of the group has been tried.
    assert.strictEqual(
      changes.filter(({ rules }) => rules !== undefined).length,
      Object.keys(Settings.defaults.rules).length
    )
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
      [{ rules: { bridgeAddresses: "off" } }, { nip05: "a_at_b.example@c.example" }, "accepted"],
      [{ rules: { bridgeNames: ["bot"] } }, { name: "News Bot" }, "bridged account"],
      [{ rules: { pictureSchemes: ["https"] } }, { picture: "http://a.example/x" }, "picture scheme is not supported"],
      [{ rules: { pictureUrlMax: 20 } }, { picture: "https://a.example/xyz" }, "picture URL is too long"],
      [{ rules: { pictureAddressHosts: "off" } }, { picture: "https://9.9.9.9/x" }, "picture host is an address"],
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
