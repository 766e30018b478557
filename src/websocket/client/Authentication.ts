/**
 * Who a client has proved to be: the keys of one connection (NIP-42).
 *
 * A client may hold several keys, and all of them count until its socket is gone. The challenge is the connection's own and
 * stays the same; it is sent as the first thing where reading may take a key, otherwise with the first refusal that it
 * would help against, as clients bother people with it.
 */
import { Clock, Effect } from "effect"
import type { CryptoError, VerifierSender } from "../../crypto/Verifier.ts"
import { authenticationProblem } from "../../domain/ClientAuth.ts"
import type { Event } from "../../domain/Event.ts"
import * as RelayMessage from "../../domain/RelayMessage.ts"
import { secondsOf } from "../../domain/Time.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import type { Answer } from "./publish.ts"

/** Keys of one connection. */
const readersMax = 64

/** What all connections share of it. */
export interface AuthenticationOptions {
  /** Public address of this relay. */
  readonly relayUrl: string
  /** Send the challenge before a client has said anything. */
  readonly isFirst: boolean
  /** A text that nobody can guess. */
  readonly makeChallenge: () => string
  readonly verify: VerifierSender["verify"]
}

const accepted: Answer = { accepted: true, reply: "" }
const refused = (reply: RelayMessage.Reply): Answer => ({ accepted: false, reply })

/** The keys of a client that has proved nothing. */
const nobody: ReadonlySet<string> = new Set()

export class Authentication {
  readonly #options: AuthenticationOptions
  readonly #outlet: { send(frame: string): void }
  readonly #proved: (pubkey: string) => void
  #readers: Set<string> | undefined
  #challenge: string | undefined

  /** `proved` hears of each key that the client turns out to have. */
  constructor(
    options: AuthenticationOptions,
    outlet: { send(frame: string): void },
    proved: (pubkey: string) => void
  ) {
    this.#options = options
    this.#outlet = outlet
    this.#proved = proved
  }

  /** Pubkeys of the client. */
  get readers(): ReadonlySet<string> {
    return this.#readers ?? nobody
  }

  greet(): void {
    if (this.#options.isFirst) this.challenge()
  }

  /** Sends the challenge, unless the client has it. */
  challenge(): void {
    if (this.#challenge !== undefined) return
    this.#challenge = this.#options.makeChallenge()
    this.#outlet.send(RelayMessage.auth(this.#challenge))
  }

  /** What an AUTH message comes to. */
  authenticate(event: Event): Effect.Effect<Answer, MailboxClosed> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const expected = { challenge: this.#challenge ?? "", relayUrl: this.#options.relayUrl }
      const problem = this.#challenge === undefined
        ? "no challenge was sent"
        : authenticationProblem(event, expected, secondsOf(now))
      if (problem !== undefined) return Effect.succeed(refused(`invalid: ${problem}`))
      if (this.readers.size >= readersMax && !this.readers.has(event.pubkey)) {
        return Effect.succeed(refused(`restricted: at most ${readersMax} keys for a connection`))
      }
      return Effect.map(this.#options.verify(event), (verification) => {
        if (verification === "InvalidId") return refused("invalid: id does not match the event")
        if (verification === "InvalidSignature") return refused("invalid: signature does not match")
        this.#readers ??= new Set()
        this.#readers.add(event.pubkey)
        this.#proved(event.pubkey)
        return accepted
      })
    }).pipe(
      Effect.catchTag("CryptoError", (error: CryptoError) =>
        Effect.as(
          Effect.logWarning("authentication not checked", error),
          refused("error: signature could not be checked")
        ))
    )
  }
}
