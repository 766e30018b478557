/**
 * Pictures that the operator has taken down, asked for before anybody looks at one or shows it. Whoever keeps what the operator
 * decides provides the answer (`admission/Moderation`); without anybody none is taken down.
 */
import { Context } from "effect"
import type { PictureUrl } from "../../domain/PictureUrl.ts"

/** By its URL, and by the SHA-256 of its bytes where that is known. */
export type IsTakenDown = (url: PictureUrl, sha256?: string) => boolean

export const TakenDown = Context.Reference<IsTakenDown>("profile-aggregator/aggregation/evidence/TakenDown", {
  defaultValue: () => () => false
})
