/** The pages' component without its pages, which nobody asks for here: its place in the order, its sender, its record of the day. */
import { Effect, Layer } from "effect"
import { announce } from "../../../src/lifecycle/Shutdown.ts"
import * as Statistics from "../../../src/web/Statistics.ts"

const people = { total: Effect.succeed(0) }

export const layer = Layer.effectDiscard(Effect.andThen(announce("web"), Effect.suspend(() => Statistics.make(people))))
