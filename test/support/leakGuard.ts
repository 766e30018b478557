/** What every test file is held to, without remembering to ask for it: `setupFiles` of `vitest.config.ts`. */
import * as fibers from "./fibers.ts"
import { expectNoLeaks } from "./leaks.ts"

fibers.watch()
expectNoLeaks()
