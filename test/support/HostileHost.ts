/**
 * Somebody else's web server, over a real socket on loopback, wrong in every way that has been seen once told to be.
 *
 * A script per path says what its requests get. Everything is written to the socket by hand, so that no HTTP library puts
 * right what is meant to be wrong. What nobody scripted is 404.
 *
 * ```ts
 * const host = yield* HostileHost.make()
 * host.script("/a.png", HostileHost.ok(png(300, 600)))
 * host.script("/b.png", HostileHost.retryAfter(429, "10"), HostileHost.ok(png(300, 600))) // in this order; the last stays
 * host.script("/c.png", { _tag: "Hang" })
 * ```
 *
 * Real sockets: use it under `it.live`.
 */
import { Effect, type Scope } from "effect"
import { createServer, type Socket } from "node:net"
import { createGzip, gzipSync } from "node:zlib"

export type Headers = Readonly<Record<string, string>>

/** What one request gets. */
export type Script =
  /** An honest answer. With `ranges` a `Range` header is honoured, by 206 or 416. */
  | {
    readonly _tag: "Answer"
    readonly status: number
    /** Names and values as they are; `content-length` and `connection: close` are added where missing. */
    readonly headers?: Headers
    readonly body?: Uint8Array
    readonly ranges?: boolean
  }
  /** Reads the request, and says nothing. */
  | { readonly _tag: "Hang" }
  /** Says the headers, and no more: a length was promised. */
  | { readonly _tag: "HangAfterHeaders"; readonly headers?: Headers }
  /** One byte of a whole response, its head included or not, every so many milliseconds. */
  | { readonly _tag: "Drip"; readonly bytes: Uint8Array; readonly millis: number; readonly head: boolean }
  /** A body without end or length, as fast as the socket takes it; `status` defaults to 200. */
  | { readonly _tag: "Endless"; readonly chunk: Uint8Array; readonly headers?: Headers }
  /** `Content-Length` says `declared`, whatever the body's length; then the connection is closed. */
  | { readonly _tag: "LyingLength"; readonly declared: number; readonly body: Uint8Array }
  /** The first `at` bytes of the response, head included, then the connection is closed, by FIN or by RST. */
  | { readonly _tag: "CutAt"; readonly at: number; readonly body: Uint8Array; readonly reset?: boolean }
  /** So many zeros, compressed on the way: 200 MB become 200 kB. `times` compresses the result again. */
  | { readonly _tag: "Bomb"; readonly bytes: number; readonly times?: 1 | 2 }
  /** These bytes and nothing else. `keepOpen` leaves the connection open afterwards. */
  | { readonly _tag: "Raw"; readonly bytes: Uint8Array; readonly keepOpen?: boolean }
  /** Informational answers (103) for ever. */
  | { readonly _tag: "EndlessHints" }
  /** A header of so many bytes. */
  | { readonly _tag: "HugeHeader"; readonly bytes: number }

/** An honest 200. */
export const ok = (body: Uint8Array | string, headers: Headers = {}): Script => ({
  _tag: "Answer",
  status: 200,
  headers: { "content-type": "image/png", ...headers },
  body: typeof body === "string" ? Buffer.from(body) : body
})

/** An honest file, of which parts can be had. */
export const ranged = (body: Uint8Array, headers: Headers = {}): Script => ({
  _tag: "Answer",
  status: 200,
  headers: { "content-type": "image/jpeg", "accept-ranges": "bytes", ...headers },
  body,
  ranges: true
})

export const status = (code: number, headers: Headers = {}): Script => ({ _tag: "Answer", status: code, headers })

/** 429 or 503 with a `Retry-After`: seconds, a date, garbage, ten years. */
export const retryAfter = (code: 429 | 503, value: string): Script => status(code, { "retry-after": value })

/** To anywhere: another path, a private address, `file:`, itself. */
export const redirect = (location: string, code = 302): Script => status(code, { location })

/** The body under so many encodings. More than three are only declared. */
export const encoded = (body: Uint8Array, times: number, name = "gzip"): Script => {
  let bytes = body
  if (times <= 3) { for (let i = 0; i < times; i++) bytes = gzipSync(bytes) }
  return ok(bytes, { "content-encoding": Array.from({ length: times }, () => name).join(", ") })
}

/** One request as it came. */
export interface Request {
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** Lower-case names. */
  readonly headers: Headers
}

export interface HostileHost {
  readonly port: number
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  readonly origin: string
  /** What a path's first, second, … request gets; the last script stays. */
  readonly script: (path: string, ...scripts: ReadonlyArray<Script>) => void
  /** Requests so far, in order; an array that keeps growing. */
  readonly requests: ReadonlyArray<Request>
  /** TCP connections: ever accepted, and open now. */
  readonly accepted: () => number
  readonly open: () => number
  /** Most connections that were open at one time. */
  readonly openMax: () => number
  /** Bytes that sockets took from us. */
  readonly sent: () => number
  /** Waits until the predicate holds; it is asked after everything that happens. Bound it with `Effect.timeout`. */
  readonly until: (predicate: () => boolean) => Effect.Effect<void>
}

export interface Options {
  /** Default `127.0.0.1`. */
  readonly address?: string
  /** 0, the default, takes a free one. */
  readonly port?: number
  /** Said to everybody who connects, before anything was asked. */
  readonly greeting?: Uint8Array
}

const reasons: Readonly<Record<number, string>> = { 200: "OK", 206: "Partial Content", 404: "Not Found" }

const head = (code: number, headers: Headers): Buffer =>
  Buffer.from(
    `HTTP/1.1 ${code} ${reasons[code] ?? "Status"}\r\n` +
      Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("") + "\r\n",
    "latin1"
  )

const honest = (code: number, headers: Headers, body: Uint8Array): Buffer =>
  Buffer.concat([head(code, { "content-length": String(body.length), connection: "close", ...headers }), body])

const rangeOf = (header: string | undefined): readonly [number, number] | undefined => {
  const match = /^bytes=(\d+)-(\d+)$/.exec(header ?? "")
  return match === null ? undefined : [Number(match[1]), Number(match[2])]
}

const answer = (script: Extract<Script, { readonly _tag: "Answer" }>, request: Request): Buffer => {
  const { headers = {}, ranges = false, status: code } = script
  const body = script.body ?? new Uint8Array()
  const range = ranges ? rangeOf(request.headers["range"]) : undefined
  if (range === undefined) return honest(code, headers, body)
  const [first, last] = range
  if (first >= body.length) return honest(416, { ...headers, "content-range": `bytes */${body.length}` }, Buffer.of())
  const part = body.subarray(first, last + 1)
  const contentRange = `bytes ${first}-${first + part.length - 1}/${body.length}`
  return honest(206, { ...headers, "content-range": contentRange }, part)
}

/** Compresses zeros as fast as the socket takes them. */
const bomb = (socket: Socket, bytes: number, times: 1 | 2) => {
  const encodings = times === 2 ? "gzip, gzip" : "gzip"
  socket.write(head(200, { "content-type": "image/png", "content-encoding": encodings, connection: "close" }))
  const first = createGzip()
  const last = times === 2 ? first.pipe(createGzip()) : first
  last.pipe(socket)
  const zeros = Buffer.alloc(1 << 16)
  let left = bytes
  const fill = () => {
    while (left > 0 && !socket.destroyed) {
      left -= zeros.length
      if (!first.write(zeros)) break
    }
    if (left > 0) first.once("drain", fill)
    else first.end()
  }
  fill()
}

const start = async (options: Options): Promise<HostileHost & { readonly stop: () => Promise<void> }> => {
  const scripts = new Map<string, Array<Script>>()
  const requests: Array<Request> = []
  const sockets = new Set<Socket>()
  const watchers = new Set<() => void>()
  const counts = { accepted: 0, openMax: 0, sentByClosed: 0 }
  const look = () => {
    for (const watcher of watchers) watcher()
  }

  /** Calls `more` whenever the socket has room, until it is closed. */
  const pump = (socket: Socket, more: () => Uint8Array) => {
    const fill = () => {
      while (!socket.destroyed && socket.write(more()));
      look()
    }
    socket.on("drain", fill)
    fill()
  }

  const drip = (socket: Socket, bytes: Uint8Array, millis: number) => {
    let at = 0
    const timer = setInterval(() => {
      if (at === bytes.length) socket.end()
      else socket.write(bytes.subarray(at, at + 1))
      at += 1
      look()
    }, millis)
    socket.once("close", () => clearInterval(timer))
  }

  const perform = (socket: Socket, script: Exclude<Script, { readonly _tag: "Hang" }>, request: Request): void => {
    switch (script._tag) {
      case "Answer":
        return void socket.end(answer(script, request))
      case "HangAfterHeaders":
        return void socket.write(head(200, { "content-length": "1000", ...script.headers }))
      case "Drip": {
        const bytes = honest(200, {}, script.bytes)
        if (script.head) return drip(socket, bytes, script.millis)
        socket.write(bytes.subarray(0, bytes.length - script.bytes.length))
        return drip(socket, script.bytes, script.millis)
      }
      case "Endless":
        socket.write(head(200, { "content-type": "image/png", ...script.headers }))
        return pump(socket, () => script.chunk)
      case "LyingLength":
        return void socket.end(honest(200, { "content-length": String(script.declared) }, script.body))
      case "CutAt": {
        const part = honest(200, {}, script.body).subarray(0, script.at)
        return void socket.write(part, () => script.reset === true ? socket.resetAndDestroy() : socket.destroySoon())
      }
      case "Bomb":
        return bomb(socket, script.bytes, script.times ?? 1)
      case "Raw":
        return void (script.keepOpen === true ? socket.write(script.bytes) : socket.end(script.bytes))
      case "EndlessHints":
        return pump(socket, () => Buffer.from("HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"))
      case "HugeHeader":
        return void socket.end(honest(200, { "x-padding": "x".repeat(script.bytes) }, Buffer.from("body")))
    }
  }

  const next = (path: string): Script => {
    const queue = scripts.get(path)
    const [first = status(404)] = queue ?? []
    if (queue !== undefined && queue.length > 1) queue.shift()
    return first
  }

  const onRequest = (socket: Socket, text: string) => {
    const [line = "", ...fields] = text.split("\r\n")
    const [method = "", target = ""] = line.split(" ")
    const headers = Object.fromEntries(
      fields.map((
        field
      ) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 1).trim()])
    )
    const request: Request = { method, target, headers }
    requests.push(request)
    look()
    const script = next(target.split("?")[0] ?? "")
    if (script._tag !== "Hang") perform(socket, script, request)
  }

  const server = createServer((socket) => {
    counts.accepted += 1
    sockets.add(socket)
    counts.openMax = Math.max(counts.openMax, sockets.size)
    socket.on("error", () => {})
    if (options.greeting !== undefined) socket.write(options.greeting)
    socket.once("close", () => {
      sockets.delete(socket)
      counts.sentByClosed += socket.bytesWritten
      look()
    })
    let text = ""
    const onData = (chunk: Buffer) => {
      text += chunk.toString("latin1")
      const end = text.indexOf("\r\n\r\n")
      if (end === -1) return
      // Whatever else a client sends is left unread, but not undrained, or its FIN would never be seen.
      socket.off("data", onData).resume()
      onRequest(socket, text.slice(0, end))
    }
    socket.on("data", onData)
    look()
  })
  const address = options.address ?? "127.0.0.1"
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(options.port ?? 0, address, resolve)
  })
  const bound = server.address()
  const port = typeof bound === "object" ? bound?.port ?? 0 : 0

  return {
    port,
    origin: `http://${address.includes(":") ? `[${address}]` : address}:${port}`,
    script: (path, ...list) => void scripts.set(path, [...list]),
    requests,
    accepted: () => counts.accepted,
    open: () => sockets.size,
    openMax: () => counts.openMax,
    sent: () => [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, counts.sentByClosed),
    until: (predicate) =>
      Effect.callback<void>((resume) => {
        const check = () => {
          if (!predicate()) return
          watchers.delete(check)
          resume(Effect.void)
        }
        watchers.add(check)
        check()
        return Effect.sync(() => watchers.delete(check))
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  }
}

/** Starts a host that stops, with all of its connections, when the scope closes. */
export const make = (options: Options = {}): Effect.Effect<HostileHost, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => start(options)),
    (host) => Effect.promise(host.stop)
  )
