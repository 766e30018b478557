/** Shapes of flags that several commands have. */
import { Flag } from "effect/cli"

/** There or not. */
export const flag = (name: string, meaning: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(meaning), Flag.withDefault(false), Flag.withoutNegation)

/** A whole number with a default, which its help states. */
export const number = (name: string, fallback: number, meaning: string) =>
  Flag.Int(name).pipe(Flag.withDescription(`${meaning} Default: ${fallback}.`), Flag.withDefault(fallback))
