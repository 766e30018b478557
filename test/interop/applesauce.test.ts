/** applesauce-relay over applesauce-core, as they come from npm. */
import { EventStore } from "applesauce-core"
import { Relay } from "applesauce-relay"
import { finalizeEvent } from "nostr-tools/pure"
import { firstValueFrom, lastValueFrom, toArray } from "rxjs"
import { excuseTimers } from "../support/leaks.ts"
import { type Library, suite } from "./rows.ts"

// Its timeouts of requests that were answered are left to run out.
excuseTimers()

const library: Library = {
  name: "applesauce",
  keepsOrder: true,
  lacks: {},
  dial: async (url, secret) => {
    const relay = new Relay(url)
    // An application answers challenges by itself; waiting for that and sending again is the library's.
    const signer = relay.challenge$.subscribe((challenge) => {
      if (challenge !== null) void relay.authenticate({ signEvent: (template) => finalizeEvent(template, secret) })
    })
    return {
      publish: async (event) => {
        const { message, ok } = await relay.publish(event)
        if (!ok) throw new Error(message)
      },
      load: async (filter) => (await lastValueFrom(relay.request(filter).pipe(toArray()))).map(({ id }) => id),
      follow: (filter, opened) =>
        new Promise((resolve, reject) => {
          const subscription = relay.subscription(filter).subscribe({
            next: (message) => {
              if (message === "EOSE") return opened()
              subscription.unsubscribe()
              resolve(message.content)
            },
            error: reject
          })
        }),
      count: async (filter) => (await firstValueFrom(relay.count(filter))).count,
      reconcile: async (filter, held) => {
        const store = new EventStore()
        for (const event of held) store.add(event)
        const have: Array<string> = []
        const need: Array<string> = []
        await relay.negentropy(store, filter, (ours, theirs) => {
          have.push(...ours)
          need.push(...theirs)
          return Promise.resolve()
        })
        return { have, need }
      },
      close: () => {
        signer.unsubscribe()
        relay.close()
      }
    }
  }
}

suite(library)
