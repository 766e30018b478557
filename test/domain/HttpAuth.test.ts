import { assert, describe, it } from "@effect/vitest"
import { hash } from "node:crypto"
import { getToken } from "nostr-tools/nip98"
import { finalizeEvent, generateSecretKey } from "nostr-tools/pure"
import { authorizationOf, httpAuthProblem, httpAuthWindow, ReplayGuard } from "../../src/domain/HttpAuth.ts"
import { epoch, signed } from "../support/events.ts"

const payload = hash("sha256", "{}")
const request = { url: "https://relay.example/", method: "POST", payload }

const tried = (edit: Readonly<Record<string, string>> = {}, template: { kind?: number; created_at?: number } = {}) => {
  const tags = { u: request.url, method: "POST", payload, ...edit }
  const event = signed({ kind: 27_235, created_at: epoch, tags: Object.entries(tags), ...template })
  return httpAuthProblem(event, request, epoch)
}

const decode = (text: string) => Buffer.from(text, "base64").toString()

const at = (created_at: number) => signed({ kind: 27_235, created_at })

describe("NIP-98 HTTP authorization", () => {
  it("takes a request by its address, method and body", () => {
    assert.isUndefined(tried())
    assert.isUndefined(tried({ method: "post" }))
    for (const u of ["https://relay.example", "wss://relay.example", "HTTPS://RELAY.example:443/"]) {
      assert.isUndefined(tried({ u }), u)
    }
  })

  it("refuses another address, method, body, kind", () => {
    for (const u of ["https://relay.example/x", "https://relay.example/?a", "http://relay.example/", "nonsense", ""]) {
      assert.strictEqual(tried({ u }), "authorization is for another address", u)
    }
    assert.strictEqual(tried({ method: "GET" }), "authorization is for another method")
    assert.strictEqual(tried({ payload: hash("sha256", "{ }") }), "authorization is for another body")
    assert.strictEqual(tried({}, { kind: 22_242 }), "authorization is kind 27235")
  })

  it("refuses a body that was not signed at all", () => {
    const event = signed({ kind: 27_235, tags: [["u", request.url], ["method", "POST"]] })
    assert.strictEqual(httpAuthProblem(event, request, epoch), "authorization is for another body")
  })

  it("takes an event a minute old or new, and not one second more", () => {
    for (const side of [-1, 1]) {
      assert.isUndefined(tried({}, { created_at: epoch + side * httpAuthWindow }))
      assert.strictEqual(
        tried({}, { created_at: epoch + side * (httpAuthWindow + 1) }),
        "authorization is too old or too new"
      )
    }
  })

  it("reads what nostr-tools writes", async () => {
    const key = generateSecretKey()
    const token = await getToken(request.url, "POST", (event) => finalizeEvent(event, key), true, { a: 1 })
    const read = authorizationOf(token, decode)
    assert.isObject(read)
    assert.containSubset((read as { value: unknown }).value, { kind: 27_235 })
  })

  it("refuses other schemes, and what is no base64 or no JSON", () => {
    assert.strictEqual(authorizationOf(undefined, decode), "no Nostr authorization")
    assert.strictEqual(authorizationOf("Basic YWJj", decode), "no Nostr authorization")
    assert.strictEqual(authorizationOf("Nostr {}", decode), "no Nostr authorization")
    assert.strictEqual(authorizationOf("Nostr YWJj", decode), "authorization is no event")
  })

  it("lets nothing be used that may have been before it began", () => {
    const guard = new ReplayGuard(epoch)
    assert.isFalse(guard.use(at(epoch - 1), epoch + 1))
    assert.isFalse(guard.use(at(epoch), epoch + 1), "in the second in which it began")
    assert.isTrue(guard.use(at(epoch + 1), epoch + 1))
    assert.isFalse(guard.use(at(epoch + 30), epoch + 2), "by a clock that is ahead")
    const later = epoch + httpAuthWindow + 1
    assert.isTrue(guard.use(at(later + 30), later), "nobody can have used that one before")
  })

  it("lets an event be used once, and forgets it when it could be used no more", () => {
    const guard = new ReplayGuard(0)
    const event = signed({ kind: 27_235, created_at: epoch })
    assert.isTrue(guard.use(event, epoch))
    assert.isFalse(guard.use(event, epoch + httpAuthWindow))
    assert.isTrue(guard.use(event, epoch + httpAuthWindow + 1), "its time is checked before")
  })
})
