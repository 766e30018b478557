/**
 * Image hosts without a network, for tests on the test clock: each URL answers as it is told, at the pace that the real
 * `HostBudgets` allows. For real sockets there is `HostileHost`.
 */
import { Clock, Effect, Layer, Stream } from "effect"
import type { Picture } from "../../src/aggregation/evidence/Picture.ts"
import { layer as pictureLayer } from "../../src/aggregation/evidence/Picture.ts"
import { PictureStore } from "../../src/aggregation/evidence/PictureStore.ts"
import { FetchError } from "../../src/fetch/FetchError.ts"
import { GuardedFetch } from "../../src/fetch/GuardedFetch.ts"
import { HostBudgets, layerWith as hostBudgetsLayerWith } from "../../src/fetch/HostBudgets.ts"
import { retryAfterMillis } from "../../src/fetch/RetryAfter.ts"
import { png } from "../support/images.ts"

export type Answer =
  | { readonly status: number; readonly retryAfter?: string; readonly body?: Uint8Array }
  /** Not even headers, or headers and no body. */
  | "hang"
  | "hang in the body"
  | "no such name"

export const image = (width: number, height: number): Answer => ({ status: 200, body: png(width, height) })

export interface FakeWeb {
  /** What a URL answers from now on; 404 where nothing was said. */
  readonly set: (url: string, answer: Answer) => void
  /** Requests that were let through, in order. */
  readonly requests: Array<{ readonly url: string; readonly at: number }>
  /** `GuardedFetch` alone, and pictures over it. Built anew it remembers nothing. */
  readonly fetch: Layer.Layer<GuardedFetch | HostBudgets>
  readonly pictures: Layer.Layer<Picture>
}

const errorOf = (answer: Exclude<Answer, "hang" | "hang in the body">) => {
  if (answer === "no such name") return new FetchError({ reason: "Name", detail: "NoSuchName" })
  const { status } = answer
  const detail = String(status)
  if (status === 404 || status === 410) return new FetchError({ reason: "Gone", detail, status })
  return new FetchError({ reason: status >= 500 ? "ServerError" : "Denied", detail, status })
}

export const make = (): FakeWeb => {
  const answers = new Map<string, Answer>()
  const requests: FakeWeb["requests"] = []

  const get = Effect.fnUntraced(function*(budgets: HostBudgets["Service"], url: string) {
    const reservation = yield* Effect.mapError(
      budgets.reserve(new URL(url).hostname),
      ({ reason, retryAfter }) => new FetchError({ reason: "Budget", detail: reason, retryAfter })
    )
    const now = yield* Clock.currentTimeMillis
    requests.push({ url, at: now })
    const answer = answers.get(url) ?? { status: 404 }
    if (answer === "hang") {
      return yield* Effect.andThen(
        Effect.sleep(10_000),
        new FetchError({ reason: "Timeout", detail: "took too long in all" })
      )
    }
    if (answer === "hang in the body") {
      return { url: new URL(url), status: 200, headers: {}, body: Stream.never }
    }
    if (typeof answer === "object" && (answer.status === 429 || answer.status === 503)) {
      const retryAfter = yield* reservation.refused(retryAfterMillis(answer.retryAfter, now))
      return yield* new FetchError({
        reason: "Paused",
        detail: String(answer.status),
        status: answer.status,
        retryAfter
      })
    }
    if (typeof answer !== "object" || answer.status !== 200) return yield* errorOf(answer)
    yield* reservation.succeeded
    return { url: new URL(url), status: 200, headers: {}, body: Stream.make(answer.body ?? new Uint8Array()) }
  })

  const fetch = Layer.effect(
    GuardedFetch,
    Effect.map(HostBudgets, (budgets) => GuardedFetch.of({ get: ({ url }) => get(budgets, url) }))
  ).pipe(Layer.provideMerge(hostBudgetsLayerWith({ perMinuteOf: () => 30 })))

  return {
    set: (url, answer) => void answers.set(url, answer),
    requests,
    fetch,
    pictures: pictureLayer.pipe(Layer.provide(fetch), Layer.provide(PictureStore.layerMemory(1000)))
  }
}
