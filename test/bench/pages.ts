/**
 * What pages and the API cost, against the bounds of `docs/performance.md`.
 *
 *     npm run bench:pages -- [--profiles 100000] [--big 1000000] [--rounds 5] [--only memory,store,batch,first,streams,suggest,random]
 *
 * CPU is the service's, as the kernel counts it, of the main thread unless said; each figure is the best of its rounds, and what
 * is compared runs in turns. Answers are asked for as they are, uncompressed, but where it says otherwise.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { Agent, type IncomingMessage, request } from "node:http"
import { parseArgs } from "node:util"
import { brotliDecompressSync } from "node:zlib"
import { WebSocket } from "ws"
import { npubOf } from "../../src/domain/PublicKey.ts"
import { explorePage } from "../../src/pages/ExplorePage.ts"
import type { Person } from "../../src/pages/Person.ts"
import { profilePage } from "../../src/pages/ProfilePage.ts"
import { statsPage } from "../../src/pages/StatsPage.ts"
import { personWith, siteOf } from "../pages/samples.ts"
import type { Turns } from "../support/loopProbe.ts"
import { addEvents, madeEvent } from "../support/madeStore.ts"
import * as Service from "../support/service.ts"
import { probed } from "../support/turns.ts"
import * as People from "./People.ts"
import { cpuTime, residentBytes } from "./ProcessMeter.ts"

const stages = ["memory", "store", "batch", "first", "streams", "suggest", "random"] as const

const { values: flags } = parseArgs({
  options: {
    profiles: { type: "string", default: "100000" },
    big: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: stages.join(",") }
  }
})
const rounds = Number(flags.rounds)
const isWanted = (stage: typeof stages[number]) => flags.only.split(",").includes(stage)

const say = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))

/** One row of the table: what is measured, the bound, the figure, in one unit. */
const row = (name: string, bound: number | undefined, figure: number, unit: string) =>
  say(
    `| ${name} | ${bound === undefined ? "" : `≤ ${bound}${unit}`} | ${figure.toFixed(2)}${unit} | ${
      bound === undefined ? "" : figure <= bound ? "yes" : "**no**"
    } |`
  )

const agent = new Agent({ keepAlive: true, maxSockets: 4 })

interface Asked {
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Bytes of the answer's body, as they came. */
const ask = (http: string, { body, headers = {}, path }: Asked) =>
  new Promise<{ readonly status: number; readonly body: Buffer }>((resolve, reject) => {
    const asked = request(
      `${http}${path}`,
      { agent, headers, method: body === undefined ? "GET" : "POST" },
      (answer) => {
        const chunks: Array<Buffer> = []
        answer.on("data", (chunk: Buffer) => chunks.push(chunk))
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) }))
      }
    )
    asked.on("error", reject)
    asked.end(body)
  })

/** Asks one after the other on four connections. */
const askAll = async (http: string, asked: (i: number) => Asked, count: number) => {
  let next = 0
  await Promise.all(Array.from({ length: 4 }, async () => {
    while (next < count) {
      const { status } = await ask(http, asked(next++))
      if (status >= 400) throw new Error(`answered ${status} to ${asked(next - 1).path}`)
    }
  }))
}

interface Cost {
  /** Microseconds of an operation. */
  readonly main: number
  readonly process: number
}

/** In turns, the best of the rounds; the first round warms up. */
const costs = Effect.fnUntraced(
  function*<K extends string>(pid: number, count: number, works: Readonly<Record<K, () => Promise<void>>>) {
    const best = new Map<string, Cost>()
    for (let round = -1; round < rounds; round++) {
      for (const [name, work] of Object.entries<() => Promise<void>>(works)) {
        const before = cpuTime(pid)
        yield* Effect.promise(work)
        const after = cpuTime(pid)
        const { main, process } = best.get(name) ?? { main: Infinity, process: Infinity }
        if (round < 0) continue
        best.set(name, {
          main: Math.min(main, (after.main - before.main) / count),
          process: Math.min(process, (after.process - before.process) / count)
        })
      }
    }
    return Object.fromEntries(best) as Record<K, Cost>
  }
)

const env = {
  ADMISSION: "open",
  LOG_LEVEL: "Info",
  RATE_PER_ADDRESS: "0",
  MAX_CONNECTIONS_PER_ADDRESS: "5000",
  MAX_LIVE_READERS: "2000",
  MAX_LIVE_READERS_PER_ADDRESS: "2000"
}

/** A service on a file with so many events: profiles, and notes for the rest. */
const serviceWith = Effect.fnUntraced(function*(events: number, isProfile: (i: number) => boolean, probe = false) {
  const folder = yield* Service.folder
  const path = `${folder}/profiles.db`
  for (let i = 0; i < events; i += 20_000) {
    yield* addEvents(
      path,
      Array.from({ length: Math.min(20_000, events - i) }, (_, j) => {
        const n = i + j
        return isProfile(n) ? People.profile(n) : madeEvent(n * 10 + 1)
      })
    )
  }
  const service = yield* Service.start({ folder, env, ...(probe ? probed : {}) })
  const { http, url } = yield* service.listening
  // What is left to do after a start is done before anything is measured.
  let before = -1
  for (let used = cpuTime(service.pid).process; used - before > 100_000; used = cpuTime(service.pid).process) {
    before = used
    yield* Effect.sleep("2 seconds")
  }
  return { ...service, http, url }
})

type Running = Effect.Success<ReturnType<typeof serviceWith>>

const pubkeyOf = (n: number): string => (JSON.parse(People.profile(n)) as { readonly pubkey: string }).pubkey

const factsInMemory = Effect.fnUntraced(function*({ http, pid }: Running) {
  const count = 1000
  const works = Object.fromEntries(
    ["/robots.txt", "/live", "/relays", "/policy", "/api", "/api/relays", "/api/openapi.json", `/img/${pubkeyOf(1)}`]
      .map(
        (path) => [path, () => askAll(http, () => ({ path }), count)]
      )
  )
  const measured = yield* costs(pid, count, works)
  const bare = measured["/robots.txt"] as Cost
  yield* say(`a bare route: ${bare.main.toFixed(0)} µs`)
  for (const [path, { main }] of Object.entries(measured)) {
    if (path !== "/robots.txt") yield* row(`${path.slice(0, 20)}, CPU to a bare route's`, 1.6, main / bare.main, " ×")
  }
})

/** Microseconds of this process's CPU, the best of the rounds. */
const renderingOf = (render: () => unknown): number => {
  let best = Infinity
  for (let round = 0; round < rounds + 2; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < 200; i++) render()
    const { system, user } = process.cpuUsage(before)
    best = Math.min(best, (system + user) / 200)
  }
  return best
}

const split = Effect.fnUntraced(function*({ http, pid }: Running) {
  const count = 300
  const asked: Readonly<Record<string, (i: number) => string>> = {
    profile: (i) => `/p/${npubOf(pubkeyOf(i))}`,
    explore: (i) => `/explore?q=${People.names(i % 200)}`,
    stats: () => "/stats"
  }
  const works = Object.fromEntries(
    Object.entries(asked).flatMap(([name, pathOf]) =>
      ["identity", "br"].map((encoding) =>
        [
          `${name} ${encoding}`,
          () => askAll(http, (i) => ({ path: pathOf(i), headers: { "accept-encoding": encoding } }), count)
        ] as const
      )
    )
  )
  const measured = yield* costs(pid, count, {
    bare: () => askAll(http, () => ({ path: "/robots.txt" }), count),
    ...works
  })
  const bare = measured.bare.process
  const people = Array.from({ length: 24 }, () => personWith("A bio of about the usual length, one line of it."))
  const renderings = renderers(people)
  for (const name of Object.keys(asked)) {
    const plain = (measured as Record<string, Cost>)[`${name} identity`]?.process ?? NaN
    const encoded = (measured as Record<string, Cost>)[`${name} br`]?.process ?? NaN
    const rendering = renderingOf(renderings[name] as () => unknown)
    yield* say(
      `| /${name}, whole process | | ${plain.toFixed(0)} µs: answering ${bare.toFixed(0)}, rendering ${
        rendering.toFixed(0)
      }, store and facts ${(plain - bare - rendering).toFixed(0)}; compression ${(encoded - plain).toFixed(0)} more | |`
    )
  }
})

/** Each page alone, over facts like those of the samples. */
const renderers = (people: ReadonlyArray<Person>): Readonly<Record<string, () => unknown>> => {
  const site = siteOf("Faces")
  const now = 1_790_000_000
  const [person] = people as readonly [Person, ...ReadonlyArray<Person>]
  const records = Array.from({ length: 90 }, (_, i) => ({
    day: new Date((now - (90 - i) * 86_400) * 1000).toISOString().slice(0, 10),
    profiles: 33_000 + i,
    events: 100_000 + i,
    accepted: 310,
    rejected: 900,
    connections: 40
  }))
  const rules = ["created_at", "name", "about", "picture", "posts", "nip05"].map((rule) => ({
    rule,
    status: "ok" as const,
    fact: "met",
    reason: undefined
  }))
  return {
    explore: () => explorePage(site, { query: "ada", people, total: 61_204, next: "24", now }),
    profile: () =>
      profilePage(site, {
        person,
        rules,
        picture: undefined,
        relays: [],
        sameName: people.slice(0, 5),
        samePicture: [],
        event: JSON.parse(People.profile(1)),
        now
      }),
    stats: () => statsPage(site, { days: 90, records })
  }
}

/** The same 500 authors by both ways. */
const batch = Effect.fnUntraced(function*({ http, pid, url }: Running) {
  const authors = Array.from({ length: 500 }, (_, i) => pubkeyOf(i * 7))
  const count = 40
  const socket = yield* Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<WebSocket>((resolve, reject) => {
        const socket = new WebSocket(url, { perMessageDeflate: false })
        socket.on("open", () => resolve(socket))
        socket.on("error", reject)
      })
    ),
    (socket) => Effect.sync(() => socket.terminate())
  )
  const subscribed = (id: string) =>
    new Promise<void>((resolve) => {
      const take = (data: Buffer) => {
        if (!data.toString("latin1").startsWith("[\"EOSE\"")) return
        socket.off("message", take)
        socket.send(JSON.stringify(["CLOSE", id]))
        resolve()
      }
      socket.on("message", take)
      socket.send(JSON.stringify(["REQ", id, { kinds: [0], authors, limit: 500 }]))
    })
  const body = JSON.stringify({ pubkeys: authors })
  const measured = yield* costs(pid, count, {
    REQ: async () => {
      for (let i = 0; i < count; i++) await subscribed(`r${i}`)
    },
    POST: async () => {
      for (let i = 0; i < count; i++) {
        await ask(http, { path: "/api/profiles", headers: { "content-type": "application/json" }, body })
      }
    }
  })
  yield* say(`REQ ${measured.REQ.process.toFixed(0)} µs, POST ${measured.POST.process.toFixed(0)} µs`)
  yield* row(
    "500 profiles by POST, CPU of the process to a REQ's",
    1.3,
    measured.POST.process / measured.REQ.process,
    " ×"
  )
})

const firstLoad = Effect.fnUntraced(function*({ http }: Running) {
  const headers = { accept: "text/html", "accept-encoding": "br" }
  const home = yield* Effect.promise(() => ask(http, { path: "/", headers }))
  const html = brotliDecompressSync(home.body).toString()
  const parts = [...new Set([...html.matchAll(/(?:href|src)="(\/-\/[^"]+)"/gu)].map(([, path]) => path as string))]
  let bytes = home.body.length
  for (const path of parts) bytes += (yield* Effect.promise(() => ask(http, { path, headers }))).body.length
  yield* row(`first load: / and ${parts.length} files, compressed`, 25, bytes / 1000, " kB")
})

const streams = Effect.fnUntraced(function*({ errorLine, http, pid, write }: Running) {
  const own = new Agent({ keepAlive: true, maxSockets: Infinity })
  let frames = 0
  const opened = Array<IncomingMessage>()
  yield* Effect.addFinalizer(() => Effect.sync(() => own.destroy()))
  const open = () =>
    Effect.promise(() =>
      new Promise<void>((resolve, reject) => {
        const asked = request(`${http}/api/live`, { agent: own }, (answer) => {
          answer.on("data", () => void frames++)
          if (answer.statusCode === 200) {
            opened.push(answer)
            resolve()
          } else reject(new Error(`a stream was answered ${answer.statusCode}`))
        })
        asked.on("error", () => {})
        asked.end()
      })
    )
  for (let i = 0; i < 20; i++) yield* open()
  yield* Effect.sleep("5 seconds")
  const before = residentBytes(pid).anonymous
  for (let i = 0; i < 1000; i += 50) yield* Effect.all(Array.from({ length: 50 }, open), { concurrency: 50 })
  yield* Effect.sleep("10 seconds")
  yield* write("begin\n")
  const framesBefore = frames
  yield* Effect.sleep("20 seconds")
  yield* write("end 1\n")
  const { turns } = JSON.parse(yield* errorLine("\"number\":1}")) as { readonly turns: Turns }
  yield* say(`${opened.length} streams, ${((frames - framesBefore) / 20).toFixed(0)} frames a second`)
  yield* row("1,000 readers of the stream, memory", 20, (residentBytes(pid).anonymous - before) / 1e6, " MB")
  yield* row("the same, longest turn of the event loop in 20 s, CPU", 20, turns.longest[0], " ms")
})

const suggestions = Effect.fnUntraced(function*({ http }: Running) {
  const millis: Array<number> = []
  for (let i = 0; i < 1200; i++) {
    const name = People.names(i % 400)
    const path = `/api/search?q=${encodeURIComponent(name.slice(0, 1 + i % 4))}&limit=8`
    const began = performance.now()
    yield* Effect.promise(() => ask(http, { path }))
    if (i >= 200) millis.push(performance.now() - began)
  }
  const sorted = millis.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] as number
  yield* row(`suggestions among ${flags.big}, with the way there and back: p50`, undefined, at(0.5), " ms")
  yield* row("the same, p99", 10, at(0.99), " ms")
})

const randoms = Effect.fnUntraced(function*({ http, pid }: Running, density: number, bound: number) {
  const count = 400
  const measured = yield* costs(pid, count, {
    bare: () => askAll(http, () => ({ path: "/robots.txt" }), count),
    random: () => askAll(http, () => ({ path: "/random?count=12" }), count)
  })
  yield* say(`a bare route: ${measured.bare.process.toFixed(0)} µs`)
  yield* row(
    `/random?count=12 among ${flags.big}, ${density} % profiles, CPU of the process`,
    bound,
    measured.random.process / 1000,
    " ms"
  )
})

const main = Effect.gen(function*() {
  yield* say("| what | bound | measured | reached |\n|---|---|---|---|")
  if ((["memory", "store", "batch", "first", "streams"] as const).some(isWanted)) {
    yield* Effect.scoped(Effect.gen(function*() {
      const running = yield* serviceWith(Number(flags.profiles), () => true, isWanted("streams"))
      if (isWanted("memory")) yield* factsInMemory(running)
      if (isWanted("store")) yield* split(running)
      if (isWanted("batch")) yield* batch(running)
      if (isWanted("first")) yield* firstLoad(running)
      if (isWanted("streams")) yield* streams(running)
    }))
  }
  if (isWanted("suggest") || isWanted("random")) {
    yield* Effect.scoped(Effect.gen(function*() {
      const running = yield* serviceWith(Number(flags.big), (i) => i % 5 !== 0)
      if (isWanted("suggest")) yield* suggestions(running)
      if (isWanted("random")) yield* randoms(running, 80, 0.5)
    }))
  }
  if (isWanted("random")) {
    yield* Effect.scoped(Effect.gen(function*() {
      yield* randoms(yield* serviceWith(Number(flags.big), (i) => i % 20 === 0), 5, 1.5)
    }))
  }
})

NodeRuntime.runMain(Effect.ensuring(Effect.scoped(main), Effect.sync(() => agent.destroy())))
