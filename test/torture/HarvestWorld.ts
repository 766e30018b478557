/** Upstreams that hold the same profiles in part, each a process of its own, and what they were asked for. */
import { Effect, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Dice from "../../src/demo/Dice.ts"
import { languages } from "../../src/demo/Phrases.ts"
import { keyOf, sign } from "../../src/demo/Signer.ts"
import type { Event } from "../../src/domain/Event.ts"
import * as Child from "../support/child.ts"
import type { Request } from "../support/FakeUpstream.ts"

const upstreamProcess = join(import.meta.dirname, "../support/fakeUpstreamProcess.ts")

/** Events of a page, asked for and answered. */
export const pageSize = 500

/** 2021 to 2025, in Unix seconds. */
const [begin, end] = [1_609_459_200, 1_767_225_600]

export interface Made {
  readonly event: Event
  /** No rule that asks nobody has anything against it. */
  readonly isGood: boolean
}

/** Profiles by as many authors, in no order; one in five is a bridge's or has no bio, one in ten shares its second. */
export function* profiles(count: number, seed: number): Generator<Made, void> {
  const dice = Dice.make(seed)
  for (let n = 0; n < count; n++) {
    const language = dice.pick(languages)
    const fate = dice.fraction()
    const created_at = dice.chance(0.1) ? begin + dice.between(0, 200) * 86_400 : dice.between(begin, end)
    const content = {
      name: `${dice.pick(language.given)} ${n}`,
      about: fate < 0.1 ? "" : `${dice.pick(language.work)} ${dice.pick(language.leisure)}`,
      picture: `https://images.example/${n}.jpg`
    }
    const tags = fate >= 0.1 && fate < 0.2 ? [["proxy", `https://social.example/users/${n}`, "activitypub"]] : []
    const key = keyOf(`harvest/${seed}/${n}`)
    yield { event: sign({ kind: 0, created_at, tags, content: JSON.stringify(content) }, key), isGood: fate >= 0.2 }
  }
}

export interface Upstream {
  readonly url: string
  /** Filters of the pages asked for so far, in order. */
  readonly pages: () => ReadonlyArray<Page>
}

export interface Page {
  readonly since: number
  readonly until: number
}

export interface HarvestWorld {
  readonly upstreams: ReadonlyArray<Upstream>
  /** Ids of the profiles that must be there in the end. */
  readonly good: ReadonlySet<string>
  /** When each of them was signed. */
  readonly goodAt: ReadonlyMap<string, number>
  /** Events that the upstreams hold, each counted once for each that holds it. */
  readonly offered: number
}

/**
 * Who has which profile, when so many percent of all that is offered has been offered before: each is at as many upstreams
 * as that takes, or at one more, and all of them have their turn.
 */
const layoutOf = (duplicates: number) => {
  const copies = 100 / (100 - duplicates)
  const upstreams = Math.max(2, Math.ceil(copies - 1e-9))
  const copiesOf = (n: number) => Math.floor((n + 1) * copies + 1e-9) - Math.floor(n * copies + 1e-9)
  return {
    upstreams,
    isAt: (upstream: number, n: number) => (upstream - Math.floor(n / 2) + n * upstreams) % upstreams < copiesOf(n)
  }
}

const start = Effect.fnUntraced(function*(file: string) {
  const args = ["--events", file, "--page-max", String(pageSize), "--log"]
  const process = yield* Child.start(upstreamProcess, args, { stdin: "open", execArgv: ["--max-old-space-size=1500"] })
  const { url } = JSON.parse(yield* process.line("\"url\"")) as { readonly url: string }
  const pages: Array<Page> = []
  let read = 0
  return {
    url,
    pages: () => {
      for (const line of process.stdout.slice(read)) {
        read++
        const { request } = JSON.parse(line) as { readonly request?: Request }
        if (request?._tag !== "Req" || request.subscription === "live") continue
        for (const { kinds, since, until } of request.filters) {
          if (String(kinds) === "0") pages.push({ since: Number(since), until: Number(until) })
        }
      }
      return pages
    }
  } satisfies Upstream
})

/** `folder` holds what the upstreams read. */
export const make = Effect.fnUntraced(
  function*(options: {
    readonly profiles: number
    readonly seed: number
    readonly folder: string
    /** Percent, below 100. */
    readonly duplicates?: number
  }): Effect.fn.Return<HarvestWorld, Child.ChildFailed, Scope.Scope> {
    const goodAt = new Map<string, number>()
    const { isAt, upstreams: count } = layoutOf(options.duplicates ?? 33)
    const lines: ReadonlyArray<Array<string>> = Array.from({ length: count }, () => [])
    let n = 0
    for (const { event, isGood } of profiles(options.profiles, options.seed)) {
      if (isGood) goodAt.set(event.id, event.created_at)
      const line = JSON.stringify(event)
      for (const [at, into] of lines.entries()) if (isAt(at, n)) into.push(line)
      n++
    }
    const upstreams = yield* Effect.forEach(lines, (own, at) => {
      const file = join(options.folder, `upstream ${at}.jsonl`)
      writeFileSync(file, `${own.join("\n")}\n`)
      return start(file)
    })
    const offered = lines.reduce((sum, own) => sum + own.length, 0)
    return { upstreams, good: new Set(goodAt.keys()), goodAt, offered }
  }
)
