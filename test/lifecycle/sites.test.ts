/** A lease that leaked is found by its site, so it has to be its holder's place, and not the register's. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { globSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import type { Report } from "../../src/lifecycle/Report.ts"
import { profileEvent } from "../support/events.ts"
import * as FakeUpstream from "../support/FakeUpstream.ts"
import * as Service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"

const source = join(import.meta.dirname, "../../src")
const files = new Map(globSync("**/*.ts", { cwd: source }).map((file) => [basename(file), join(source, file)]))

/** What its holder's file says when it takes it: the label up to what differs, or the mailbox that an owner makes. */
const wordsOf = (label: string): string => {
  const owner = /^(\w+) \(owner\)$/.exec(label)?.[1]
  return owner === undefined ? label.split(" ")[0]! : `name: "${owner}"`
}

/** Whatever holds a sender in a service that harvests, judges and serves. */
const expected = [
  "database (owner)",
  "crypto (owner)",
  "aggregation (owner)",
  "database/sweep",
  "aggregation/admission",
  "aggregation/upstream",
  "websocket/authentication",
  "websocket/connection"
]

describe("the site of a lease", () => {
  it.live("is in its holder's own file, for every holder of a running service", () =>
    Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make({ events: [profileEvent({}, "author")] })
      const service = yield* Service.start({
        env: { DISCOVERY_RELAY_URL: upstream.url, PICTURES: "on", NIP05: "check" }
      })
      const { http, url } = yield* service.listening
      const client = yield* TestClient.connect(url)
      yield* client.req("a", { limit: 0 })
      const { senders } = yield* Effect.promise(() =>
        fetch(`${http}/console`).then((response) => response.json()).then((report) => report as Report)
      ).pipe(
        Effect.delay(50),
        Effect.repeat({
          until: ({ senders }) => expected.every((label) => senders.some((sender) => sender.label.startsWith(label)))
        })
      )
      for (const { label, mailbox, site } of senders) {
        const [, file = "", line = ""] = / @ ([^:]+):(\d+)$/.exec(site[0] ?? "") ?? []
        const at = `${label} to ${mailbox}: ${site.join(" ← ")}`
        const text = readFileSync(files.get(file) ?? assert.fail(at), "utf8")
        assert.include(text, wordsOf(label), at)
        assert.match(text.split("\n")[Number(line) - 1] ?? "", /[sS]ender|sweeper|Mailbox\.make/, at)
      }
      assert.strictEqual((yield* service.stop()).code, 0)
    }).pipe(Effect.scoped), 60_000)
})
