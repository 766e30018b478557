/** What state a store is in, as `doctor` tells it. */
export interface Condition {
  readonly status: "ok" | "warn" | "fail"
  /** One line: where the store is, what it holds, what is wrong with it. */
  readonly text: string
  /** Of a failure: what the service would exit with. */
  readonly code: number
}
