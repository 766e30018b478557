/** NIP-13 over a real socket. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { EventTemplate } from "../src/domain/Event.ts"
import { leadingZeroBits } from "../src/domain/ProofOfWork.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { deletionEvent, signed } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect } from "./support/TestClient.ts"

const powMin = 6

/** The first of these events whose id has so many bits, exactly or at least. */
const mined = (isEnough: (bits: number) => boolean, target?: number, template: Partial<EventTemplate> = {}) => {
  for (let nonce = 0;; nonce++) {
    const tags = [["nonce", String(nonce), ...(target === undefined ? [] : [String(target)])]]
    const event = signed({ ...template, tags }, "miner")
    if (isEnough(leadingZeroBits(event.id))) return event
  }
}

layer(relay({ limits: { powMin } }), { excludeTestServices: true })("NIP-13", (it) => {
  it.effect("22. counts leading zero bits of the id, and refuses a lower target that was passed by luck", () =>
    Effect.gen(function*() {
      const client = yield* Effect.flatMap(RelayAddress, ({ url }) => connect(url))
      assert.isTrue((yield* client.publish(mined((bits) => bits >= powMin, powMin)))[2])
      assert.isTrue((yield* client.publish(mined((bits) => bits >= powMin)))[2], "without a target")
      for (const event of [mined((bits) => bits === powMin - 1), mined((bits) => bits >= powMin, powMin - 1)]) {
        const [, , accepted, reply] = yield* client.publish(event)
        assert.isFalse(accepted)
        assert.match(String(reply), /^pow: /u)
      }
    }))

  it.effect("asks no work of a deletion", () =>
    Effect.gen(function*() {
      const client = yield* Effect.flatMap(RelayAddress, ({ url }) => connect(url))
      const easy = [0, 1, 2, 3].map((n) => deletionEvent([String(n).repeat(64)], "somebody"))
        .find(({ id }) => leadingZeroBits(id) < powMin)!
      assert.isTrue((yield* client.publish(easy))[2])
    }))
})
