/**
 * For `node --import`: the service with a leak that was put there on purpose. A client's connection takes its sender into a
 * scope that nobody closes, so it outlives the client.
 */
import { install } from "../sim/rewriting.ts"
import { rewritesOf } from "../sim/variants.ts"

install(rewritesOf("sender cloned out of its scope"))
