/** What a client does to prove who it is (NIP-42). */
import { Effect } from "effect"
import type { Event } from "../../src/domain/Event.ts"
import { type Author, signed } from "./events.ts"
import type { TestClient } from "./TestClient.ts"

/** Address of the relay under test, as its operator would write it; nobody dials it. */
export const relayUrl = "wss://relay.example"

/** The challenge that the client was given last. */
export const challengeOf = (client: TestClient): string => {
  const challenge = client.received().findLast(([type]) => type === "AUTH")?.[1]
  return typeof challenge === "string" ? challenge : ""
}

export const authEvent = (
  challenge: string,
  author: Author,
  edit: { readonly relay?: string; readonly kind?: number; readonly created_at?: number } = {}
): Event =>
  signed({
    kind: edit.kind ?? 22_242,
    created_at: edit.created_at ?? Math.floor(Date.now() / 1000),
    tags: [["relay", edit.relay ?? relayUrl], ["challenge", challenge]]
  }, author)

/** Sends an AUTH, and takes its OK. */
export const authenticateWith = (client: TestClient, event: Event) =>
  Effect.andThen(client.send(["AUTH", event]), client.next(["OK", event.id]))

/** Waits for the challenge, and answers it. */
export const authenticate = Effect.fnUntraced(function*(client: TestClient, author: Author) {
  if (challengeOf(client) === "") yield* client.next("AUTH")
  return yield* authenticateWith(client, authEvent(challengeOf(client), author))
})
