import { assert, describe, it } from "@effect/vitest"
import type { Event } from "../../src/domain/Event.ts"
import { type Policy, refusalOf, type Source } from "../../src/domain/Gate.ts"
import { epoch, keyOf, signed } from "../support/events.ts"

const hands: Readonly<{ [by in Source["by"] | "stranger"]: Source }> = {
  author: { by: "author", address: "192.0.2.1" },
  client: { by: "client", address: "192.0.2.1", isKnown: true },
  stranger: { by: "client", address: "192.0.2.1", isKnown: false },
  upstream: { by: "upstream", address: "wss://upstream.example" },
  queue: { by: "queue" },
  operator: { by: "operator" }
}

const { pubkey } = keyOf("author")
const profile = signed({ kind: 0 })

const closed: Policy = {
  admission: "profiles",
  relayUrl: "wss://relay.example",
  limits: { powMin: 0, createdAtFutureMax: 900 },
  rules: { createdAtMin: epoch - 1000 },
  listKinds: [10_002, 10_050],
  stateOf: () => undefined
}
const open: Policy = { ...closed, admission: "open" }

const said = (policy: Partial<Policy>): Policy => ({ ...open, ...policy })
const standing = (...rules: ReadonlyArray<readonly [subject: string, name: string, state: "banned" | "allowed"]>) =>
  said({
    stateOf: (subject, name) => rules.find(([about, of]) => about === subject && of === name)?.[2]
  })

/** What everybody is told of one event; by whom nothing is said of a hand, it may go on. */
const told = (event: Event, policy: Policy) =>
  Object.fromEntries(
    Object.entries(hands).flatMap(([hand, source]) => {
      const refusal = refusalOf(event, { source, now: epoch, policy })
      if (refusal === undefined) return []
      return [[hand, refusal._tag === "Refused" ? refusal.reply : refusal.reason]]
    })
  )

const all = (text: string) => ({ author: text, client: text, stranger: text, upstream: text, queue: text })
const publishers = (text: string) => ({ author: text, client: text, stranger: text })

const nip42 = "invalid: authentication events are not published"
const protection = "protected events are accepted from their author only"
const notKept = "kind is not kept here"
const repost = signed({ kind: 6, content: JSON.stringify({ tags: [["-"]] }) })
const vanish = (...relays: ReadonlyArray<string>) => signed({ kind: 62, tags: relays.map((url) => ["relay", url]) })

const rows: ReadonlyArray<readonly [what: string, event: Event, policy: Policy, told: object]> = [
  ["lets a profile in", profile, closed, {}],
  ["lets any event in where any is kept", signed(), open, {}],
  ["publishes no authentication", signed({ kind: 22_242 }), open, publishers(nip42)],
  ["takes what is protected from its author", signed({ tags: [["-"]] }), open, {
    client: `restricted: ${protection}`,
    stranger: `auth-required: ${protection}`,
    upstream: "protected event"
  }],
  ["publishes no repost of it", repost, open, publishers("blocked: it reposts a protected event")],
  ["wants a relay of a request to vanish", vanish(), open, {
    ...all(notKept),
    ...publishers("invalid: a request to vanish names a relay"),
    operator: notKept
  }],
  ["takes no request for another relay, from nobody", vanish("wss://other.example"), open, {
    ...all(notKept),
    operator: notKept
  }],
  ["takes one for all, and for this one", vanish("wss://other.example", "ws://Relay.example."), closed, {}],
  ["keeps no other kind", signed({ kind: 1 }), closed, all(notKept)],
  ["keeps one that the operator allows", signed({ kind: 1 }), {
    ...standing(["kind", "1", "allowed"]),
    admission: "profiles"
  }, {}],
  ["keeps none that the operator does not", profile, standing(["kind", "0", "banned"]), all(notKept)],
  ["bans an author", signed(), standing(["pubkey", pubkey, "banned"]), all("banned by the operator")],
  ["bans an event", profile, standing(["event", profile.id, "banned"]), all("banned by the operator")],
  ["lets a banned author delete", signed({ kind: 5 }), standing(["pubkey", pubkey, "banned"]), {}],
  ["lets a banned author vanish", vanish("ALL_RELAYS"), standing(["pubkey", pubkey, "banned"]), {}],
  ["lets 900 seconds of the future in", signed({ created_at: epoch + 900 }), open, {}],
  ["and not one more", signed({ created_at: epoch + 901 }), open, all("created_at is too far ahead")],
  ["lets the oldest second in", signed({ kind: 0, created_at: epoch - 1000 }), closed, {}],
  ["and none before it", signed({ kind: 0, created_at: epoch - 1001 }), closed, all("created_at is too old")],
  ["but where any event is kept", signed({ created_at: 0 }), open, {}]
]

describe("the gate", () => {
  for (const [what, event, policy, expected] of rows) {
    it(what, () => assert.deepStrictEqual(told(event, policy), expected as Record<string, string>))
  }

  it("wants work of those who publish, and none for a removal", () => {
    const policy = said({ limits: { powMin: 40, createdAtFutureMax: 900 } })
    const answers = told(signed(), policy)
    assert.sameMembers(Object.keys(answers), ["author", "client", "stranger"])
    assert.match(answers["author"]!, /^pow: difficulty \d+ is less than 40$/)
    assert.deepStrictEqual(told(signed({ kind: 5 }), policy), {})
    assert.deepStrictEqual(told(vanish("ALL_RELAYS"), policy), {})
  })
})
