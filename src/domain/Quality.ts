/** Facts in, verdict out: the rules that decide whether a profile is worth keeping. */

/** What admission decided about one event. */
export type Verdict =
  | { readonly _tag: "Accepted" }
  /** A rule said no on evidence; `reason` is a short, fixed phrase from a closed set. */
  | { readonly _tag: "Rejected"; readonly reason: string }
  /** The world did not answer; `retryAfter` is a delay in milliseconds. Never blocks or removes anything. */
  | { readonly _tag: "Undetermined"; readonly reason: string; readonly retryAfter: number }
