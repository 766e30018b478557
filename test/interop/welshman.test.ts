/** welshman's net package, as it comes from npm. */
import {
  ClientMessageType,
  defaultSocketPolicies,
  diff,
  makeLoader,
  makeSocketPolicyAuth,
  Pool,
  publish,
  PublishStatus,
  request,
  Socket
} from "interop-welshman"
import { finalizeEvent } from "nostr-tools/pure"
import { excuseTimers } from "../support/leaks.ts"
import { pretendBrowser } from "./browser.ts"
import { type Library, suite } from "./rows.ts"

// Its half-minute timeouts run on after an answer.
excuseTimers()
pretendBrowser()

type WelshmanFilter = Parameters<typeof request>[0]["filters"][number]

const library: Library = {
  name: "welshman",
  keepsOrder: true,
  lacks: {
    count: {
      why: "its messages have no COUNT",
      isSo: () => !(Object.values(ClientMessageType) as ReadonlyArray<string>).includes("COUNT")
    }
  },
  dial: async (url, secret) => {
    const signIn = makeSocketPolicyAuth({ sign: (template) => Promise.resolve(finalizeEvent(template, secret)) })
    const pool = new Pool({ makeSocket: (url) => new Socket(url, [...defaultSocketPolicies, signIn]) })
    const context = { pool }
    const relays = [url]
    const loader = makeLoader({ delay: 1, timeout: 5000, context })
    return {
      publish: async (event) => {
        const outcome = (await publish({ event, relays, context }))[url]
        if (outcome?.status !== PublishStatus.Success) throw new Error(outcome?.detail)
      },
      load: async (filter) => (await loader({ relays, filters: [filter as WelshmanFilter] })).map(({ id }) => id),
      follow: (filter, opened) =>
        new Promise((resolve) => {
          const ended = new AbortController()
          void request({
            relays,
            filters: [filter as WelshmanFilter],
            context,
            signal: ended.signal,
            onEose: opened,
            onEvent: ({ content }) => {
              ended.abort()
              resolve(content)
            }
          })
        }),
      reconcile: async (filter, held) => {
        const [differences] = await diff({ relays, filters: [filter as WelshmanFilter], events: [...held], context })
        return differences ?? { have: [], need: [] }
      },
      close: () => pool.clear()
    }
  }
}

suite(library)
