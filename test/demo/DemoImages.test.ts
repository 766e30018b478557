import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DemoImages } from "../../src/demo/DemoImages.ts"
import { noLeaks } from "../support/leaks.ts"

const get = (url: string, init: { readonly method?: string; readonly range?: string } = {}) =>
  Effect.promise(async () => {
    // Without keep-alive, so that the client's own pool is not taken for a leak.
    const headers = { connection: "close", ...(init.range === undefined ? {} : { range: init.range }) }
    const response = await fetch(url, { method: init.method ?? "GET", headers })
    return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) }
  })

const test = (name: string, body: (origin: string) => Effect.Effect<void>) =>
  it.live(name, () =>
    noLeaks(
      DemoImages.use(({ origins }) => body(origins[0])).pipe(Effect.provide(DemoImages.layer))
    ))

describe("DemoImages", () => {
  test("serves a picture by its name, whole, by range, and by its head", (origin) =>
    Effect.gen(function*() {
      const url = `${origin}/300x600/ada-1.png`
      const whole = yield* get(url)
      assert.strictEqual(whole.status, 200)
      assert.strictEqual(whole.headers.get("content-type"), "image/png")
      assert.deepStrictEqual([whole.bytes.readUInt32BE(16), whole.bytes.readUInt32BE(20)], [300, 600])

      const part = yield* get(url, { range: "bytes=10-29" })
      assert.strictEqual(part.status, 206)
      assert.strictEqual(part.headers.get("content-range"), `bytes 10-29/${whole.bytes.length}`)
      assert.deepStrictEqual(part.bytes, whole.bytes.subarray(10, 30))
      const rest = yield* get(url, { range: "bytes=100-99999" })
      assert.deepStrictEqual(rest.bytes, whole.bytes.subarray(100))
      assert.strictEqual((yield* get(url, { range: `bytes=${whole.bytes.length}-` })).status, 416)

      const head = yield* get(url, { method: "HEAD" })
      assert.strictEqual(head.headers.get("content-length"), String(whole.bytes.length))
      assert.lengthOf(head.bytes, 0)
    }))

  test("refuses twice and then serves, is slow, is gone, is a page", (origin) =>
    Effect.gen(function*() {
      const busy = `${origin}/busy/300x600/a.gif`
      const first = yield* get(busy)
      assert.deepStrictEqual([first.status, first.headers.get("retry-after")], [429, "2"])
      assert.strictEqual((yield* get(busy)).status, 429)
      assert.strictEqual((yield* get(busy)).status, 200)
      const began = performance.now()
      assert.strictEqual((yield* get(`${origin}/slow/300x600/a.webp`)).status, 200)
      assert.isAtLeast(performance.now() - began, 1400)
      assert.strictEqual((yield* get(`${origin}/gone/300x600/a.jpg`)).status, 404)
      assert.match((yield* get(`${origin}/page/300x600/a.jpg`)).headers.get("content-type") ?? "", /^text\/html/)
    }))

  test("draws nothing that it was not asked for properly", (origin) =>
    Effect.gen(function*() {
      for (const path of ["/", "/0x600/a.png", "/4097x1/a.png", "/300x600/a.bmp", "/other/300x600/a.png"]) {
        assert.strictEqual((yield* get(origin + path)).status, 404, path)
      }
      assert.strictEqual((yield* get(`${origin}/300x600/a.png`, { method: "POST" })).status, 405)
    }))
})
