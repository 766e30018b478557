/** What a side runs: the service of a checkout, or a peer of it. */
import type { Event } from "@nostr-relay/common"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { nodeFlagsOf } from "../support/nodeFlags.ts"
import type { Block } from "./Corpus.ts"
import * as Store from "./Store.ts"

export interface Program {
  /** The module that its process runs. */
  readonly entry: string
  /** With which its Node is started. */
  readonly nodeFlags: ReadonlyArray<string>
  /** Creates its database file at `path`, by its own code, past its sockets and signature checks. */
  readonly write: (path: string, blocks: Iterable<Block>) => Effect.Effect<void>
}

/** As its package names it, which other checkouts do otherwise. */
const entryOf = (root: string): string => {
  const { bin } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly bin: { readonly "profile-aggregator": string }
  }
  return join(root, bin["profile-aggregator"])
}

export const service = (root: string): Program => ({
  entry: entryOf(root),
  nodeFlags: nodeFlagsOf(root),
  write: (path, blocks) => Store.write(root, path, blocks)
})

const nostrRelay: Program = {
  entry: join(import.meta.dirname, "peer/nostrRelay.ts"),
  nodeFlags: [],
  write: (path, blocks) =>
    Effect.promise(async () => {
      const { EventRepositorySqlite } = await import("@nostr-relay/event-repository-sqlite")
      const repository = new EventRepositorySqlite(path)
      await repository.init()
      repository.getDatabase().pragma("synchronous = OFF")
      for (const block of blocks) {
        for (const raw of block) await repository.upsert(JSON.parse(raw) as Event)
      }
      await repository.destroy()
    })
}

/** Other relays that can be run beside the service, by their names on the command line. */
export const peers: ReadonlyMap<string, Program> = new Map([["nostr-relay", nostrRelay]])
