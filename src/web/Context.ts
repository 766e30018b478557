/** What the routes of this component stand on, made once. */
import type { SettingsShape } from "../config/Settings.ts"
import type { Site } from "../pages/Site.ts"
import type { Assets } from "./Assets.ts"
import type { Figures } from "./Figures.ts"
import type { Live } from "./Live.ts"
import type { People } from "./People.ts"
import type { Statistics } from "./Statistics.ts"
import type { Turns } from "./Turns.ts"

export interface WebContext {
  /** As it is now: an operator may change what the relay calls itself. */
  readonly site: () => Site
  readonly settings: SettingsShape
  readonly assets: Assets
  readonly people: People
  readonly figures: Figures
  readonly statistics: Statistics
  readonly live: Live
  readonly turns: Turns
}
