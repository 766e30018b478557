/** nostr-tools, as it comes from npm; beside the rows, what only it has: registers that estimate, and management. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { nip77, nip98, Relay, SimplePool } from "nostr-tools"
import { estimateCount, hllDecode } from "nostr-tools/nip45"
import { type EventTemplate, finalizeEvent, generateSecretKey, getPublicKey } from "nostr-tools/pure"
import { type Library, note, relayWith, suite, url } from "./rows.ts"

const library: Library = {
  name: "nostr-tools",
  keepsOrder: true,
  lacks: {},
  dial: async (url, secret) => {
    const relays = [url]
    const onauth = (template: EventTemplate) => Promise.resolve(finalizeEvent(template, secret))
    const pool = new SimplePool()
    pool.automaticallyAuth = () => onauth
    const connection = await pool.ensureRelay(url)
    return {
      publish: (event) => Promise.all(pool.publish(relays, event, { onauth })),
      load: (filter) =>
        new Promise((resolve, reject) => {
          const ids: Array<string> = []
          const subscription = pool.subscribe(relays, filter, {
            onauth,
            onevent: ({ id }) => void ids.push(id),
            oneose: () => {
              subscription.close()
              resolve(ids)
            },
            onclose: (reasons) => reject(new Error(JSON.stringify(reasons)))
          })
        }),
      follow: (filter, opened) =>
        new Promise((resolve) => {
          pool.subscribe(relays, filter, { onevent: ({ content }) => resolve(content), oneose: opened })
        }),
      count: (filter) => connection.count([filter], {}),
      reconcile: async (filter, held) => {
        const storage = new nip77.NegentropyStorageVector()
        for (const { created_at, id } of held) storage.insert(created_at, id)
        storage.seal()
        const have: Array<string> = []
        const need: Array<string> = []
        await new Promise<void>((resolve, reject) => {
          void new nip77.NegentropySync(connection, storage, filter, {
            onhave: (id) => void have.push(id),
            onneed: (id) => void need.push(id),
            onclose: (reason) => reason === undefined ? resolve() : reject(new Error(reason))
          }).start()
        })
        return { have, need }
      },
      close: () => pool.destroy()
    }
  }
}

suite(library)

const operatorKey = generateSecretKey()

/** One relay of nostr-tools. */
const dialRelay = Effect.flatMap(url, (url) =>
  Effect.acquireRelease(
    Effect.promise(() => Relay.connect(url)),
    (open) => Effect.sync(() => open.close())
  ))

layer(relayWith({ operators: [getPublicKey(operatorKey)] }), { excludeTestServices: true })(
  "what only nostr-tools has",
  (it) => {
    it.effect("counts, with registers that estimate as much (NIP-45)", () =>
      Effect.gen(function*() {
        const client = yield* dialRelay
        const target = getPublicKey(generateSecretKey())
        const followers = Array.from({ length: 50 }, () =>
          note("", generateSecretKey(), { kind: 3, tags: [["p", target]] }))
        yield* Effect.promise(() =>
          Promise.all(followers.map((event) => client.publish(event)))
        )
        const { count, hll } = yield* Effect.promise(() => client.countWithHLL([{ kinds: [3], "#p": [target] }], {}))
        assert.strictEqual(count, 50)
        assert.approximately(estimateCount(hllDecode(hll ?? "") ?? new Uint8Array(256)), 50, 10)
      }))

    it.effect("manages, with its token (NIP-98)", () =>
      Effect.gen(function*() {
        const address = (yield* url).replace("ws:", "http:")
        const payload = { method: "supportedmethods", params: [] }
        const answer = yield* Effect.promise(async () => {
          const token = await nip98.getToken(
            address,
            "POST",
            (event) => finalizeEvent(event, operatorKey),
            true,
            payload
          )
          const response = await fetch(address, {
            method: "POST",
            body: JSON.stringify(payload),
            headers: { authorization: token, "content-type": "application/nostr+json+rpc" }
          })
          return await response.json() as { readonly result?: unknown }
        })
        assert.include(answer.result as ReadonlyArray<string>, "banpubkey")
      }))
  }
)
