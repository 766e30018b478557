/**
 * What an innocent client at another address notices of a flood, and what it takes in memory: the first seconds included, in
 * which the attackers spend what they may at once.
 *
 * Attackers are a process of their own on the same machine, so their work counts against the service as well.
 */
import { NodeWS } from "@effect/platform-node"
import { Effect, type Scope } from "effect"
import { fork } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type Event } from "../../src/domain/Event.ts"
import * as child from "../support/child.ts"
import { signed } from "../support/events.ts"
import * as Service from "../support/service.ts"
import { type Attack, type AttackName, attacks, rows } from "./Attacks.ts"

/** Milliseconds that something took, and when it was asked for after the attack began. */
interface Answer {
  readonly at: number
  readonly took: number
}

export interface Outcome {
  readonly name: AttackName
  /** Of lookups by id: milliseconds, the longest of the first two seconds apart. */
  readonly reads: { readonly p50: number; readonly p99: number; readonly burst: number; readonly count: number }
  /** Of EVENTs until their OK. */
  readonly writes: { readonly p50: number; readonly p99: number; readonly count: number }
  /** Resident MB before, at most during, and a while after. */
  readonly memory: { readonly before: number; readonly during: number; readonly after: number }
  readonly violations: ReadonlyArray<string>
}

/** What is promised to the innocent client, in milliseconds. */
export const bounds = { p50: 50, p99: 250 }

/** Memory after an attack, of what it was before. */
const memoryFactor = 1.5

const burstMillis = 2000

/** Milliseconds without an answer after which it never comes. */
const patience = 20_000

const entry = join(import.meta.dirname, "../../src/entry.js")

const residentOf = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024)

const quantile = (answers: ReadonlyArray<Answer>, part: number): number =>
  Math.round(answers.map(({ took }) => took).toSorted((a, b) => a - b)[Math.floor(answers.length * part)] ?? Infinity)

/** A client that says one thing after the other, and takes the time. */
class Innocent {
  readonly #socket: NodeWS.WebSocket
  readonly #waiting = new Map<string, (isAnswered: boolean) => void>()

  constructor(socket: NodeWS.WebSocket) {
    this.#socket = socket
    socket.on("message", (data) => {
      const [type, id] = JSON.parse((data as Buffer).toString()) as [string, string]
      if (type === "OK" || type === "EOSE" || type === "CLOSED") this.#settle(id, true)
    })
    socket.on("close", () => {
      for (const id of this.#waiting.keys()) this.#settle(id, false)
    })
  }

  #settle(id: string, isAnswered: boolean): void {
    this.#waiting.get(id)?.(isAnswered)
    this.#waiting.delete(id)
  }

  /** Milliseconds until the answer by that name; what is never answered takes for ever. */
  async #ask(id: string, message: ReadonlyArray<unknown>): Promise<number> {
    const since = performance.now()
    const answered = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => this.#settle(id, false), patience)
      this.#waiting.set(id, (isAnswered) => {
        clearTimeout(timer)
        resolve(isAnswered)
      })
      this.#socket.send(JSON.stringify(message))
    })
    return answered ? performance.now() - since : Infinity
  }

  async read(id: string): Promise<number> {
    const took = await this.#ask("read", ["REQ", "read", { ids: [id] }])
    this.#socket.send(`["CLOSE","read"]`)
    return took
  }

  publish(event: Event): Promise<number> {
    return this.#ask(event.id, ["EVENT", event])
  }
}

const innocent = (url: string, localAddress: string): Effect.Effect<Innocent, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<NodeWS.WebSocket, Error>((resume) => {
      const socket = new NodeWS.WebSocket(url, { perMessageDeflate: false, localAddress })
      socket.on("error", (error) => resume(Effect.fail(error)))
      socket.on("open", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.terminate())
  ).pipe(Effect.map((socket) => new Innocent(socket)))

/** The attackers, connected; the effect has them begin. They are gone with the scope. */
const attackers = (name: AttackName, port: number): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof fork>>((resume) => {
      const process = fork(join(import.meta.dirname, "attacker.ts"), [name, String(port)], { execArgv: [] })
      process.once("message", () => resume(Effect.succeed(process)))
    }),
    (process) =>
      Effect.callback<void>((resume) => {
        if (process.exitCode !== null) return resume(Effect.void)
        process.once("exit", () => resume(Effect.void))
        process.kill("SIGKILL")
      })
  ).pipe(Effect.map((process) => Effect.sync(() => void process.send("begin"))))

const imported = Effect.fnUntraced(function*(folder: string, count: number) {
  const importer = yield* child.start(entry, ["import", "--no-verify"], {
    cwd: folder,
    stdin: "open",
    env: { DATABASE_PATH: join(folder, "profiles.db"), LOG_LEVEL: "Warn" }
  })
  yield* importer.write(`${rows(count)}\n`)
  yield* importer.endStdin
  yield* importer.ended
})

const note = (n: number): Event =>
  signed({ content: `innocent ${n}`, created_at: Math.floor(Date.now() / 1000) }, "innocent")

/** Reads and writes of an innocent client for so long, and the most memory that the service had meanwhile. */
const measured = Effect.fnUntraced(function*(client: Innocent, service: Service.Service, seed: Event, millis: number) {
  const reads: Array<Answer> = []
  const writes: Array<Answer> = []
  let during = 0
  const since = performance.now()
  const at = () => performance.now() - since
  const repeat = (pause: number, one: (n: number) => Promise<number>, into: Array<Answer>) =>
    Effect.promise(async () => {
      for (let n = 0; at() < millis; n++) {
        const began = at()
        into.push({ at: began, took: await one(n) })
        during = Math.max(during, residentOf(service.pid))
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    })
  yield* Effect.all([
    repeat(10, () => client.read(seed.id), reads),
    repeat(50, (n) => client.publish(note(n)), writes)
  ], { concurrency: 2 })
  return { reads, writes, during }
})

export interface Options {
  /** Seconds of the attack. */
  readonly seconds: number
  /** Seconds after it, until memory is looked at again. */
  readonly after: number
  /** Over the defaults, in milliseconds. */
  readonly bounds?: typeof bounds
}

/** One attack on a service of its own. */
export const flood = Effect.fnUntraced(function*(name: AttackName, options: Options) {
  const { after, bounds: bound = bounds, seconds } = options
  const attack: Attack = attacks[name]
  const folder = yield* Service.folder
  if (attack.rows !== undefined) yield* imported(folder, attack.rows)
  const service = yield* Service.start({ folder, env: { ADMISSION: "open", LOG_LEVEL: "Info" } })
  const { port, url } = yield* service.listening
  const client = yield* innocent(url, "127.0.0.2")
  const seed = signed({ content: "asked for", created_at: Math.floor(Date.now() / 1000) })
  yield* Effect.promise(() => client.publish(seed))
  yield* measured(client, service, seed, 1000)
  const before = residentOf(service.pid)
  const found = yield* Effect.gen(function*() {
    const begin = yield* attackers(name, port)
    yield* begin
    return yield* measured(client, service, seed, seconds * 1000)
  }).pipe(Effect.scoped)
  yield* Effect.sleep(after * 1000)
  const memory = { before, during: found.during, after: residentOf(service.pid) }
  const ended = yield* service.stop()

  const reads = {
    p50: quantile(found.reads, 0.5),
    p99: quantile(found.reads, 0.99),
    burst: Math.round(Math.max(...found.reads.filter(({ at }) => at < burstMillis).map(({ took }) => took))),
    count: found.reads.length
  }
  const writes = { p50: quantile(found.writes, 0.5), p99: quantile(found.writes, 0.99), count: found.writes.length }
  const violations: Array<string> = []
  if (!(reads.p50 < bound.p50 && reads.p99 < bound.p99)) {
    violations.push(`${name}: an innocent client waits ${reads.p50} ms, and ${reads.p99} ms at the 99th percentile`)
  }
  if (after > 0 && attack.isDeaf === true && memory.after > memory.before * memoryFactor) {
    violations.push(`${name}: ${memory.after} MB are left of ${memory.during}, of ${memory.before} before`)
  }
  if (ended.code !== 0) violations.push(`${name}: the stop ends with ${ended.code}`)
  return {
    name,
    reads,
    writes,
    memory,

    violations
  } satisfies Outcome
}, Effect.scoped)

/** The table of `docs/reliability.md`. */
export const tableOf = (outcomes: ReadonlyArray<Outcome>): string =>
  [
    "| Attack | Connections | A lookup: p50, p99, longest of the first 2 s (ms) | An EVENT: p50, p99 (ms) | Memory before, during, after (MB) |",
    "|---|---|---|---|---|",
    ...outcomes.map(({ memory, name, reads, writes }) => {
      const { connections, says } = attacks[name]
      return `| ${says} | ${connections} | ${reads.p50}, ${reads.p99}, ${reads.burst} | ${writes.p50}, ${writes.p99} | ` +
        `${memory.before}, ${memory.during}, ${memory.after} |`
    })
  ].join("\n")
