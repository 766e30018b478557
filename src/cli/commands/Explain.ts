/**
 * `explain`: why the profile of an author is kept here or is not: every rule, the fact it goes by, what it says.
 *
 * By what the database holds: the profile that is stored or waits to be checked, and what was found out about it. With
 * `ask`, by the service's own code, which asks upstreams for the newest profile, its picture's host, and the author's
 * relays. Nothing is written either way.
 */
import { Effect, Layer } from "effect"
import { Argument, Command } from "effect/cli"
import * as Moderation from "../../aggregation/admission/Moderation.ts"
import * as Verdicts from "../../aggregation/admission/Verdicts.ts"
import { network } from "../../aggregation/Aggregation.ts"
import { type Candidate, explanationOf, nameKnownOf, stored, waiting } from "../../aggregation/Dossier.ts"
import * as Examiner from "../../aggregation/evidence/Examiner.ts"
import * as NameOwners from "../../aggregation/evidence/NameOwners.ts"
import * as Nip05Documents from "../../aggregation/evidence/Nip05Documents.ts"
import * as Picture from "../../aggregation/evidence/Picture.ts"
import * as Posts from "../../aggregation/evidence/Posts.ts"
import * as RememberedPictures from "../../aggregation/evidence/RememberedPictures.ts"
import * as RelayPool from "../../aggregation/upstream/RelayPool.ts"
import { Settings } from "../../config/Settings.ts"
import { Verifier } from "../../crypto/Verifier.ts"
import * as Archive from "../../database/Archive.ts"
import { Database } from "../../database/Database.ts"
import * as Engine from "../../database/Engine.ts"
import type { Event } from "../../domain/Event.ts"
import { profileKind } from "../../domain/Kinds.ts"
import { profileOf } from "../../domain/Profile.ts"
import { npubOf, pubkeyOf } from "../../domain/PublicKey.ts"
import type { Facts, Verdict } from "../../domain/Quality.ts"
import type { RuleRow } from "../../domain/RuleTable.ts"
import { standingSaid } from "../../domain/Standing.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import { escape } from "../../observability/Escape.ts"
import * as DataCommand from "../DataCommand.ts"
import { flag } from "../flags.ts"
import { quietServiceFlags } from "../Root.ts"
import * as Stdout from "../Stdout.ts"
import { verifierLayer } from "../verifierLayer.ts"

const file = Layer.provideMerge(Archive.databaseLayer, Engine.archive)

const remembered = Layer.provideMerge(
  Layer.mergeAll(Verdicts.layer, Moderation.layer, Moderation.takenDownLayer, RememberedPictures.layer),
  file
)

/** Nobody is asked. */
const unasked = Layer.succeed(Nip05Documents.Nip05Documents, {
  lookUp: () => Effect.succeed({ _tag: "Unanswered", reason: "not checked yet", retryAfter: 0 })
})

/** What is needed to explain by what is known. */
const components = Layer.provideMerge(Layer.provide(NameOwners.layer, unasked), remembered)

/** What is needed to find out. */
const askingComponents = Posts.layer.pipe(
  Layer.provideMerge(NameOwners.layer),
  Layer.provideMerge(Nip05Documents.layer),
  Layer.provideMerge(RelayPool.layer),
  Layer.provideMerge(Picture.layer),
  Layer.provideMerge(network),
  Layer.provideMerge(verifierLayer),
  Layer.provideMerge(remembered)
)

/** The newest profile that an upstream has and that its author has signed. */
const asked = Effect.fnUntraced(function*(pubkey: string) {
  const { outboxRelays, upstreams } = yield* Settings
  const pool = yield* RelayPool.RelayPool
  const verifier = yield* (yield* Verifier).sender("explain")
  const filter = { authors: [pubkey], kinds: [profileKind], limit: 1 }
  const answers = yield* Effect.forEach(
    [...new Set([...upstreams, ...outboxRelays])],
    (url) =>
      Effect.flatMap(Effect.result(pool.ask(url, [filter])), (answer) =>
        Effect.gen(function*() {
          if (answer._tag === "Failure") {
            yield* Effect.logWarning("relay did not answer").pipe(
              Effect.annotateLogs({ upstream: url, reason: answer.failure.message })
            )
            return []
          }
          const found: Array<Candidate> = []
          for (const event of answer.success.slice(0, 4)) {
            if (event.pubkey !== pubkey || event.kind !== profileKind) continue
            if ((yield* verifier.verify(event)) === "Valid") found.push({ event, from: `at ${url}`, isStored: false })
          }
          return found
        })),
    { concurrency: 8 }
  )
  return answers.flat()
})

const marks = { ok: "ok", rejected: "NO", unanswered: "?", skipped: "-" } as const

const lineOf = ({ fact, reason, rule, status }: RuleRow): string =>
  `${marks[status].padEnd(3)} ${rule.padEnd(13)} ${escape(fact, 100)}${reason === undefined ? "" : `: ${reason}`}`

/** Why a stored profile stands where it does in searches. */
const standingOf = Effect.fnUntraced(function*({ content, pubkey }: Event) {
  const profile = profileOf(content, Infinity)
  const name = typeof profile === "string" ? undefined : yield* nameKnownOf(pubkey, profile.nip05)
  const [ranked] = yield* (yield* Database).ranked([pubkey])
  return standingSaid({
    bucket: ranked?.bucket,
    nip05Verified: name?.verified,
    resembles: ranked?.resembles,
    trustedFollowers: ranked?.trustedFollowers,
    rankedAt: ranked?.rankedAt
  })
})

const verdictLine = (verdict: Verdict): string =>
  verdict._tag === "Accepted"
    ? "accepted: nothing known speaks against it"
    : `${verdict._tag.toLowerCase()}: ${verdict.reason}`

const explained = Effect.fnUntraced(function*<E, R>(
  pubkey: string,
  found: ReadonlyArray<Candidate>,
  gather: (event: Event) => Effect.Effect<Facts, E, R>
) {
  const { admission } = yield* Settings
  const head = [`author      ${npubOf(pubkey)}`, `            ${pubkey}`]
  const { decided, memories, older, profile, rules, verdict } = yield* explanationOf(pubkey, found, gather)
  if (profile === undefined || verdict === undefined) {
    return yield* Stdout.lines([...head, "profile     none is stored, and none waits to be checked"])
  }
  return yield* Stdout.lines([
    ...head,
    `profile     ${profile.event.id}, ${profile.from}`,
    ...older.map(({ event, from }) => `older       ${event.id}, ${from}`),
    ...decided.map((text) => `operator    ${text}`),
    ...(admission === "open" ? ["admission   open: no rule is asked, any valid event is kept"] : []),
    "",
    ...rules.map(lineOf),
    "",
    `verdict     ${verdictLine(verdict)}`,
    ...(profile.isStored ? [`order       ${yield* standingOf(profile.event)}`] : []),
    ...memories.map(([about, text]) => `${about.padEnd(12)}${text}`)
  ])
})

/** By what is known here. */
const explain = Effect.fn("Explain.explain")(function*(pubkey: string) {
  const found = [...(yield* stored(pubkey)), ...(yield* waiting(pubkey))]
  yield* explained(pubkey, found, Examiner.recall)
})

/** By what can be found out now. */
const explainAsking = Effect.fn("Explain.explainAsking")(function*(pubkey: string) {
  const found = [...(yield* stored(pubkey)), ...(yield* waiting(pubkey)), ...(yield* asked(pubkey))]
  yield* explained(pubkey, found, Examiner.inquire)
})

export const command = (host: ProcessHost) =>
  Command.make("explain", {
    author: Argument.String("pubkey").pipe(Argument.withDescription("Hex or npub.")),
    ask: flag("ask", "Ask upstreams, the picture's host and the author's relays, as the service would."),
    ...quietServiceFlags
  }, ({ ask, author, ...own }) => {
    const pubkey = pubkeyOf(author)
    const given = pubkey === undefined
      ? Effect.fail(DataCommand.usage("the public key must be 64 hex characters or npub1… with a correct checksum"))
      : Effect.succeed(pubkey)
    return ask
      ? DataCommand.run(host, own, { given, components: askingComponents }, explainAsking)
      : DataCommand.run(host, own, { given, components }, explain)
  }).pipe(
    Command.withDescription(
      "Say why an author's profile is kept or is not: every rule, the fact it goes by, and what it says. Reads what is " +
        "stored and remembered; with --ask, finds out anew. Changes nothing."
    ),
    Command.withExamples([{ command: "profile-aggregator explain npub1… --ask" }])
  )
