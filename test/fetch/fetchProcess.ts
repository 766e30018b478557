/**
 * Fetches URLs in a process of its own, whose network and environment the test has arranged. Argument: a `Plan` as JSON;
 * output: one `Report` per line.
 */
import { Effect, Layer, Stream } from "effect"
import { Socket } from "effect/socket"
import { readFileSync } from "node:fs"
import type { Network } from "../../src/config/Notation.ts"
import { GuardedFetch } from "../../src/fetch/GuardedFetch.ts"
import * as GuardedWebSocket from "../../src/fetch/GuardedWebSocket.ts"
import * as FakeDns from "../support/FakeDns.ts"
import * as Guarded from "../support/guarded.ts"
import * as HostileHost from "../support/HostileHost.ts"

export interface Plan {
  readonly urls: ReadonlyArray<string>
  readonly allow: ReadonlyArray<Network>
  /** Names and their addresses. */
  readonly names: Readonly<Record<string, ReadonlyArray<string>>>
  /** Listens on every address at port 80, and answers paths with redirects to these targets, and others with "trapped". */
  readonly redirects?: Readonly<Record<string, string>>
}

export interface Report {
  readonly url: string
  readonly outcome: string
  /** Packets on the loopback interface, and connections that the trap took, from before the fetch to after it. */
  readonly packets: number
  readonly connections: number
}

/** Packets that left through the loopback interface so far; 0 where the system does not say. */
const packets = (): number => {
  const line = /^\s*lo:(.*)$/m.exec(readFileSync("/proc/net/dev", "utf8"))?.[1] ?? ""
  return Number(line.trim().split(/\s+/)[9] ?? 0)
}

const read = (url: string) =>
  Effect.gen(function*() {
    const fetch = yield* GuardedFetch
    const response = yield* fetch.get({ url, accept: "*/*", caps: { encoded: 1000, decoded: 1000 }, whole: true })
    return Buffer.concat(yield* Stream.runCollect(response.body)).toString()
  }).pipe(
    Effect.catch(({ detail, reason }) => Effect.succeed(`${reason}: ${detail}`)),
    Effect.scoped
  )

/** A socket never opens here; what counts is how far it came. */
const dial = (url: string) =>
  Effect.gen(function*() {
    const socket = yield* Socket.makeWebSocket(url)
    yield* socket.reader
    return "opened"
  }).pipe(
    Effect.catch(({ reason }) => Effect.succeed(reason._tag === "SocketOpenError" ? "not opened" : reason._tag)),
    Effect.scoped
  )

const run = Effect.fnUntraced(function*({ allow, names, redirects, urls }: Plan) {
  const dns = FakeDns.make()
  for (const [name, addresses] of Object.entries(names)) dns.set(name, addresses)
  const services = GuardedWebSocket.layer.pipe(Layer.provideMerge(Guarded.layer({ dns, allow })))
  const trap = redirects === undefined ? undefined : yield* HostileHost.make({ address: "::", port: 80 })
  for (const [path, target] of Object.entries(redirects ?? {})) trap?.script(path, HostileHost.redirect(target))
  trap?.script("/", HostileHost.ok("trapped"))
  yield* Effect.forEach(urls, (url) =>
    Effect.gen(function*() {
      const before = { packets: packets(), connections: trap?.accepted() ?? 0 }
      const outcome = yield* url.startsWith("ws") ? dial(url) : read(url)
      const report: Report = {
        url,
        outcome,
        packets: packets() - before.packets,
        connections: (trap?.accepted() ?? 0) - before.connections
      }
      process.stdout.write(`${JSON.stringify(report)}\n`)
    })).pipe(Effect.provide(services))
}, Effect.scoped)

await Effect.runPromise(run(JSON.parse(process.argv[2] ?? "") as Plan))
