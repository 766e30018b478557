/** What every test file is held to, without remembering to ask for it: `setupFiles` of `vitest.config.ts`. */
import * as v8Flags from "../../src/lifecycle/v8Flags.js"
import * as fibers from "./fibers.ts"
import { expectNoLeaks } from "./leaks.ts"

v8Flags.set()

fibers.watch()
expectNoLeaks()
