/**
 * A stop in each state of harvest and validation, on the test clock, which stands still meanwhile: whatever was waited for
 * is let go of at once, no budget is needed, and the certificate is clean.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import { space as retrySpace } from "../../src/aggregation/admission/RetryQueue.ts"
import {
  Examiner,
  layerNetwork as examinerLayerNetwork,
  withoutFacts
} from "../../src/aggregation/evidence/Examiner.ts"
import { NameOwners } from "../../src/aggregation/evidence/NameOwners.ts"
import { Picture } from "../../src/aggregation/evidence/Picture.ts"
import { Posts } from "../../src/aggregation/evidence/Posts.ts"
import { addressOf } from "../../src/domain/Event.ts"
import { kindsWith, listKinds } from "../../src/domain/Kinds.ts"
import { Accepted } from "../../src/domain/Quality.ts"
import * as HostBudgets from "../../src/fetch/HostBudgets.ts"
import { certify } from "../../src/lifecycle/Certificate.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { profileEvent } from "../support/events.ts"
import { type FakeSocket, layer as playing, relay, type Sent } from "../support/FakeUpstreamSocket.ts"
import { blank, Disk } from "./FakeDatabase.ts"
import * as FakeWeb from "./FakeWeb.ts"
import { coverageOf, pageSize, pagesOf, profiles, reached, twisted } from "./harvesting.ts"
import { eventually, type Options, proofs, settle, upstreamUrl, within } from "./world.ts"

const { companions: companionKinds } = kindsWith(listKinds)

interface State {
  readonly options: Options
  /** Waits until the service is where it is to be stopped. */
  readonly reach: (disk: Disk["Service"]) => Parameters<typeof within<unknown, unknown>>[1]
}

const all = profiles(12)

/** An honest upstream but for what it keeps silent about. */
const silentAbout = (isIt: (message: Sent) => boolean, settings: Options["settings"] = {}): State => {
  let heard = 0
  const upstream = relay(all)
  return {
    options: {
      settings,
      sockets: playing(twisted(upstream, (message, answer) => {
        if (isIt(message)) heard++
        else answer(message)
      }))
    },
    reach: () => Effect.andThen(eventually(() => heard > 0), settle)
  }
}

const kindsOf = ([type, , filter]: Sent) =>
  type === "REQ" ? String((filter as { readonly kinds?: unknown }).kinds) : undefined
const isPage = (message: Sent) => message[1] !== "live" && kindsOf(message) === "0"

/** Only the first page is answered: the second one is waited for. */
const later = () => {
  let pages = 0
  return silentAbout((message) => isPage(message) && ++pages > 1)
}

const never = Layer.succeed(Examiner, {
  asks: true,
  glance: () => Effect.succeed(Accepted),
  examine: () => Effect.as(Effect.never, withoutFacts(Accepted))
})

const validating = (options: Options, isThere: (disk: Disk["Service"]) => boolean): State => ({
  options: { sockets: playing(relay(all).play), ...options },
  reach: (disk) => Effect.andThen(eventually(() => isThere(disk)), settle)
})

const picture = (answer: FakeWeb.Answer) => {
  const web = FakeWeb.make()
  web.set("https://images.example/mira.png", answer)
  return validating({ picture: web.pictures }, () => web.requests.length > 0)
}

const nobody = () => Effect.die(new Error("nobody is to be asked here"))

const asking = (what: "posts" | "nip05") => {
  let asked = 0
  const hang = Effect.andThen(Effect.sync(() => void asked++), Effect.never)
  const examiner = examinerLayerNetwork.pipe(
    Layer.provide(Layer.succeed(Picture, { look: nobody })),
    Layer.provide(Layer.succeed(Posts, { prove: () => hang })),
    Layer.provide(Layer.succeed(NameOwners, {
      check: () => hang,
      recall: nobody,
      recheck: nobody,
      onStored: () => Effect.succeed([])
    })),
    Layer.provide(HostBudgets.layer)
  )
  const settings = what === "posts" ? { proof: "on" as const } : { nip05: "require" as const }
  const named = all.map((event, n) => profileEvent({ nip05: "mira@mira.example" }, `author ${n}`, event))
  return validating({ examiner, settings, sockets: playing(relay(named).play) }, () => asked > 0)
}

const waitingIn = ({ records }: Disk["Service"]) =>
  [...records].filter(([key]) => key.startsWith(`${retrySpace.name} `)).map(([, { value }]) => value)

const states: Readonly<Record<string, () => State>> = {
  "connecting: the upgrade does not come": () => {
    let dialled = 0
    return { options: { sockets: playing(() => void dialled++) }, reach: () => eventually(() => dialled === 1) }
  },
  "saying who we are (NIP-42)": () => {
    let told = 0
    const play = (socket: FakeSocket) => {
      socket.onMessage = ([type, id]) => {
        if (type === "AUTH") told++
        if (type === "REQ") socket.say(["AUTH", "challenge"], ["CLOSED", id, "auth-required: who?"])
      }
      queueMicrotask(() => socket.open())
    }
    return { options: { sockets: playing(play) }, reach: () => Effect.andThen(eventually(() => told === 1), settle) }
  },
  "waiting for a first page": () => silentAbout(isPage),
  "waiting for a later page": later,
  "waiting for a page of removals": () => silentAbout((message) => kindsOf(message) === "62"),
  "waiting for what belongs to authors": () => silentAbout((message) => kindsOf(message) === companionKinds.join()),
  "waiting for the other side of a reconciliation": () => silentAbout(([type]) => type === "NEG-OPEN"),
  "waiting for a verdict on a page": () => {
    const asked: Array<string> = []
    const examiner = Layer.succeed(Examiner, {
      asks: false,
      glance: () => Effect.succeed(Accepted),
      examine: ({ id }: { readonly id: string }) =>
        Effect.andThen(Effect.sync(() => void asked.push(id)), Effect.as(Effect.never, withoutFacts(Accepted)))
    })
    return validating({ examiner }, () => asked.length > 0)
  },
  "waiting for the commit of a page": () => {
    const upstream = relay(all)
    return {
      options: { sockets: playing(upstream.play) },
      reach: (disk) =>
        disk.gate.close.pipe(
          Effect.andThen(eventually(() => pagesOf(upstream).length === 1)),
          Effect.andThen(settle),
          Effect.andThen(Effect.sync(() => assert.deepStrictEqual(disk.writes, [])))
        )
    }
  },
  "waiting for room among those that are asked about": () =>
    validating({ examiner: never, settings: { retriesMax: pageSize } }, (disk) => waitingIn(disk).length >= pageSize),
  "waiting 360 seconds to dial again": () => ({
    options: {
      settings: { initialBackoff: Duration.seconds(360), maxBackoff: Duration.hours(1) },
      sockets: playing((socket) => queueMicrotask(() => socket.refuse("no route")))
    },
    reach: () => reached(({ state }) => state === "waiting")
  }),
  "listening": () => ({
    options: { sockets: playing(relay(all).play) },
    reach: () => Effect.andThen(reached(({ phase }) => phase === "live"), settle)
  }),
  "reading the body of a picture": () => picture("hang in the body"),
  "waiting for a picture's host": () => picture("hang"),
  "waiting for outbox relays": () => asking("posts"),
  "waiting for the document of a NIP-05 name": () => asking("nip05"),
  "waiting for the next turn in the retry queue": () =>
    validating(
      { posts: () => Effect.succeed(proofs.unanswered) },
      (disk) => waitingIn(disk).some((value) => value.includes("\"attempts\":1"))
    )
}

describe("fault 47: a stop", () => {
  for (const [name, make] of Object.entries(states)) {
    it.effect(`while ${name} takes no time, no budget, and leaves nothing behind`, () =>
      Effect.gen(function*() {
        const { options, reach } = make()
        const disk = blank()
        const stopping = yield* Effect.forkScoped(within(
          { ...options, disk, settings: { upstreams: [upstreamUrl], pageSize, ...options.settings } },
          Effect.andThen(reach(disk), Effect.map(Shutdown, ({ journal }) => journal))
        ))
        yield* eventually(() => stopping.pollUnsafe() !== undefined, "still stopping")
        const journal = yield* Fiber.join(stopping)
        const { code, forced, released, senders } = certify(journal, [])
        assert.deepStrictEqual({ code, forced, released, senders }, {
          code: 0,
          forced: [],
          released: ["aggregation", "crypto"],
          senders: []
        })
        assert.deepStrictEqual([[...journal.fibers], [...disk.holders]], [[], []])
        // Nothing that is said to be covered is missing: it is stored, or waits to be asked about.
        const coverage = yield* Effect.provideService(coverageOf, Disk, disk)
        for (const event of all) {
          const isCovered = coverage.some(([from, to]) => from <= event.created_at && event.created_at <= to)
          const isKnown = disk.events.has(addressOf(event) ?? "") ||
            waitingIn(disk).some((value) => value.includes(event.pubkey))
          assert.isTrue(isKnown || !isCovered, name)
        }
      }))
  }
})
