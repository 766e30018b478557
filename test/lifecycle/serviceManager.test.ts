/** What systemd is told, over a real datagram socket. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import koffi from "koffi"
import { join } from "node:path"
import { folder } from "../support/service.ts"
import * as Service from "../support/service.ts"

/** A Unix socket of datagrams, bound to the address; gives what has come since it was asked last. */
const bound = (name: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const library = koffi.load(null)
      const socket = library.func("socket", "int", ["int", "int", "int"])
      const bind = library.func("bind", "int", ["int", "void *", "uint"])
      const recv = library.func("recv", "long", ["int", "_Out_ uint8_t *", "size_t", "int"])
      const path = Buffer.from(name)
      const address = Buffer.alloc(2 + path.length)
      address.writeUInt16LE(1)
      path.copy(address, 2)
      const file = socket(1, 2 | 0o2_000_000, 0) as number
      assert.strictEqual(bind(file, address, address.length), 0)
      const all: Array<string> = []
      const take = (): ReadonlyArray<string> => {
        const buffer = Buffer.alloc(4096)
        for (;;) {
          const length = Number(recv(file, buffer, buffer.length, 0x40))
          if (length <= 0) return all
          all.push(buffer.toString("utf8", 0, length))
        }
      }
      return { take, close: () => void library.func("close", "int", ["int"])(file) }
    }),
    ({ close }) => Effect.sync(close)
  )

const until = Effect.fnUntraced(function*(take: () => ReadonlyArray<string>, what: string) {
  for (const end = performance.now() + 10_000; performance.now() < end;) {
    if (take().some((message) => message.includes(what))) return
    yield* Effect.sleep("20 millis")
  }
  assert.fail(`${what} has not come: ${JSON.stringify(take())}`)
})

describe.skipIf(process.platform !== "linux")("the service manager", () => {
  for (const kind of ["a path", "an abstract address"] as const) {
    it.live(`hears of a start, of life and of a stop at ${kind}`, () =>
      Effect.gen(function*() {
        const home = yield* folder
        const path = kind === "a path" ? join(home, "notify") : `@${home}`
        const { take } = yield* bound(path.replace("@", "\0"))
        const service = yield* Service.start({
          env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "200000" }
        })
        yield* service.listening
        yield* until(take, "READY=1")
        yield* Effect.sleep("600 millis")
        assert.isAtLeast(take().filter((message) => message === "WATCHDOG=1").length, 4)
        const { certificate, code } = yield* service.stop()
        assert.strictEqual(code, 0)
        assert.isTrue(Object.values(certificate?.proofs ?? { none: false }).every(Boolean))
        const states = take().filter((message) => message !== "WATCHDOG=1").map((message) => message.split("\n")[0])
        assert.deepStrictEqual(states.map((line) => line?.split(":")[0]), [
          "STATUS=starting",
          "READY=1",
          "STOPPING=1",
          "STATUS=releasing",
          "STATUS=released"
        ])
      }).pipe(Effect.scoped), 30_000)
  }

  it.live("hears no sign of life that is asked of somebody else", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const path = join(home, "notify")
      const { take } = yield* bound(path)
      const service = yield* Service.start({ env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "100000", WATCHDOG_PID: "1" } })
      yield* service.listening
      yield* until(take, "READY=1")
      yield* Effect.sleep("300 millis")
      assert.notInclude(take(), "WATCHDOG=1")
      yield* service.stop()
    }).pipe(Effect.scoped), 30_000)

  it.live("that is not there, or whose address cannot be one, holds nobody up", () =>
    Effect.gen(function*() {
      for (const path of ["/nowhere/notify", `/${"x".repeat(200)}`]) {
        const service = yield* Service.start({ env: { NOTIFY_SOCKET: path } })
        yield* service.listening
        assert.strictEqual((yield* service.stop()).code, 0)
      }
    }).pipe(Effect.scoped), 30_000)
})
