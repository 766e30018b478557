/**
 * Routes of others on the relay's port.
 *
 * A component below this one that has something to show, such as pages, knows nothing of the server: it offers its routes as
 * a layer, and `main.ts` provides them here. They stand beside the relay's own (`Routes`), on paths of their own.
 */
import { Context, Layer } from "effect"
import type { HttpRouter } from "effect/http"

export type Routes = Layer.Layer<never, never, HttpRouter.HttpRouter>

export const ContributedRoutes = Context.Reference<Routes>("profile-aggregator/websocket/http/ContributedRoutes", {
  defaultValue: () => Layer.empty
})
