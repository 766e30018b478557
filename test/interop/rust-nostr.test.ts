/** rust-nostr's SDK for JavaScript: Rust compiled to WebAssembly, as it comes from npm. */
import {
  ClientBuilder,
  ClientOptions,
  Duration,
  Event,
  Filter,
  Keys,
  loadWasmSync,
  NostrDatabase,
  NostrSigner,
  SecretKey,
  SyncDirection,
  SyncOptions
} from "@rust-nostr/nostr-sdk"
import { randomUUID } from "node:crypto"
import type { VerifiedEvent } from "nostr-tools/pure"
import { excuseTimers } from "../support/leaks.ts"
import { pretendBrowser } from "./browser.ts"
import { type Library, suite } from "./rows.ts"

// Its timeouts of what was answered in time are left to run out.
excuseTimers()

pretendBrowser()
loadWasmSync()

const rustEvent = (event: VerifiedEvent) => Event.fromJson(JSON.stringify(event))
const seconds = 5

const library: Library = {
  name: "rust-nostr",
  keepsOrder: false,
  lacks: {},
  dial: async (url, secret) => {
    const signer = NostrSigner.keys(new Keys(SecretKey.parse(Buffer.from(secret).toString("hex"))))
    const client = new ClientBuilder()
      .signer(signer)
      .database(await NostrDatabase.indexeddb(randomUUID()))
      .opts(new ClientOptions().automaticAuthentication(true))
      .build()
    await client.addRelay(url)
    await client.connect()
    const relay = await client.relay(url)
    return {
      publish: (event) => relay.sendEvent(rustEvent(event)),
      load: async (filter) => {
        const events = await client.fetchEvents(Filter.fromJson(JSON.stringify(filter)), Duration.fromSecs(seconds))
        return events.toVec().map((event) => event.id.toHex())
      },
      follow: async (filter, opened) => {
        const { promise, resolve } = Promise.withResolvers<string>()
        client.handleNotifications({
          handleEvent: (_url, _id, event) => {
            resolve(event.content)
            return Promise.resolve(true)
          },
          handleMsg: (_url, message) => {
            if (message.asJson().startsWith(`["EOSE"`)) opened()
            return Promise.resolve(false)
          }
        })
        await client.subscribe(Filter.fromJson(JSON.stringify(filter)))
        return promise
      },
      count: async (filter) =>
        Number(await relay.countEvents(Filter.fromJson(JSON.stringify(filter)), Duration.fromSecs(seconds))),
      reconcile: async (filter, held) => {
        for (const event of held) await client.database.save_event(rustEvent(event))
        const { local, remote } = await relay.sync(
          Filter.fromJson(JSON.stringify(filter)),
          new SyncOptions().direction(SyncDirection.Both).dry_run()
        )
        return { have: local.map((id) => id.toHex()), need: remote.map((id) => id.toHex()) }
      },
      close: () => client.shutdown()
    }
  }
}

suite(library)
