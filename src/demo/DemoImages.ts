/**
 * Image hosts on loopback, where the demo's people keep their pictures.
 *
 *     /600x800/ada-17.png        a picture of that size, as png, jpg, gif or webp
 *     /slow/600x800/ada-17.png   the same, a while later
 *     /busy/600x800/ada-17.png   429 and a Retry-After at first, then the same
 *     /gone/600x800/ada-17.png   404
 *     /page/600x800/ada-17.png   a web page about the picture, with status 200
 *
 * Ranges and HEAD are answered as a file server would (RFC 9110, 14).
 */
import { Context, Effect, Layer, Result, type Scope } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import * as Drawing from "./Drawing.ts"
import * as loopback from "./loopback.ts"

/** Hosts with addresses of their own, as a reader paces itself by host. */
const hostsMax = 96
const slowMillis = 1500
/** How often a busy host refuses one picture, and for how many seconds it asks to be left alone. */
const refusals = 2
const retryAfterSeconds = 2
/** A stranger may ask for any size; we draw up to this. */
const sideMax = 4096
/** Pictures whose refusals are remembered. */
const refusedMax = 1000

export class DemoImages extends Context.Service<DemoImages, {
  /** `http://127.0.0.1:port` and more of the kind. */
  readonly origins: readonly [string, ...ReadonlyArray<string>]
}>()("profile-aggregator/demo/DemoImages") {
  static readonly layer: Layer.Layer<DemoImages> = Layer.effect(DemoImages, Effect.suspend(() => make))
}

const hueOf = (name: string): number => {
  let hue = 0
  for (const character of name) hue = (hue * 31 + (character.codePointAt(0) ?? 0)) % 360
  return hue
}

interface Asked {
  readonly folder: string
  readonly picture: Drawing.Drawing
}

const askedOf = (path: string): Asked | undefined => {
  const [, folder = "", width, height, name = "", format] =
    /^(?:\/(slow|busy|gone|page))?\/(\d{1,4})x(\d{1,4})\/([^/?]+)\.(png|jpg|gif|webp)$/.exec(path) ?? []
  const [x, y] = [Number(width), Number(height)]
  if (format === undefined || x < 1 || y < 1 || x > sideMax || y > sideMax) return undefined
  return { folder, picture: Drawing.make(format as Drawing.Format, x, y, hueOf(name)) }
}

/** The whole picture, or the part that was asked for. */
const sendPicture = (request: IncomingMessage, response: ServerResponse, picture: Drawing.Drawing) => {
  const { bytes, contentType } = picture
  const [, first, last = ""] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? []
  const start = Number(first)
  const end = last === "" ? bytes.length : Math.min(bytes.length, Number(last) + 1)
  const headers = { "content-type": contentType, "accept-ranges": "bytes" }
  if (first === undefined || end <= start) {
    if (first !== undefined && start >= bytes.length) {
      response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end()
      return
    }
    response.writeHead(200, { ...headers, "content-length": bytes.length })
    response.end(request.method === "HEAD" ? undefined : bytes)
    return
  }
  const range = `bytes ${start}-${end - 1}/${bytes.length}`
  response.writeHead(206, { ...headers, "content-length": end - start, "content-range": range })
  response.end(request.method === "HEAD" ? undefined : bytes.subarray(start, end))
}

const makeHandler = () => {
  const refused = new Map<string, number>()
  /** Counts a refusal of this path; false once there have been enough. */
  const refuses = (path: string): boolean => {
    const count = refused.get(path) ?? 0
    if (count >= refusals) return false
    if (refused.size >= refusedMax) refused.clear()
    refused.set(path, count + 1)
    return true
  }
  const answers: {
    readonly [folder: string]: (request: IncomingMessage, response: ServerResponse, asked: Asked) => void
  } = {
    "": (request, response, { picture }) => sendPicture(request, response, picture),
    slow: (request, response, { picture }) => {
      const timer = setTimeout(() => sendPicture(request, response, picture), slowMillis)
      response.once("close", () => clearTimeout(timer))
    },
    busy: (request, response, { picture }) => {
      if (refuses(request.url ?? "")) response.writeHead(429, { "retry-after": String(retryAfterSeconds) }).end()
      else sendPicture(request, response, picture)
    },
    gone: (_request, response) => void response.writeHead(404, { "content-type": "text/plain" }).end("gone\n"),
    page: (_request, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>A picture</title>\n")
    }
  }
  return (request: IncomingMessage, response: ServerResponse) => {
    const asked = askedOf(request.url ?? "")
    const answer = asked === undefined ? undefined : answers[asked.folder]
    if (request.method !== "GET" && request.method !== "HEAD") response.writeHead(405, { allow: "GET, HEAD" }).end()
    else if (asked === undefined || answer === undefined) response.writeHead(404).end()
    else answer(request, response, asked)
  }
}

const make = Effect.gen(function*() {
  const handler = makeHandler()
  const host = (address: string, port: number): Effect.Effect<number, NodeJS.ErrnoException, Scope.Scope> =>
    loopback.listen(createServer(handler), address, port)
  const port = yield* Effect.orDie(host("127.0.0.1", 0))
  const origins: [string, ...Array<string>] = [`http://127.0.0.1:${port}`]
  for (let i = 2; i <= hostsMax; i++) {
    // All of 127.0.0.0/8 is this machine on Linux; elsewhere only the first address is, and has to do.
    const another = yield* Effect.result(host(`127.0.0.${i}`, port))
    if (Result.isFailure(another)) break
    origins.push(`http://127.0.0.${i}:${another.success}`)
  }
  return DemoImages.of({ origins })
})
