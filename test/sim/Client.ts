/**
 * A client as its plan makes it, and the socket to it as the service sees it.
 *
 * It checks what it is told at the moment it is told it: an `OK true` must already be on the disk, as any later moment may
 * be a power cut.
 */
import type { Event } from "../../src/domain/Event.ts"
import { type ClientSocket, type ClientSocketListener } from "../../src/websocket/client/ClientSocket.ts"
import { type Frame, FrameRun } from "../../src/websocket/client/Frames.ts"
import { burden, forged, notes } from "./events.ts"
import { FakeStream } from "./fakes/http.ts"
import type { Action, ClientPlan } from "./Plan.ts"
import type { Run } from "./Run.ts"

/** Milliseconds that `ws` waits for the answer to a Close frame. */
const closeTimeout = 2000

interface Subscription {
  /** Seqs of the notes it was sent, in order; how many of them were stored ones. */
  readonly seqs: Array<number>
  stored: number
  /** The last event that was stored when it was opened: what was gone by then is not to be sent. */
  readonly openedAt: number
  /** Events that somebody had been told `OK true` of when it was opened: each is to be among the stored ones. */
  readonly owed: ReadonlyArray<string>
  isLive: boolean
  isClosed: boolean
}

export class Client {
  readonly plan: ClientPlan
  readonly name: string
  readonly #run: Run
  readonly stream: FakeStream
  socket: SimSocket | undefined
  /** EVENTs the service took, and answers it gave, by id. */
  readonly taken = new Map<string, number>()
  readonly answers = new Map<string, Array<boolean>>()
  /** What it has published, by id. */
  readonly #published = new Map<string, Event>()
  readonly subscriptions: Array<Subscription> = []
  readonly #open = new Map<string, Subscription>()
  /** It ended the connection by itself. */
  hasLeft = false
  closedWith: number | undefined

  constructor(plan: ClientPlan, name: string, run: Run) {
    this.plan = plan
    this.name = name
    this.#run = run
    this.stream = new FakeStream(run, () => this.socket?.gone(1006))
  }

  /** The handshake succeeded. */
  begin(): void {
    let at = 0
    for (const { action, after } of this.plan.actions) {
      at += after
      this.#run.world.later(at, `${this.name} ${action._tag}`, () => this.#act(action))
    }
    const { leaves } = this.plan
    if (leaves !== undefined) {
      this.#run.world.later(at + leaves.after, `${this.name} leaves`, () => {
        this.#run.world.note(() => `${this.name} leaves (${leaves.how})`)
        this.hasLeft = true
        this.socket?.gone(leaves.how === "cut" ? 1006 : 1000)
      })
    }
  }

  #act(action: Action): void {
    switch (action._tag) {
      case "Event": {
        const note = notes[action.note % notes.length]
        if (note === undefined) return
        return this.#say(["EVENT", action.forged ? forged(note) : note])
      }
      case "Burden":
        return this.#say(["EVENT", burden(action.what, action.author, action.n)])
      case "Req":
        return this.#say(["REQ", action.subscription, { kinds: [1] }])
      case "Close":
        return this.#say(["CLOSE", action.subscription])
    }
  }

  #say(message: ReadonlyArray<unknown>): void {
    if (this.hasLeft || this.socket === undefined) return
    this.socket.arrive(message)
  }

  /** The service has taken the message: from here on it owes an answer. */
  took([type, argument]: ReadonlyArray<unknown>): void {
    if (type === "EVENT") {
      const event = argument as Event
      const { id } = event
      this.#published.set(id, event)
      this.#run.world.note(() => `${this.name} published ${id.slice(0, 6)} of kind ${event.kind}`)
      this.taken.set(id, (this.taken.get(id) ?? 0) + 1)
      this.#run.reach("taken")
    } else if (type === "REQ") {
      const subscription = {
        seqs: [],
        stored: 0,
        openedAt: this.#run.disk.sizes.seq,
        owed: [...this.#run.disk.acknowledged],
        isLive: false,
        isClosed: false
      }
      this.#open.set(String(argument), subscription)
      this.subscriptions.push(subscription)
    } else this.#open.delete(String(argument))
  }

  told(text: string): void {
    const [type, name, third, reason] = JSON.parse(text) as readonly [string, string, unknown, string]
    const { disk, world } = this.#run
    const subscription = this.#open.get(name)
    switch (type) {
      case "OK": {
        world.note(() => `${this.name} was told OK ${name.slice(0, 6)} ${String(third)}`)
        const all = this.answers.get(name) ?? []
        this.answers.set(name, [...all, third === true])
        if (third === true && disk.kept.find(name) === undefined) {
          this.#run.violate("I1", `${this.name} was told OK true of ${name.slice(0, 6)}, which is not on the disk`)
        }
        if (all.length + 1 > (this.taken.get(name) ?? 0)) {
          this.#run.violate("I2", `${this.name} was answered twice for ${name.slice(0, 6)}`)
        }
        if (third === true) {
          disk.acknowledged.add(name)
          this.#run.reach("acknowledged")
        } else if (!this.#mayBeRefused(name, reason)) {
          this.#run.violate("refusal", `${this.name} was refused ${name.slice(0, 6)}: ${reason}`)
        }
        return
      }
      case "EVENT": {
        const { id } = third as { readonly id: string }
        const stored = disk.kept.find(id)
        if (stored === undefined) {
          return this.#run.violate("I1", `${this.name} was sent ${id}, which is not on the disk`)
        }
        if (subscription === undefined || subscription.isClosed) {
          return this.#run.violate("subscription", `${this.name} was sent an event for ${name}, which is not open`)
        }
        const goneSince = disk.kept.gone.get(id)?.since ?? Infinity
        if (goneSince <= subscription.openedAt) {
          this.#run.violate("removal", `${this.name} was sent ${id}, which is gone since ${goneSince}`)
        }
        if (subscription.seqs.includes(stored.seq)) {
          this.#run.violate("subscription", `${this.name} was sent ${id} twice for ${name}`)
        }
        subscription.seqs.push(stored.seq)
        return
      }
      case "EOSE":
        world.note(() => `${this.name} was told EOSE ${name}`)
        if (subscription !== undefined) {
          subscription.isLive = true
          subscription.stored = subscription.seqs.length
          const lost = subscription.owed.filter((id) => {
            const stored = disk.kept.there.get(id)
            return stored?.event.kind === 1 && !subscription.seqs.includes(stored.seq)
          })
          if (lost.length > 0) {
            this.#run.violate("I1", `${this.name} was not sent ${lost.length} events that had been acknowledged`)
          }
        }
        return
      case "CLOSED":
        world.note(() => `${this.name} was told CLOSED ${name}`)
        if (subscription !== undefined) subscription.isClosed = true
        return
      case "AUTH":
        return
      default:
        return this.#run.violate("protocol", `${this.name} was told ${text}`)
    }
  }

  /**
   * A forgery is, what its author wants removed or has had too much removed for, and anything once the service stops, its disk
   * has failed, or a transaction takes longer than a client is kept waiting.
   */
  #mayBeRefused(id: string, reason: string): boolean {
    if (reason.startsWith("invalid: ")) {
      return this.plan.actions.some(({ action }) =>
        action._tag === "Event" && action.forged && notes[action.note % notes.length]?.id === id
      )
    }
    const event = this.#published.get(id)
    if (reason.startsWith("blocked: ")) {
      return event !== undefined && (event.kind === 5 || this.#run.disk.kept.isUnwanted(event))
    }
    if (reason === "error: not checked in time, try again later" && this.#run.plan.disk.crawls > 0) return true
    return reason.startsWith("error: ") && (this.#run.stoppedAt !== undefined || this.#run.disk.hasFailed)
  }

  /** What it can say of its life once it is over. */
  judge(): void {
    const { disk } = this.#run
    for (const { isLive, seqs, stored } of this.subscriptions) {
      if (!isLive) continue
      const live = seqs.slice(stored)
      if (live.some((seq, i) => i > 0 && seq < (live[i - 1] as number))) {
        this.#run.violate("subscription", `${this.name} was sent live events out of order: ${live.join(" ")}`)
      }
      const last = Math.max(0, ...seqs)
      const missing = [...disk.kept.there.values()]
        .filter(({ event, seq }) => event.kind === 1 && seq <= last && !seqs.includes(seq))
      if (missing.length > 0) {
        this.#run.violate(
          "subscription",
          `${this.name} was never sent ${missing.map(({ seq }) => seq).join(" ")} of ${last}`
        )
      }
    }
    // An upgrade that succeeded in the very moment of the stop is cut before anybody listens to it.
    if (this.hasLeft || this.socket === undefined || this.socket.wasCutUnheard) return
    for (const [id, count] of this.taken) {
      const answered = this.answers.get(id)?.length ?? 0
      if (answered < count) {
        this.#run.violate("silence", `${this.name} was answered ${answered} of ${count} times for ${id.slice(0, 6)}`)
      }
    }
    if (this.closedWith !== 1001) this.#run.violate("goodbye", `${this.name} was closed with ${this.closedWith}`)
    for (const [name, { isClosed }] of this.#open) {
      if (!isClosed) this.#run.violate("goodbye", `${this.name} was not told that ${name} is over`)
    }
  }
}

/** What `ws` and its TCP connection are to the relay server. */
export class SimSocket implements ClientSocket {
  readonly #client: Client
  readonly #run: Run
  #listener: ClientSocketListener | undefined
  #isPaused = true
  #held: Array<ReadonlyArray<unknown>> = []
  #waiting = 0
  #received = 0
  #isClosing = false
  #isGone = false
  wasCutUnheard = false

  constructor(client: Client, run: Run) {
    this.#client = client
    this.#run = run
    client.socket = this
  }

  listen(listener: ClientSocketListener): void {
    this.#listener = listener
    if (this.#isGone) return this.#run.world.soon(() => listener.closed(1006))
    this.resume()
  }

  send(frame: Frame): void {
    if (this.#isClosing || this.#isGone) return
    // Only a store with threads sends whole runs of frames.
    if (frame instanceof FrameRun) throw new Error("the store in memory has framed its answer")
    const text = typeof frame === "string" ? frame : frame.text
    if (!this.#client.plan.reads) this.#waiting += text.length
    this.#client.told(text)
  }

  waiting(): number {
    return this.#waiting
  }

  taken(): number {
    return 0
  }

  received(): number {
    return this.#received
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    const held = this.#held
    this.#held = []
    if (held.length > 0) this.#run.world.soon(() => held.forEach((message) => this.arrive(message)))
  }

  ping(): void {}

  close(code: number): void {
    if (this.#isClosing || this.#isGone) return
    this.#isClosing = true
    this.#client.closedWith = code
    this.#run.world.note(() => `${this.#client.name} is closed with ${code}`)
    this.resume()
    const answers = this.#client.plan.polite && this.#client.plan.reads
    this.#run.world.later(
      answers ? this.#run.world.dice.between(0, 20) : closeTimeout,
      `${this.#client.name} answers Close`,
      () => this.gone(answers ? code : 1006)
    )
  }

  terminate(): void {
    this.wasCutUnheard ||= this.#listener === undefined
    this.#run.world.soon(() => this.gone(1006))
  }

  // The client's side

  arrive(message: ReadonlyArray<unknown>): void {
    if (this.#isGone) return
    if (this.#isPaused) return void this.#held.push(message)
    const text = JSON.stringify(message)
    this.#received += text.length
    if (!this.#isClosing) this.#client.took(message)
    this.#listener?.messages([text])
  }

  gone(code: number): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#client.stream.destroy()
    this.#listener?.closed(code)
  }
}
