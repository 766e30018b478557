/** What every test file is held to, without remembering to ask for it: `setupFiles` of `vitest.config.ts`. */
import "../../src/lifecycle/v8Flags.js"
import * as fibers from "./fibers.ts"
import { expectNoLeaks } from "./leaks.ts"

fibers.watch()
expectNoLeaks()
