import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { Settings } from "../../src/config/Settings.ts"
import type { Event } from "../../src/domain/Event.ts"
import {
  Accepted,
  type Facts,
  factsOf,
  judge,
  type Policy,
  Rejected,
  type RejectionReason,
  Undetermined,
  type Verdict
} from "../../src/domain/Quality.ts"
import { epoch, profileEvent } from "../support/events.ts"

const byDefault = Settings.defaults

/** The defaults but for some rules. */
const ruled = (rules: Partial<Policy["rules"]>): Policy => ({ ...byDefault, rules: { ...byDefault.rules, ...rules } })

const good = factsOf(profileEvent(), epoch, byDefault)

const judged = (fields: Parameters<typeof profileEvent>[0], known: Partial<Facts> = {}): Verdict =>
  judge({ ...factsOf(profileEvent(fields), epoch, byDefault), ...known }, byDefault)

const at = (createdAt: number) => judge({ ...good, createdAt }, byDefault)

const image = (width: number, height: number) => ({ _tag: "Image", size: { width, height } }) as const
const found = (count: number) => ({ _tag: "Found", count }) as const
const silent = { _tag: "Unanswered", reason: "picture host did not answer", retryAfter: 30_000 } as const
const noRelay = { _tag: "Unanswered", reason: "outbox relays did not answer", retryAfter: 60_000 } as const

describe("judge", () => {
  it("accepts a profile with name, bio, picture, and all that was asked for", () => {
    assert.deepStrictEqual(judged({}), Accepted)
    assert.deepStrictEqual(judged({}, { picture: image(300, 600), textNotes: found(1) }), Accepted)
  })

  it("accepts created_at at either edge of its window and refuses one second beyond", () => {
    const { limits: { createdAtFutureMax }, rules: { createdAtMin } } = byDefault
    assert.deepStrictEqual(at(epoch + createdAtFutureMax), Accepted)
    assert.deepStrictEqual(at(epoch + createdAtFutureMax + 1), Rejected("created_at is too far ahead"))
    assert.deepStrictEqual(at(createdAtMin), Accepted)
    assert.deepStrictEqual(at(createdAtMin - 1), Rejected("created_at is too old"))
  })

  it("refuses a content that is too long by one character, without reading it", () => {
    const event = profileEvent()
    const verdict = (contentMax: number) =>
      judge(factsOf(event, epoch, { ...byDefault, limits: { ...byDefault.limits, contentMax } }), byDefault)
    assert.deepStrictEqual(verdict(event.content.length), Accepted)
    assert.deepStrictEqual(verdict(event.content.length - 1), Rejected("content is too long"))
  })

  it("refuses a content that is no profile", () => {
    assert.deepStrictEqual(judged("{"), Rejected("content is not JSON"))
    assert.deepStrictEqual(judged("[]"), Rejected("content is not an object"))
  })

  it("refuses a bridged account, by this event or by what is known of its author", () => {
    assert.deepStrictEqual(judged({ nip05: "mira@mostr.pub" }), Rejected("bridged account"))
    assert.deepStrictEqual(judged({}, { bridge: "proxy tag" }), Rejected("bridged account"))
  })

  it("does not take a fields array for a bridge", () => assert.deepStrictEqual(judged({ fields: [] }), Accepted))

  it("refuses an account that its owner has deleted", () => {
    const deleted = [
      { deleted: true },
      { name: "Account deleted" },
      { name: "Account\u200b Deleted" },
      { name: "Ａccount\u00a0 deleted" },
      { name: undefined, display_name: "account DELETED" },
      { name: "nobody", about: "Account deleted" },
      { name: "ｎobody\u200b", about: "Account\u00a0deleted" }
    ]
    for (const fields of deleted) assert.deepStrictEqual(judged(fields), Rejected("account deleted"))
    assert.deepStrictEqual(judged({ name: "nobody" }), Accepted)
    assert.deepStrictEqual(judged({ name: "My account deleted itself" }), Accepted)
  })

  it("wants a name of either sort that shows something", () => {
    const nameless = { name: " ", display_name: "\u200b" }
    assert.deepStrictEqual(judged(nameless), Rejected("no name"))
    assert.deepStrictEqual(judged({ name: undefined, display_name: [7] }), Rejected("no name"))
    assert.deepStrictEqual(judged({ ...nameless, name: "m" }), Accepted)
    assert.deepStrictEqual(judged({ ...nameless, display_name: "m" }), Accepted)
    assert.deepStrictEqual(judged({ name: undefined, display_name: undefined, displayName: "m" }), Accepted)
  })

  it("wants a bio that shows something", () => {
    for (const about of [undefined, "", " \n", "\u200b", 1]) {
      assert.deepStrictEqual(judged({ about }), Rejected("no about"))
    }
    assert.deepStrictEqual(judged({ about: "." }), Accepted)
  })

  it("wants a name and a bio of the length that is set, and says which one is short", () => {
    const strict = ruled({ nameMin: 5, aboutMin: 10 })
    const of = (fields: Parameters<typeof profileEvent>[0]) =>
      judge(factsOf(profileEvent(fields), epoch, byDefault), strict)
    const short = { name: "mira", display_name: "mi ra", about: "writes code" }
    assert.deepStrictEqual(of(short), Rejected("name is too short"))
    assert.deepStrictEqual(of({ ...short, display_name: "miran" }), Accepted)
    assert.deepStrictEqual(of({ ...short, name: "miran", about: "writes cod" }), Rejected("about is too short"))
    assert.deepStrictEqual(of({ ...short, name: "", display_name: "" }), Rejected("no name"))
    assert.deepStrictEqual(
      judge(
        factsOf(profileEvent({ about: "", name: "", display_name: "" }), epoch, byDefault),
        ruled({ nameMin: 0, aboutMin: 0 })
      ),
      Accepted
    )
  })

  it("wants a picture whose URL has the shape of one", () => {
    for (const picture of [undefined, " ", {}]) assert.deepStrictEqual(judged({ picture }), Rejected("no picture"))
    assert.deepStrictEqual(judged({ picture: "ipfs://bafy" }), Rejected("picture scheme is not supported"))
    assert.deepStrictEqual(judged({ picture: "data:image/png;base64,AAAA" }), Accepted)
  })

  it("refuses a picture one pixel short, in either direction", () => {
    const { height, width } = byDefault.pictureMin
    assert.deepStrictEqual(judged({}, { picture: image(width, height) }), Accepted)
    assert.deepStrictEqual(judged({}, { picture: image(width - 1, height) }), Rejected("picture is too small"))
    assert.deepStrictEqual(judged({}, { picture: image(width, height - 1) }), Rejected("picture is too small"))
    assert.deepStrictEqual(judged({}, { picture: image(599, 599) }), Rejected("picture is too small"))
  })

  it("refuses a picture that its host says is none", () => {
    const picture = { _tag: "NoImage", reason: "picture is gone" } as const
    assert.deepStrictEqual(judged({}, { picture }), Rejected("picture is gone"))
  })

  it("wants as many text notes as the threshold says", () => {
    assert.deepStrictEqual(judged({}, { textNotes: found(0) }), Rejected("no text note"))
    const strict = { ...byDefault, proofMin: 3 }
    assert.deepStrictEqual(judge({ ...good, textNotes: found(2) }, strict), Rejected("no text note"))
    assert.deepStrictEqual(judge({ ...good, textNotes: found(3) }, strict), Accepted)
  })

  it("asks for a NIP-05 name that is the author's only where the rule is on", () => {
    const strict = { ...byDefault, nip05: "require" } as const
    const named = (nip05: string, known: Partial<Facts> = {}) =>
      [byDefault, strict].map((policy) =>
        judge({ ...factsOf(profileEvent({ nip05 }), epoch, policy), ...known }, policy)
      )
    assert.deepStrictEqual(named(""), [Accepted, Rejected("no NIP-05 name")])
    assert.deepStrictEqual(named("mira"), [Accepted, Rejected("NIP-05 name is malformed")])
    assert.deepStrictEqual(named("mira@boats.example"), [Accepted, Accepted])
    assert.deepStrictEqual(named("mira@boats.example", { nip05: { _tag: "Verified" } }), [Accepted, Accepted])
    const reason = "NIP-05 name belongs to another key"
    assert.deepStrictEqual(named("mira@boats.example", { nip05: { _tag: "NotVerified", reason } }), [
      Accepted,
      Rejected(reason)
    ])
    const nip05 = { _tag: "Unanswered", reason: "NIP-05 domain did not answer", retryAfter: 7 } as const
    assert.deepStrictEqual(named("mira@boats.example", { nip05 }), [
      Accepted,
      Undetermined("NIP-05 domain did not answer", 7)
    ])
    assert.deepStrictEqual(named("mira@boats.example", { nip05, textNotes: found(0) })[1], Rejected("no text note"))
  })

  it("never rejects for silence, and says when to ask again", () => {
    assert.deepStrictEqual(judged({}, { picture: silent }), Undetermined("picture host did not answer", 30_000))
    assert.deepStrictEqual(
      judged({}, { picture: image(300, 600), textNotes: noRelay }),
      Undetermined("outbox relays did not answer", 60_000)
    )
  })

  it("puts evidence before silence", () => {
    assert.deepStrictEqual(judged({}, { picture: silent, textNotes: found(0) }), Rejected("no text note"))
    assert.deepStrictEqual(judged({ about: "" }, { picture: silent }), Rejected("no about"))
    assert.deepStrictEqual(
      judged({}, { picture: image(1, 1), textNotes: noRelay }),
      Rejected("picture is too small")
    )
  })

  it("gives the cheapest reason of several", () => {
    const reasons: Array<RejectionReason> = []
    const content: Record<string, unknown> = {
      deleted: true,
      name: "",
      display_name: "",
      about: "",
      picture: "",
      nip05: "mira@mostr.pub"
    }
    const repairs = [{ nip05: "" }, { deleted: false }, { name: "m" }, { about: "a" }, { picture: "x" }]
    for (const repair of repairs) {
      const verdict = judged(content, { picture: image(1, 1), textNotes: found(0) })
      if (verdict._tag === "Rejected") reasons.push(verdict.reason)
      Object.assign(content, repair)
    }
    assert.deepStrictEqual(reasons, ["bridged account", "account deleted", "no name", "no about", "no picture"])
  })

  const corpus = new URL("../../../shared/corpus/real-events.jsonl", import.meta.url)
  if (!existsSync(corpus)) console.log("skipped: the corpus of real events is not beside this checkout")
  it.skipIf(!existsSync(corpus))("judges the profiles of the public network by what they say themselves", () => {
    const events = readFileSync(corpus, "utf8").trim().split("\n").map((line) => JSON.parse(line) as Event)
    const counts: Record<string, number> = {}
    for (const event of events.filter((event) => event.kind === 0)) {
      const verdict = judge(factsOf(event, epoch, byDefault), byDefault)
      const label = verdict._tag === "Accepted" ? "accepted" : verdict.reason
      counts[label] = (counts[label] ?? 0) + 1
    }
    assert.deepStrictEqual(counts, {
      accepted: 213,
      "no about": 22,
      "no picture": 10,
      "no name": 2,
      "bridged account": 2,
      "picture is not a URL": 1
    })
  })
})
