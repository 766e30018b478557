/** What goes wrong between us and somebody else's relay. */
import { Schema } from "effect"

/** Why a connection is over, or was not made. `detail` is fit for a log line. */
export class UpstreamError extends Schema.TaggedError<UpstreamError>()("UpstreamError", {
  /**
   * - `unreachable`: no connection: name, route, TLS, upgrade, or 10 seconds without an answer.
   * - `lost`: the connection ended.
   * - `refused`: it answers a page with CLOSED.
   * - `forbidden`: it knows who we are and does not let us read, or says that nothing would change its mind.
   * - `silent`: no EOSE within the deadline.
   * - `misbehaved`: it breaks the protocol or lies; it is given time to think.
   * - `ours`: what it sent could not be judged or kept, which is no fault of its own.
   */
  reason: Schema.Literals(["unreachable", "lost", "refused", "forbidden", "silent", "misbehaved", "ours"]),
  detail: Schema.String
}) {
  override get message() {
    return `${this.reason}: ${this.detail}`
  }
}
