/**
 * Messages between the main thread and the database's two threads: requests with a number, and answers to it.
 */

export interface Request<A> {
  readonly _tag: "Request"
  readonly id: number
  readonly payload: A
  /** Buffers that came with earlier answers. */
  readonly buffers: ReadonlyArray<ArrayBuffer>
}
/** The caller has lost interest: the thread may drop the work, and need not answer. */
export interface Cancel {
  readonly _tag: "Cancel"
  readonly id: number
}
/** Finish, close the connection, say goodbye and exit. */
export interface Close {
  readonly _tag: "Close"
}
export type ToThread<A> = Request<A> | Cancel | Close

export type FromThread<B> =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Answer"; readonly id: number; readonly payload: B }
  | { readonly _tag: "Failed"; readonly id: number; readonly detail: string }
  /** The last message. `detail`: what became of the thread's resource. */
  | { readonly _tag: "Closed"; readonly detail: string }
