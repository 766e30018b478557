/** What the server does with a request that is no upgrade: the relay's own routes, and those of others. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, type Scope } from "effect"
import { HttpRouter } from "effect/http"
import type { BlockList } from "node:net"
import { type Change, Moderation } from "../../aggregation/admission/Moderation.ts"
import { Settings } from "../../config/Settings.ts"
import { Verifier, type VerifierSender } from "../../crypto/Verifier.ts"
import { Shutdown } from "../../lifecycle/Shutdown.ts"
import { ContributedRoutes } from "./ContributedRoutes.ts"
import * as Operators from "./Operators.ts"
import { relayInformation } from "./RelayInformation.ts"
import { refuseWhile, routes } from "./Routes.ts"

export interface Options {
  /** Of the requests: closed when none is answered any more. */
  readonly scope: Scope.Scope
  readonly proxies: () => BlockList
  readonly verify: VerifierSender["verify"]
  readonly isDraining: () => boolean
  /** A change of an operator holds: what it concerns besides the rules themselves has to follow. */
  readonly onChange: (change: Change) => void
}

export const make = Effect.fnUntraced(function*({ isDraining, onChange, proxies, scope, verify }: Options) {
  const settings = yield* Settings
  const moderation = yield* Moderation
  const { pubkey } = yield* Verifier
  const { journal } = yield* Shutdown
  const { limits, relayUrl } = settings
  const operatorOf = Operators.make({
    operators: () => settings.operators,
    limits,
    verify,
    since: journal.wallTime() - journal.now()
  })
  const own = routes({
    information: () => relayInformation(settings, pubkey, moderation.text, Math.floor(journal.wallTime() / 1000)),
    relayUrl,
    journal,
    management: {
      operatorOf,
      relayUrl,
      moderation,
      onChange: (change) => Effect.sync(() => onChange(change))
    },
    console: { journal, relayUrl, operatorOf, proxies }
  })
  const app = yield* HttpRouter.toHttpEffect(Layer.merge(own, yield* ContributedRoutes))
  return yield* NodeHttpServer.makeHandler(app, { scope, middleware: refuseWhile(isDraining) })
})
