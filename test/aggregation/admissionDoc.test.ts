/** `docs/admission.md` names every reason there is, and the numbers that the code has. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { answerTimeout, patience } from "../../src/aggregation/admission/AdmissionIntake.ts"
import { checksMax } from "../../src/aggregation/admission/Retries.ts"
import { attemptsMax, delayMax, overflowMax, uncheckedMax } from "../../src/aggregation/admission/RetryQueue.ts"
import { defaults as documents } from "../../src/aggregation/evidence/Nip05Documents.ts"
import { proveTimeout } from "../../src/aggregation/evidence/Posts.ts"
import { askTimeout } from "../../src/aggregation/upstream/AskingConnection.ts"
import { connectionsMax, connectionsPerHostMax } from "../../src/aggregation/upstream/RelayPool.ts"
import { Settings } from "../../src/config/Settings.ts"
import { table } from "../../src/config/SettingsTable.ts"
import { defaults } from "../../src/fetch/GuardedFetch.ts"

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")
const doc = read("docs/admission.md")
const text = doc.replace(/\s+/g, " ")

/** The phrases of a union type, as its source lists them. */
const phrasesOf = (path: string, type: string): ReadonlyArray<string> => {
  const [, body = ""] = new RegExp(`export type ${type} =([^;]*?)\n\n`).exec(read(path)) ?? []
  return Array.from(body.matchAll(/"([^"]+)"/g), ([, phrase]) => phrase ?? "")
}

const reasons = [
  ...phrasesOf("src/domain/Quality.ts", "RejectionReason"),
  ...phrasesOf("src/domain/Quality.ts", "Nip05Problem"),
  ...phrasesOf("src/domain/Quality.ts", "PictureProblem"),
  ...phrasesOf("src/domain/PictureUrl.ts", "PictureUrlProblem"),
  ...phrasesOf("src/domain/Profile.ts", "ProfileProblem"),
  ...phrasesOf("src/domain/Quality.ts", "UndeterminedReason").filter((reason) => reason !== "stopping")
]

describe("docs/admission.md", () => {
  it("names every reason", () => {
    assert.isAtLeast(reasons.length, 30)
    assert.deepStrictEqual(reasons.filter((reason) => !doc.includes(`\`${reason}\``)), [])
  })

  it("names every setting of the rules, with its default", () => {
    const { nip05, pictureMin, pictures, profileGrace, proof, proofKinds, proofQuorum, retriesMax } = table
    for (const { variable } of [pictures, proof]) assert.include(doc, `\`${variable}=off\``)
    for (const value of ["check", "require"]) assert.include(doc, `\`${nip05.variable}=${value}\``)
    assert.include(doc, `\`${pictureMin.variable}\` (\`${pictureMin.default}\`)`)
    assert.include(doc, `\`${proofKinds.variable}\` (\`${proofKinds.default}\`)`)
    assert.include(doc, `\`${proofQuorum.variable}\` (${proofQuorum.default})`)
    assert.include(doc, `\`${retriesMax.variable}\` (${retriesMax.default})`)
    assert.include(doc, `\`${profileGrace.variable}\` (${profileGrace.default} days)`)
  })

  it("names every setting of the rules that a profile is judged by alone", () => {
    const missing = Object.values(table.rules).map(({ variable }) => variable).filter((name) =>
      !doc.includes(`\`${name}\``)
    )
    assert.deepStrictEqual(missing, [])
    for (const { default: value, variable } of [table.rules.nameMin, table.rules.aboutMin, table.proofMin]) {
      assert.include(doc, `\`${variable}\` (${value})`)
    }
  })

  it("has the numbers of the code", () => {
    const facts = [
      `go to the queue after ${patience / 1000} s`,
      `answered within ${answerTimeout / 1000} s`,
      `${askTimeout / 1000} s per relay, ${proveTimeout / 1000} s in all`,
      `${connectionsMax} connections at most, ${connectionsPerHostMax} to one host`,
      `fetched as pictures are, in ${defaults.deadlines.total / 1000} s at most`,
      `kept for ${documents.fresh / 60_000} minutes`,
      `left alone for ${documents.pause / 60_000} minutes`,
      `up to ${documents.pauseMax / 3_600_000} hours`,
      `more than ${documents.bytesMax / 1_048_576} MiB`,
      `${checksMax} at a time`,
      `after ${attemptsMax} checks without an answer`,
      `up to ${delayMax / 3_600_000} h`,
      `while ${uncheckedMax} were never checked`,
      `once ${overflowMax} more have come`
    ]
    assert.deepStrictEqual(facts.filter((fact) => !text.includes(fact)), [])
  })

  it("names what marks a bridge, and a picture that shows nobody", () => {
    const { bridgeDomains, bridgeLabels, bridgeTags, picturePlaceholders } = Settings.defaults.rules
    const marks = [...bridgeTags, ...bridgeLabels, ...bridgeDomains, ...picturePlaceholders]
    assert.deepStrictEqual(marks.filter((mark) => !doc.includes(`\`${mark}\``)), [])
  })
})
