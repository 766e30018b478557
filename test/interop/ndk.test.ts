/** NDK, as it comes from npm, with each of its ways to sign in. */
import { assert, describe, layer } from "@effect/vitest"
import NDK, { NDKEvent, NDKPrivateKeySigner, NDKRelayAuthPolicies, NDKRelaySet } from "@nostr-dev-kit/ndk"
import { Effect } from "effect"
import { generateSecretKey } from "nostr-tools/pure"
import { excuseTimers } from "../support/leaks.ts"
import { dial, type Library, note, relayOfProfiles, suite } from "./rows.ts"

// NDK leaves a timeout behind for each question that was answered in time.
excuseTimers()

/** How it signs in: `confirm` agrees and lets NDK sign, `signIn` is the policy that comes with NDK. */
const withPolicy = (policy: "confirm" | "signIn"): Library => ({
  name: "NDK",
  keepsOrder: true,
  lacks: {
    reconcile: {
      why: "its core has no negentropy, which is a package of its own",
      isSo: () => !Object.keys(NDK.prototype).some((name) => /sync|neg/iu.test(name)) && !("sync" in NDK.prototype)
    }
  },
  dial: async (url, secret) => {
    const ndk = new NDK({
      explicitRelayUrls: [url],
      signer: new NDKPrivateKeySigner(secret),
      enableOutboxModel: false,
      initialValidationRatio: 1,
      lowestValidationRatio: 1
    })
    ndk.relayAuthDefaultPolicy = policy === "confirm"
      ? () => Promise.resolve(true)
      : NDKRelayAuthPolicies.signIn({ ndk })
    await ndk.connect(2000)
    const relays = NDKRelaySet.fromRelayUrls([url], ndk)
    return {
      publish: async (event) => {
        const relay = ndk.pool.getRelay(url)
        if (!await relay.publish(new NDKEvent(ndk, event), 3000)) throw new Error("not taken")
      },
      load: async (filter) => [...await ndk.fetchEvents(filter, {}, relays)].map(({ id }) => id),
      follow: (filter, opened) =>
        new Promise((resolve) => {
          ndk.subscribe(filter, {
            relaySet: relays,
            onEvent: ({ content }) => resolve(content),
            onEose: opened
          })
        }),
      count: async (filter) => (await ndk.count(filter)).count,
      close: () => {
        for (const relay of ndk.pool.relays.values()) relay.disconnect()
      }
    }
  }
})

suite(withPolicy("confirm"))

// docs/decisions/0013-when-clients-are-challenged.md
layer(relayOfProfiles, { excludeTestServices: true })("NDK's signIn policy", (it) => {
  describe("after a refusal", () => {
    it.effect("signs in without sending again what was refused; its next attempt is taken", () =>
      Effect.gen(function*() {
        const secret = generateSecretKey()
        const client = yield* dial(withPolicy("signIn"), secret)
        const attempt = (name: string) =>
          Effect.promise(() =>
            client.publish(
              note(JSON.stringify({ name, about: "sails", picture: "https://images.test/a.jpg" }), secret, {
                kind: 0,
                tags: [["-"]]
              })
            ).then(() => "taken", String)
          )
        assert.match(yield* attempt("Mira"), /Timeout/u)
        assert.strictEqual(yield* attempt("Mira of the sea"), "taken")
      }))
  })
})
