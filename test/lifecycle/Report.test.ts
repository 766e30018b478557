import { assert, describe, it } from "@effect/vitest"
import { Journal } from "../../src/lifecycle/Journal.ts"
import { ownerOf, report } from "../../src/lifecycle/Report.ts"

const start = Date.UTC(2026, 0, 1)

/** A second and a half after the start. */
const journalled = () => new Journal({ now: () => 1500.4, wallTime: () => start + 1500, emit: () => {} })

describe("report", () => {
  it("says where things stand: components, mailboxes, senders, fibers, counts, and how the last process ended", () => {
    const journal = journalled()
    journal.acquired.push("database", "websocket")
    journal.released.push("websocket")
    const holder = {
      mailbox: "database",
      label: "aggregation/one",
      since: start + 500,
      site: ["a @ b.ts:1"],
      inFlight: 2
    }
    journal.mailboxes.add({ name: "database", capacity: 8, depth: () => 3, holders: () => [holder] })
    journal.fibers.add({ name: "database sweep", since: start + 1400 })
    // Clocks can be set back.
    journal.fibers.add({ name: "crypto/job", since: start + 9000 })
    journal.counters.committed = 4
    journal.stop({ name: "SIGTERM", code: 0 })
    journal.causes.push({ name: "component failed", detail: "no such disk", code: 1 })
    journal.forced.push("drain")
    journal.lastCertificate = { stopped: { code: 0 } }
    assert.deepStrictEqual(report(journal), {
      state: "draining",
      at: "2026-01-01T00:00:01.500Z",
      uptimeMs: 1500,
      causes: ["SIGTERM", "component failed: no such disk"],
      components: [{ name: "database", state: "open" }, { name: "websocket", state: "released" }],
      mailboxes: [{ name: "database", depth: 3, capacity: 8 }],
      senders: [{
        mailbox: "database",
        label: "aggregation/one",
        since: "2026-01-01T00:00:00.500Z",
        heldMs: 1000,
        inFlight: 2,
        site: ["a @ b.ts:1"]
      }],
      fibers: [
        { owner: "database", name: "database sweep", ageMs: 100 },
        { owner: "crypto", name: "crypto/job", ageMs: 0 }
      ],
      counters: { ...journal.counters, committed: 4 },
      forced: ["drain"],
      lastCertificate: { stopped: { code: 0 } }
    })
  })

  it("does not change when the journal does", () => {
    const journal = journalled()
    journal.count("committed")
    const before = report(journal)
    journal.counters.committed = 1
    journal.forced.push("drain")
    assert.deepStrictEqual([before.counters.committed, before.forced, before.lastCertificate], [0, [], null])
  })

  it("knows the owner of a fiber or sender by the first word of its name", () => {
    const names = ["database", "database sweep", "websocket/connection 17", ""]
    assert.deepStrictEqual(names.map(ownerOf), ["database", "database", "websocket", ""])
  })
})
