import { assert, describe, it } from "@effect/vitest"
import { authenticationProblem, authenticationWindow } from "../../src/domain/ClientAuth.ts"
import { epoch, signed } from "../support/events.ts"

const expected = { challenge: "abc", relayUrl: "wss://relay.example/" }

const tried = (
  edit: { readonly kind?: number; readonly created_at?: number; readonly relay?: string; readonly challenge?: string }
) =>
  authenticationProblem(
    signed({
      kind: edit.kind ?? 22_242,
      created_at: edit.created_at ?? epoch,
      tags: [["relay", edit.relay ?? "wss://relay.example"], ["challenge", edit.challenge ?? "abc"]]
    }),
    expected,
    epoch
  )

describe("NIP-42 authentication", () => {
  it("takes the relay's address in any spelling", () => {
    for (
      const relay of [
        "wss://relay.example",
        "WSS://Relay.Example/",
        "wss://relay.example:443",
        "https://relay.example",
        "ws://relay.example",
        "wss://relay.example./?a"
      ]
    ) {
      assert.isUndefined(tried({ relay }), relay)
    }
  })

  it("refuses another relay, path or port", () => {
    for (
      const relay of [
        "wss://other.example",
        "wss://relay.example/path",
        "wss://user@relay.example",
        "",
        "wss://relay.example:444"
      ]
    ) {
      assert.strictEqual(tried({ relay }), "relay is not this one", relay)
    }
  })

  it("refuses another challenge, and another kind", () => {
    assert.strictEqual(tried({ challenge: "abd" }), "challenge is not the one of this connection")
    assert.strictEqual(tried({ kind: 1 }), "authentication is kind 22242")
  })

  it("takes an event ten minutes old or new, and not one second more", () => {
    for (const side of [-1, 1]) {
      assert.isUndefined(tried({ created_at: epoch + side * authenticationWindow }))
      assert.strictEqual(
        tried({ created_at: epoch + side * (authenticationWindow + 1) }),
        "created_at is too far from now"
      )
    }
  })

  it("refuses an event without tags", () => {
    assert.isDefined(authenticationProblem(signed({ kind: 22_242 }), expected, epoch))
  })
})
