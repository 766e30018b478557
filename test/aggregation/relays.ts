/**
 * Relays by address, without a network: those that a test gives behave as it says, all others cannot be reached.
 *
 * Sockets to configured relays and to learnt ones are made by two constructors, and counted apart.
 */
import { Context, Effect, Layer } from "effect"
import { Socket } from "effect/socket"
import { LearntSocket } from "../../src/aggregation/upstream/RelayPool.ts"
import * as UpstreamEvents from "../../src/demo/UpstreamEvents.ts"
import type { Event } from "../../src/domain/Event.ts"
import { FakeSocket } from "../support/FakeUpstreamSocket.ts"

export type Play = (socket: FakeSocket) => void

export class RelayWorld extends Context.Service<RelayWorld, {
  /** By address, and may be changed at any time. */
  readonly relays: Map<string, Play>
  /** Addresses dialled, in order, by which constructor. */
  readonly dialled: Array<{ readonly url: string; readonly trusted: boolean }>
  readonly sockets: Array<FakeSocket>
}>()("test/aggregation/RelayWorld") {}

/** Honest, with these events: answers each REQ, whatever its filters, at once. */
export const holding = (...events: ReadonlyArray<Event>): Play => {
  const held = UpstreamEvents.make(events)
  return (socket) => {
    socket.onMessage = ([type, id, ...filters]) => {
      if (type !== "REQ") return
      for (const filter of filters) {
        for (const event of held.query(filter as UpstreamEvents.WireFilter)) socket.say(["EVENT", id, event])
      }
      socket.say(["EOSE", id])
    }
    queueMicrotask(() => socket.open())
  }
}

/** Opens, and never says anything. */
export const mute: Play = (socket) => queueMicrotask(() => socket.open())

/** Neither opens nor fails. */
export const hung: Play = () => {}

const unreachable: Play = (socket) => queueMicrotask(() => socket.refuse("no route"))

export const layer = (
  relays: Readonly<Record<string, Play>>
): Layer.Layer<RelayWorld | LearntSocket | Socket.WebSocketConstructor> =>
  Layer.effectContext(Effect.sync(() => {
    const world: RelayWorld["Service"] = { relays: new Map(Object.entries(relays)), dialled: [], sockets: [] }
    const construct = (trusted: boolean) => (url: string) => {
      const socket = new FakeSocket(url)
      world.dialled.push({ url, trusted })
      world.sockets.push(socket)
      const play = world.relays.get(url) ?? unreachable
      play(socket)
      return socket
    }
    return Context.make(RelayWorld, world).pipe(
      Context.add(Socket.WebSocketConstructor, construct(true)),
      Context.add(LearntSocket, construct(false))
    )
  }))
