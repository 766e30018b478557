/** The walk of `docs/debugging-shutdown.md`, and the certificate that outlives its process. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Certificate } from "../../src/lifecycle/Certificate.ts"
import type { Report } from "../../src/lifecycle/Report.ts"
import * as Service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"

const console = ({ http }: { readonly http: string }) =>
  Effect.promise(() => fetch(`${http}/console`).then((response) => response.json()).then((report) => report as Report))

/** Looks until it has seen what it looks for; the test's own time is the bound. */
const until = (address: { readonly http: string }, isSeen: (report: Report) => boolean) =>
  Effect.repeat(Effect.delay(console(address), 20), { until: isSeen })

const isConnection = ({ label }: { readonly label: string }) => label.startsWith("websocket/connection")

const leaky = join(import.meta.dirname, "leakySender.ts")

describe("the walk through a leak", () => {
  it.live(
    "finds the sender that was leaked, in the running service, in less than a minute",
    () =>
      Effect.gen(function*() {
        const began = performance.now()
        const service = yield* Service.start({ execArgv: ["--import", leaky] })
        const address = yield* service.listening
        yield* Effect.scoped(Effect.gen(function*() {
          const client = yield* TestClient.connect(address.url)
          yield* client.req("a", { limit: 0 })
        }))
        // The client is gone; what it held is not, long after it would be otherwise (see below).
        const { senders } = yield* until(address, (report) => (report.senders.find(isConnection)?.heldMs ?? 0) > 1500)
        const held = senders.filter(isConnection)
        assert.lengthOf(held, 1)
        assert.match(held[0]?.site.join(" ← ") ?? "", /Admission\.sender @ Connection\.ts:\d+/)
        const { certificate, code } = yield* service.stop()
        assert.deepStrictEqual([code, certificate?.proofs.zeroSenders], [70, false])
        assert.deepStrictEqual(certificate?.senders.map(({ label, site }) => [label, site]), [[
          held[0]?.label,
          held[0]?.site
        ]])
        assert.isBelow(performance.now() - began, 60_000)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("finds nothing where nothing was leaked", () =>
    Effect.gen(function*() {
      const service = yield* Service.start()
      const address = yield* service.listening
      yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* TestClient.connect(address.url)
        yield* client.req("a", { limit: 0 })
      }))
      yield* until(address, ({ senders }) => !senders.some(isConnection))
      assert.strictEqual((yield* service.stop()).code, 0)
    }).pipe(Effect.scoped), 60_000)

  it("is the one that the page tells", () => {
    const page = readFileSync(join(import.meta.dirname, "../../docs/debugging-shutdown.md"), "utf8")
    assert.include(page, "--import ./test/lifecycle/leakySender.ts src/entry.js")
    assert.isTrue(existsSync(leaky))
    assert.include(page, "Admission.sender @ Connection.ts:")
  })
})

/** One life in that folder; what it shows of the one before. */
const lived = (folder: string, end: "SIGTERM" | "SIGKILL") =>
  Effect.gen(function*() {
    const service = yield* Service.start({ folder })
    const address = yield* service.listening
    const { lastCertificate } = yield* until(address, ({ state }) => state === "ready")
    yield* service.stop(end)
    return lastCertificate as { readonly stopped: Certificate } | null
  }).pipe(Effect.scoped)

describe("the last certificate", () => {
  it.live("is shown by the process that comes next, and by no later one", () =>
    Effect.gen(function*() {
      const folder = yield* Service.folder
      assert.isNull(yield* lived(folder, "SIGTERM"), "the first")
      const last = yield* lived(folder, "SIGKILL")
      assert.deepStrictEqual([last?.stopped.code, last?.stopped.cause], [0, "SIGTERM"])
      assert.isNull(yield* lived(folder, "SIGTERM"), "after a kill")
    }).pipe(Effect.scoped), 60_000)
})
