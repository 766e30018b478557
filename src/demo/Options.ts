/** What may be chosen about the demo. */
export interface Options {
  readonly profiles: number
  readonly seed: number
  /** Where the service listens: this port, or one of the next, or any free one. */
  readonly port: number
}

export const defaults: Options = { profiles: 3000, seed: 1, port: 7777 }
