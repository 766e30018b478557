/** For `node --import`: the service with one of `variants.ts` planted in it, which is named in our own address. */
import { install } from "../sim/rewriting.ts"
import { rewritesOf } from "../sim/variants.ts"

install(rewritesOf(new URL(import.meta.url).searchParams.get("variant") ?? undefined))
