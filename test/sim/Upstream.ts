/** Somebody else's relay in a world: honest about its events, and as slow, mute or short-lived as its plan says. */
import * as UpstreamEvents from "../../src/demo/UpstreamEvents.ts"
import type { Event } from "../../src/domain/Event.ts"
import { decodeCoverage } from "../../src/domain/HarvestWindow.ts"
import { FakeSocket, type Sent } from "../support/FakeUpstreamSocket.ts"
import { liveProfile, profiles } from "./events.ts"
import type { UpstreamPlan } from "./Plan.ts"
import type { Run } from "./Run.ts"

/** New events in one life; with as many as that, harvesting goes on while clients are being served their last answers. */
const liveMax = 40

const urlOf = (relay: number) => `wss://upstream${relay}.example`

/** What a relay has from the beginning, the same whenever it is there. */
const firstOf = (relay: number) => profiles(relay, [12, 3, 30, 12, 30][relay % 5] ?? 0)

export class Upstream {
  readonly url: string
  readonly plan: UpstreamPlan
  readonly #run: Run
  /** Those it had from the beginning: what is said to be covered must be among what is stored. */
  readonly #first: ReadonlyArray<Event>
  readonly #events: UpstreamEvents.UpstreamEvents
  #live = 0

  constructor(plan: UpstreamPlan, run: Run) {
    const { relay } = plan
    this.plan = plan
    this.url = urlOf(relay)
    this.#run = run
    this.#first = firstOf(relay)
    this.#events = UpstreamEvents.make(this.#first, 10)
  }

  dial(): FakeSocket {
    const socket = new UpstreamSocket(this, this.#run)
    const { fault, latency, openMillis } = this.plan
    const { world } = this.#run
    if (fault._tag === "NeverOpens") return socket
    world.later(openMillis, `${this.url} opens`, () => {
      if (socket.readyState !== 0) return
      if (fault._tag === "Refuses") return socket.refuse("refused")
      socket.open()
    })
    let frames = 0
    /** On their way, in order. */
    const sent: Array<unknown> = []
    const arrive = () => {
      const message = sent.shift()
      if (fault._tag === "Cuts" && ++frames > fault.frames) return socket.end(1006)
      socket.say(message)
    }
    const say = (...messages: ReadonlyArray<unknown>) => {
      for (const message of messages) {
        sent.push(message)
        world.later(latency, `${this.url} says`, arrive)
      }
    }
    const subscriptions = new Map<string, UpstreamEvents.WireFilter>()
    socket.onMessage = ([type, subscription, filter]: Sent) => {
      if (typeof subscription !== "string") return
      if (type === "CLOSE") subscriptions.delete(subscription)
      if (type !== "REQ") return
      this.#run.reach("asked")
      const wanted = filter as UpstreamEvents.WireFilter
      world.note(() => `${this.url} is asked ${JSON.stringify(wanted)}`)
      subscriptions.set(subscription, wanted)
      say(...this.#events.query(wanted).map((event) => ["EVENT", subscription, event]))
      if (fault._tag !== "NeverEose") say(["EOSE", subscription])
      if (subscription === "live" && this.plan.live > 0) this.#publish(socket, say, subscriptions)
    }
    return socket
  }

  /** A new event every so often, while the connection lasts. */
  #publish(
    socket: FakeSocket,
    say: (message: unknown) => void,
    subscriptions: ReadonlyMap<string, UpstreamEvents.WireFilter>
  ): void {
    const next = () => {
      if (socket.readyState !== 1 || this.#live >= liveMax) return
      const event = liveProfile(this.plan.relay, this.#live++, this.#run.startsAt)
      this.#events.add(event)
      for (const [id, filter] of subscriptions) {
        if (UpstreamEvents.matches(filter, event)) say(["EVENT", id, event])
      }
      this.#run.world.later(this.plan.live, `${this.url} publishes`, next)
    }
    this.#run.world.later(this.plan.live, `${this.url} publishes`, next)
  }

  /** At every sync: coverage never runs ahead of the events it stands for. */
  judge(): void {
    const { kept, records } = this.#run.disk
    const coverage = decodeCoverage(records.get(`coverage ${this.url}`)?.value ?? "") ?? []
    const ahead = this.#first.filter(({ created_at, id }) =>
      kept.find(id) === undefined && coverage.some(([since, until]) => since <= created_at && created_at <= until)
    )
    if (ahead.length > 0) {
      this.#run.violate("I10", `${this.url} is covered, and ${ahead.length} of its events are not stored`)
    }
  }
}

class UpstreamSocket extends FakeSocket {
  readonly #run: Run
  readonly #upstream: Upstream

  constructor(upstream: Upstream, run: Run) {
    super(upstream.url)
    this.#run = run
    this.#upstream = upstream
    this.isPolite = false
  }

  override close(code?: number): void {
    super.close(code)
    if (!this.#upstream.plan.polite) return
    this.#run.world.later(this.#upstream.plan.latency, `${this.url} answers Close`, () => this.end(code ?? 1005))
  }
}
