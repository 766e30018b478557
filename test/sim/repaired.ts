/** For `node --import`: the service with the pending fixes, and nothing else changed. */
import { pendingFixes } from "./pendingFixes.ts"
import { install } from "./rewriting.ts"

install(pendingFixes)
