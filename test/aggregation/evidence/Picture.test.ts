import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schema, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import {
  factOf,
  layer as pictureLayer,
  layerWith as pictureLayerWith,
  type Options,
  Picture,
  type PictureOutcome
} from "../../../src/aggregation/evidence/Picture.ts"
import { PictureRecord, PictureStore } from "../../../src/aggregation/evidence/PictureStore.ts"
import { FetchError } from "../../../src/fetch/FetchError.ts"
import { GuardedFetch, type Request, type Response } from "../../../src/fetch/GuardedFetch.ts"
import * as Guarded from "../../support/guarded.ts"
import * as HostileHost from "../../support/HostileHost.ts"
import { gif, heic, isoMedia, jpeg, png, svg, webp } from "../../support/images.ts"

const look = (url: string) => Effect.flatMap(Picture, (picture) => picture.look(url))

/** In short: `png 300x600`, or the reason and its detail. */
const inShort = (outcome: PictureOutcome): string =>
  outcome._tag === "Known"
    ? `${outcome.facts.type} ${outcome.facts.width}x${outcome.facts.height}`
    : `${outcome.reason} (${outcome.detail})`

const shown = (url: string) => Effect.map(look(url), inShort)

/** The real fetcher against one hostile host. */
const live = (
  name: string,
  effect: (host: HostileHost.HostileHost) => Effect.Effect<void, unknown, Picture | PictureStore | Scope.Scope>,
  options: Partial<Options> = {}
) =>
  it.live(name, () =>
    Effect.gen(function*() {
      const host = yield* HostileHost.make()
      const layer = pictureLayerWith(options).pipe(
        Layer.provide(Guarded.layer({ deadlines: { total: 600 } })),
        Layer.provideMerge(PictureStore.layerMemory(100))
      )
      yield* Effect.provide(effect(host), layer)
    }).pipe(Effect.timeout("9 seconds")))

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

describe("Picture.look", () => {
  live("knows a small picture whole: type, size, length and hash", (host) =>
    Effect.gen(function*() {
      const body = png(300, 600, { frames: 2 })
      host.script("/a", HostileHost.ranged(body))
      const outcome = yield* look(`${host.origin}/a`)
      assert.strictEqual(outcome._tag, "Known")
      if (outcome._tag !== "Known") return
      const { facts, status } = outcome
      const expected = {
        type: "png",
        width: 300,
        height: 600,
        animated: true,
        bytes: body.length,
        sha256: undefined,
        head: undefined
      }
      // The header ends before the file does, and no more of it is read than it takes.
      assert.deepStrictEqual({ ...facts, sha256: undefined, head: undefined }, { ...expected } as typeof facts)
      assert.strictEqual(status, 206)
      assert.deepStrictEqual(factOf(outcome), { _tag: "Image", size: { width: 300, height: 600 } })
    }))

  live("has the hash of what it had to read to its end", (host) =>
    Effect.gen(function*() {
      const body = svg("viewBox='0 0 300 600'")
      host.script("/a", HostileHost.ok(body))
      const outcome = yield* look(`${host.origin}/a`)
      assert.deepStrictEqual(outcome._tag === "Known" ? outcome.facts : undefined, {
        type: "svg",
        width: 300,
        height: 600,
        bytes: body.length,
        sha256: sha256(body),
        head: sha256(body)
      })
    }))

  live(
    "has the hash of the first 4,096 bytes, by which two files of one length are told to be one",
    (host) =>
      Effect.gen(function*() {
        const body = Buffer.concat([png(300, 600), Buffer.alloc(9000, 7)])
        host.script("/a", HostileHost.ranged(body))
        const outcome = yield* look(`${host.origin}/a`)
        const facts = outcome._tag === "Known" ? outcome.facts : undefined
        assert.deepStrictEqual([facts?.bytes, facts?.sha256], [body.length, undefined])
        assert.strictEqual(facts?.head, sha256(body.subarray(0, 4096)))
      })
  )

  live("reads 4 KiB of most pictures, in one request", (host) =>
    Effect.gen(function*() {
      const pictures = { png: png(300, 600), jpeg: jpeg(300, 600), gif: gif(300, 600), webp: webp(300, 600) }
      for (const [name, body] of Object.entries({ ...pictures, avif: isoMedia(300, 600), heic: heic(300, 600) })) {
        host.script(`/${name}`, HostileHost.ranged(Buffer.concat([body, Buffer.alloc(500_000)])))
        assert.strictEqual(yield* shown(`${host.origin}/${name}`), `${name} 300x600`)
      }
      assert.deepStrictEqual(host.requests.map(({ headers }) => headers["range"]), Array(6).fill("bytes=0-4095"))
    }))

  live(
    "asks for as much more as the header needs, and never for the same bytes again",
    (host) =>
      Effect.gen(function*() {
        host.script("/32", HostileHost.ranged(jpeg(600, 300, { orientation: 6, segments: [20_000] })))
        host.script("/256", HostileHost.ranged(jpeg(300, 600, { segments: [60_000, 60_000] })))
        assert.strictEqual(yield* shown(`${host.origin}/32`), "jpeg 300x600")
        assert.strictEqual(yield* shown(`${host.origin}/256`), "jpeg 300x600")
        assert.deepStrictEqual(host.requests.map(({ headers }) => headers["range"]), [
          "bytes=0-4095",
          "bytes=4096-32767",
          "bytes=0-4095",
          "bytes=4096-262143"
        ])
      })
  )

  live("gives up on a header of more than 256 KiB", (host) =>
    Effect.gen(function*() {
      const body = jpeg(300, 600, { segments: [60_000, 60_000, 60_000, 60_000, 60_000] })
      host.script("/ranged", HostileHost.ranged(body))
      host.script("/whole", HostileHost.ok(body))
      assert.strictEqual(yield* shown(`${host.origin}/ranged`), "picture is not an image (malformed)")
      assert.strictEqual(yield* shown(`${host.origin}/whole`), "picture is not an image (malformed)")
      assert.isAtMost(host.requests.length, 4)
    }))

  live("cuts a host that ignores the range and sends everything", (host) =>
    Effect.gen(function*() {
      const chunk = Buffer.concat([jpeg(300, 600, { segments: [20_000] }), Buffer.alloc(100_000)])
      host.script("/a", { _tag: "Endless", chunk, headers: { "content-length": "50000000" } })
      assert.strictEqual(yield* shown(`${host.origin}/a`), "jpeg 300x600")
      yield* host.until(() => host.open() === 0)
      assert.strictEqual(host.requests.length, 1)
      assert.isBelow(host.sent(), 20_000_000)
    }))

  live("asks again without a range when ranges make no sense", (host) =>
    Effect.gen(function*() {
      const body = jpeg(300, 600, { segments: [20_000] })
      const part = (first: number, last: number, headers = {}): HostileHost.Script => ({
        _tag: "Answer",
        status: 206,
        headers: { "content-range": `bytes ${first}-${last - 1}/${body.length}`, ...headers },
        body: body.subarray(first, last)
      })
      const firsts: Readonly<Record<string, ReadonlyArray<HostileHost.Script>>> = {
        "unsatisfiable": [HostileHost.status(416)],
        "elsewhere": [part(100, 4096)],
        "without a place": [{ ...part(0, 4096), headers: {} } as HostileHost.Script],
        "changed": [part(0, 4096, { etag: "1" }), part(4096, 20_500, { etag: "2" })],
        "encoded": [part(0, 4096, { "content-encoding": "gzip" })]
      }
      for (const [name, scripts] of Object.entries(firsts)) {
        host.script(`/${encodeURIComponent(name)}`, ...scripts, HostileHost.ok(body))
        assert.strictEqual(yield* shown(`${host.origin}/${encodeURIComponent(name)}`), "jpeg 300x600", name)
        assert.isUndefined(host.requests.at(-1)?.headers["range"], name)
      }
    }))

  live("does not ask for ever when parts bring nothing new, or next to nothing", (host) =>
    Effect.gen(function*() {
      const body = png(300, 600)
      const part = (first: number, last: number): HostileHost.Script => ({
        _tag: "Answer",
        status: 206,
        headers: { "content-range": `bytes ${first}-${Math.max(first, last - 1)}/100000` },
        body: body.subarray(first, last)
      })
      host.script("/empty", part(0, 0))
      host.script("/bytes", part(0, 1), part(1, 2), part(2, 3), part(3, 4), part(4, 5))
      host.script("/416", HostileHost.status(416))
      assert.strictEqual(yield* shown(`${host.origin}/empty`), "picture host did not answer (Protocol: 206)")
      assert.strictEqual(
        yield* shown(`${host.origin}/bytes`),
        "picture host did not answer (Protocol: parts that never make a whole)"
      )
      assert.strictEqual(yield* shown(`${host.origin}/416`), "picture host did not answer (Range: 416)")
      assert.strictEqual(host.requests.length, 2 + 4 + 2)
    }))

  live("decides by the bytes, whatever the content type says (faults 55 and 56)", (host) =>
    Effect.gen(function*() {
      host.script("/page.png", HostileHost.ok("<!DOCTYPE html><title>Sign in</title>", { "content-type": "image/png" }))
      host.script("/text", HostileHost.ok(png(300, 600), { "content-type": "text/html" }))
      host.script("/both", HostileHost.ok(Buffer.concat([gif(300, 600), Buffer.from("<script>alert(1)</script>")])))
      host.script("/nothing", HostileHost.ok(""))
      host.script("/bomb", HostileHost.ok(png(30_000, 30_000)))
      host.script("/short", HostileHost.ok(jpeg(300, 600).subarray(0, 40)))
      assert.strictEqual(yield* shown(`${host.origin}/page.png`), "picture is not an image (unknown type)")
      assert.strictEqual(yield* shown(`${host.origin}/text`), "png 300x600")
      assert.strictEqual(yield* shown(`${host.origin}/both`), "gif 300x600")
      assert.strictEqual(yield* shown(`${host.origin}/nothing`), "picture is not an image (unknown type)")
      assert.strictEqual(yield* shown(`${host.origin}/bomb`), "picture is not an image (too many pixels)")
      assert.strictEqual(yield* shown(`${host.origin}/short`), "picture is not an image (truncated)")
    }))

  live("reads through encodings, and does not fall for bombs", (host) =>
    Effect.gen(function*() {
      host.script("/gzip", HostileHost.encoded(jpeg(300, 600, { segments: [20_000] }), 2))
      host.script("/bomb", { _tag: "Bomb", bytes: 200_000_000 })
      host.script("/fifty", HostileHost.encoded(png(300, 600), 50))
      assert.strictEqual(yield* shown(`${host.origin}/gzip`), "jpeg 300x600")
      assert.strictEqual(yield* shown(`${host.origin}/bomb`), "picture is not an image (unknown type)")
      assert.strictEqual(yield* shown(`${host.origin}/fifty`), "picture is not an image (too many encodings)")
    }))

  live("knows a picture whose host never ends its body, once the header is there", (host) =>
    Effect.gen(function*() {
      host.script("/a", { _tag: "Endless", chunk: png(300, 600) })
      host.script("/b", { _tag: "LyingLength", declared: 1_000_000, body: png(300, 600) })
      assert.strictEqual(yield* shown(`${host.origin}/a`), "png 300x600")
      assert.strictEqual(yield* shown(`${host.origin}/b`), "png 300x600")
    }))

  live(
    "knows the size at every byte after the header at which a connection may end, and nothing wrong before",
    (host) =>
      Effect.gen(function*() {
        const body = png(300, 600)
        const all = yield* Effect.forEach(Array.from({ length: 30 }, (_, i) => i * 4), (at) => {
          host.script(`/${at}`, { _tag: "CutAt", at, body })
          return shown(`${host.origin}/${at}`)
        })
        const kinds = all.map((text) => text.replace(/ \(.*/, ""))
        assert.deepStrictEqual([...new Set(kinds)], ["picture host did not answer", "png 300x600"])
        assert.deepStrictEqual(kinds, kinds.toSorted())
      })
  )

  live("takes silence for no evidence, and gone, forbidden or private for some", (host) =>
    Effect.gen(function*() {
      const scripts: Readonly<Record<string, HostileHost.Script>> = {
        "/hang": { _tag: "Hang" },
        "/drip": { _tag: "Drip", bytes: Buffer.alloc(1000), millis: 50, head: false },
        "/500": HostileHost.status(500),
        "/403": HostileHost.status(403),
        "/loop": HostileHost.redirect("/loop"),
        "/404": HostileHost.status(404),
        "/410": HostileHost.status(410),
        "/inside": HostileHost.redirect("http://10.0.0.1/"),
        "/file": HostileHost.redirect("file:///etc/passwd"),
        "/429": HostileHost.retryAfter(429, "60")
      }
      const seen: Record<string, string> = {}
      for (const [path, script] of Object.entries(scripts)) {
        host.script(path, script)
        seen[path] = yield* shown(host.origin + path)
      }
      assert.deepStrictEqual(seen, {
        "/hang": "picture host did not answer (Timeout: no headers)",
        "/drip": "picture host did not answer (Timeout: took too long in all)",
        "/500": "picture host did not answer (ServerError: 500)",
        "/403": "picture host did not answer (Denied: 403)",
        "/loop": "picture host did not answer (TooManyRedirects: too many redirects)",
        "/404": "picture is gone (404)",
        "/410": "picture is gone (410)",
        "/inside": "picture target is not public (address is not public)",
        "/file": "picture target is not public (scheme is not allowed)",
        "/429": "picture host asked for a pause (429)"
      })
    }))

  live(
    "asks a host that many profiles name once, however many look at the same time",
    (host) =>
      Effect.gen(function*() {
        host.script("/a", { _tag: "Drip", bytes: png(300, 600).subarray(0, 40), millis: 2, head: false })
        const looks = Array.from({ length: 50 }, () => shown(`${host.origin}/a`))
        assert.deepStrictEqual([...new Set(yield* Effect.all(looks, { concurrency: "unbounded" }))], ["png 300x600"])
        assert.strictEqual(host.requests.length, 1)
      })
  )

  live("goes on for those who still wait, and hangs up when nobody does", (host) =>
    Effect.gen(function*() {
      host.script("/a", { _tag: "HangAfterHeaders" })
      const [one, two] = yield* Effect.forEach([1, 2], () =>
        Effect.forkScoped(look(`${host.origin}/a`), { startImmediately: true }))
      yield* host.until(() =>
        host.requests.length === 1
      )
      if (one === undefined || two === undefined) return
      yield* Fiber.interrupt(one)
      assert.strictEqual(host.open(), 1)
      const start = performance.now()
      yield* Fiber.interrupt(two)
      assert.isBelow(performance.now() - start, 100)
      yield* host.until(() => host.open() === 0)
      const store = yield* PictureStore
      assert.isUndefined(yield* store.get(`${host.origin}/a`))
    }))
})

const inline = (length: number): string => `data:,${"x".repeat(length)}`

describe("Picture.look of a data: URL", () => {
  live("decodes it here, and asks nobody", (host) =>
    Effect.gen(function*() {
      const body = webp(300, 600, "animated")
      const outcome = yield* look(`data:image/png;base64,${body.toString("base64")}`)
      assert.deepStrictEqual(outcome._tag === "Known" ? outcome.facts : undefined, {
        type: "webp",
        width: 300,
        height: 600,
        animated: true,
        bytes: body.length,
        sha256: sha256(body),
        head: sha256(body)
      })
      assert.strictEqual(
        yield* shown(`data:image/svg+xml,${encodeURIComponent(String(svg("width='300' height='600'")))}`),
        "svg 300x600"
      )
      assert.strictEqual(yield* shown("data:text/html,<h1>no</h1>"), "picture is not an image (unknown type)")
      assert.strictEqual(yield* shown("data:image/png;base64,%%%"), "picture is not an image (malformed data URL)")
      assert.strictEqual(yield* shown("data:image/png;base64,iVBORw0KGgo="), "picture is not an image (truncated)")
      assert.strictEqual(host.accepted(), 0)
    }))

  live("refuses one that is longer than its cap", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* shown(inline(94)), "picture is not an image (unknown type)")
      assert.strictEqual(yield* shown(inline(95)), "picture is not an image (malformed data URL)")
    }), { inlineMax: 100 })
})

/** A fetcher that answers by decree, on the test clock. */
const scripted = (
  name: string,
  answers: ReadonlyArray<FetchError | Uint8Array | Effect.Effect<never>>,
  effect: (requests: ReadonlyArray<Request>) => Effect.Effect<void, unknown, Picture | PictureStore | Scope.Scope>,
  options: Partial<Options> = {}
) =>
  it.effect(name, () => {
    const requests: Array<Request> = []
    const fetch = Layer.succeed(GuardedFetch, {
      get: (request) =>
        Effect.suspend((): Effect.Effect<Response, FetchError> => {
          requests.push(request)
          const answer = answers[Math.min(requests.length, answers.length) - 1] ?? Buffer.of()
          if (answer instanceof FetchError) return Effect.fail(answer)
          if (!(answer instanceof Uint8Array)) return answer
          return Effect.succeed({ url: new URL(request.url), status: 200, headers: {}, body: Stream.make(answer) })
        })
    })
    const layer = pictureLayerWith(options).pipe(
      Layer.provide(fetch),
      Layer.provideMerge(PictureStore.layerMemory(100))
    )
    return Effect.provide(effect(requests), layer)
  })

const url = "https://a.example/a.png"
const failure = (reason: FetchError["reason"], retryAfter?: number) =>
  new FetchError({ reason, detail: "rate", ...(retryAfter === undefined ? {} : { retryAfter }) })

/** Milliseconds until the next try, of an outcome that has one. */
const retryOf = (outcome: PictureOutcome): number => outcome._tag === "Unanswered" ? outcome.retryAfter : -1

const day = 86_400_000

describe("Picture: what is known", () => {
  scripted(
    "is not asked for again while it is fresh, some seven days",
    [png(300, 600)],
    (requests) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* shown(url), "png 300x600")
        yield* TestClock.adjust(5.5 * day)
        assert.strictEqual(yield* shown(url), "png 300x600")
        assert.strictEqual(requests.length, 1)
        yield* TestClock.adjust(3 * day)
        assert.strictEqual(yield* shown(url), "png 300x600")
        assert.strictEqual(requests.length, 2)
      })
  )

  scripted(
    "is forgotten sooner where there was no picture",
    [failure("Gone"), png(300, 600)],
    (requests) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* shown(url), "picture is gone (rate)")
        yield* TestClock.adjust(0.7 * day)
        assert.strictEqual(yield* shown(url), "picture is gone (rate)")
        assert.strictEqual(requests.length, 1)
        yield* TestClock.adjust(0.6 * day)
        assert.strictEqual(yield* shown(url), "png 300x600")
      })
  )

  scripted("does not all expire at the same time", [png(300, 600)], () =>
    Effect.gen(function*() {
      const store = yield* PictureStore
      const until = yield* Effect.forEach(Array.from({ length: 50 }, (_, i) => `${url}?${i}`), (each) =>
        Effect.gen(function*() {
          yield* look(each)
          return (yield* store.get(each))?.freshUntil ?? 0
        }))
      assert.isAtLeast(new Set(until).size, 45)
      assert.isAtLeast(Math.min(...until), 5.6 * day)
      assert.isAtMost(Math.max(...until), 8.4 * day)
    }))

  scripted("survives as JSON", [png(300, 600)], () =>
    Effect.gen(function*() {
      yield* look(url)
      const record = yield* (yield* PictureStore).get(url)
      assert.deepStrictEqual(
        yield* Schema.decodeUnknownEffect(PictureRecord)(JSON.parse(JSON.stringify(record))),
        record
      )
    }))

  scripted(
    "is asked for again when the wall clock has been set back behind it",
    [png(300, 600)],
    (requests) =>
      Effect.gen(function*() {
        const store = yield* PictureStore
        const future: PictureRecord = {
          outcome: { _tag: "NoImage", reason: "picture is gone", detail: "404" },
          checkedAt: 400 * day,
          freshUntil: 401 * day,
          attempts: 0
        }
        yield* store.set(url, future)
        assert.strictEqual(yield* shown(url), "png 300x600")
        assert.strictEqual(requests.length, 1)
      })
  )
})

describe("Picture: silence", () => {
  scripted("is tried again later and later, and forgotten after an answer", [
    failure("Timeout"),
    failure("Timeout"),
    failure("Timeout"),
    png(300, 600),
    failure("Timeout")
  ], (requests) =>
    Effect.gen(function*() {
      const store = yield* PictureStore
      const pauses: Array<number> = []
      for (let i = 0; i < 3; i++) {
        const outcome = yield* look(url)
        pauses.push(retryOf(outcome))
        // Asked a moment too early, it says how long is left, and asks nobody.
        yield* TestClock.adjust(retryOf(outcome) - 1)
        assert.strictEqual(retryOf(yield* look(url)), 1)
        yield* TestClock.adjust(1)
      }
      assert.strictEqual(requests.length, 3)
      const minutes = pauses.map((pause) => pause / 60_000)
      for (const [i, pause] of minutes.entries()) {
        assert.isTrue(pause >= 4 * 2 ** i && pause <= 6 * 2 ** i, String(minutes))
      }
      assert.strictEqual(yield* shown(url), "png 300x600")
      assert.strictEqual((yield* store.get(url))?.attempts, 0)
    }))

  scripted("is tried again once a day at least", [failure("Denied")], () =>
    Effect.gen(function*() {
      for (let i = 0; i < 12; i++) {
        const outcome = yield* look(url)
        assert.isAtMost(retryOf(outcome), day)
        yield* TestClock.adjust(retryOf(outcome))
      }
    }))

  scripted("lasts at least as long as the host asked for", [failure("Paused", 60_000)], () =>
    Effect.gen(function*() {
      const outcome = yield* look(url)
      assert.isTrue(retryOf(outcome) >= 60_000 && retryOf(outcome) <= 72_000)
    }))

  scripted("of our own budget is not the picture's, and is not remembered", [
    failure("Budget", 7000),
    png(300, 600)
  ], (requests) =>
    Effect.gen(function*() {
      const outcome = yield* look(url)
      assert.strictEqual(inShort(outcome), "not checked in time (rate)")
      assert.isTrue(retryOf(outcome) >= 7000 && retryOf(outcome) <= 8400)
      assert.strictEqual(yield* shown(url), "png 300x600")
      assert.strictEqual(requests.length, 2)
    }))

  scripted("ends a look after twenty seconds", [Effect.never], () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkScoped(shown(url), { startImmediately: true })
      yield* TestClock.adjust(19_999)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(fiber), "picture host did not answer (Timeout: took too long in all)")
    }))

  scripted(
    "is the answer when its network task is interrupted by a stop",
    [Effect.interrupt],
    () =>
      Effect.gen(function*() {
        const outcome = yield* look(url)
        assert.strictEqual(inShort(outcome), "stopping (stopping)")
        assert.isAbove(retryOf(outcome), 0)
      })
  )

  it.effect("does not outlive the service: a stop ends the look that is under way", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const fetch = Layer.succeed(GuardedFetch, {
        get: () =>
          Deferred.succeed(started, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
          )
      })
      const layer = pictureLayer.pipe(Layer.provide(fetch), Layer.provide(PictureStore.layerMemory(1)))
      const fiber = yield* Effect.forkScoped(Effect.provide(look(url), layer), { startImmediately: true })
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(ended)
    }))
})

const record = (checkedAt: number): PictureRecord => ({
  outcome: { _tag: "NoImage", reason: "picture is gone", detail: "404" },
  checkedAt,
  freshUntil: checkedAt,
  attempts: 0
})

describe("PictureStore.layerMemory", () => {
  it.effect("forgets the picture that was used longest ago", () =>
    Effect.gen(function*() {
      const store = yield* PictureStore
      yield* store.set("a", record(1))
      yield* store.set("b", record(2))
      yield* store.get("a")
      yield* store.set("c", record(3))
      const kept = yield* Effect.forEach(["a", "b", "c"], store.get)
      assert.deepStrictEqual(kept.map((each) => each?.checkedAt), [1, undefined, 3])
    }).pipe(Effect.provide(PictureStore.layerMemory(2))))
})
