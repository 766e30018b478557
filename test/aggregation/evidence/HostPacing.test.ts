import { assert, describe, it } from "@effect/vitest"
import { HostPacing } from "../../../src/aggregation/evidence/HostPacing.ts"

describe("turns at a host", () => {
  it("are as far apart as its own quota has them, or that of all hosts", () => {
    const pacing = new HostPacing((host) => host === "slow.example" ? 8 : 30)
    const turns = (host: string) => [0, 0, 0].map((now) => pacing.turn(host, now, 1000))
    assert.deepStrictEqual(turns("slow.example"), [1000, 8500, 16_000])
    assert.deepStrictEqual(turns("other.example"), [1000, 3000, 5000])
  })
})
