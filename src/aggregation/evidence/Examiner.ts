/**
 * The rules a profile is held to, once it is known to be its author's: gathers facts, lets `domain/Quality` decide.
 *
 * Facts come in the order of their cost, and none is gathered once a rule has said no: the event itself, then the domain of
 * its NIP-05 name, the picture's host, relays that may have seen its author post. What was found out is remembered by what it depends on
 * (the picture's URL, the author), so that a later version is asked about only where it differs.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { Settings } from "../../config/Settings.ts"
import type { CryptoError } from "../../crypto/Verifier.ts"
import type { DatabaseError, Operation } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import type { PictureUrl } from "../../domain/PictureUrl.ts"
import * as Quality from "../../domain/Quality.ts"
import { secondsOf } from "../../domain/Time.ts"
import { HostBudgets } from "../../fetch/HostBudgets.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import { NameOwners } from "./NameOwners.ts"
import { factOf, Picture, type PictureOutcome } from "./Picture.ts"
import { PictureStore } from "./PictureStore.ts"
import { Posts, recallPosts } from "./Posts.ts"
import { type IsTakenDown, TakenDown } from "./TakenDown.ts"

export interface Examination {
  readonly verdict: Quality.Verdict
  /** Verified events by the same author that were met on the way: lists to keep if the profile is kept. */
  readonly companions: ReadonlyArray<Event>
  /** What was found out, to be written whatever the verdict. */
  readonly operations: ReadonlyArray<Operation>
  /** To be written with the profile if it is stored. */
  readonly onceStored: ReadonlyArray<Operation>
}

/** Our side failed, so that nothing can be said about the profile. */
export type ExaminerError = DatabaseError | CryptoError | MailboxClosed

export class Examiner extends Context.Service<Examiner, {
  /** By what the event says itself. `Accepted`: nothing speaks against it so far. Asks nobody. */
  readonly glance: (event: Event) => Effect.Effect<Quality.Verdict>
  /** Whether `examine` has to ask anybody. */
  readonly asks: boolean
  /** By all that can be found out. Bounded in time, and may be interrupted at any moment. */
  readonly examine: (event: Event) => Effect.Effect<Examination, ExaminerError>
  /** What to write with a profile that is stored without having been examined; absent: nothing, ever. */
  readonly onStored?: (event: Event) => Effect.Effect<ReadonlyArray<Operation>, DatabaseError>
}>()("profile-aggregator/aggregation/evidence/Examiner") {}

/** A verdict that nothing was found out for. */
export const withoutFacts = (verdict: Quality.Verdict): Examination => ({
  verdict,
  companions: [],
  operations: [],
  onceStored: []
})

const factsNow = (event: Event, policy: Quality.Policy) =>
  Effect.map(Clock.currentTimeMillis, (now) => Quality.factsOf(event, secondsOf(now), policy))

/** A picture that the operator has taken down says nothing about its author: not for them, and not against. */
const factOfShown = (isTakenDown: IsTakenDown, url: PictureUrl, outcome: PictureOutcome): Quality.Facts["picture"] => {
  const sha256 = outcome._tag === "Known" ? outcome.facts.sha256 : undefined
  return isTakenDown(url, sha256) ? undefined : factOf(outcome)
}

/**
 * All facts about a profile as far as they are known here, whatever the rules make of them. Contacts nobody: what nobody has
 * found out yet is missing.
 */
export const recall = Effect.fn("Examiner.recall")(function*(event: Event) {
  const names = yield* NameOwners
  const pictures = yield* PictureStore
  const said = yield* factsNow(event, (yield* Settings).now)
  const { nip05Name, pictureUrl } = said
  const look = pictureUrl._tag === "Web" ? yield* pictures.get(pictureUrl.url) : undefined
  const { bridge, textNotes } = yield* recallPosts(event.pubkey)
  return {
    ...said,
    nip05: typeof nip05Name === "string" ? undefined : yield* names.recall(event.pubkey, nip05Name),
    picture: look === undefined ? undefined : factOfShown(
      yield* TakenDown,
      pictureUrl,
      look.outcome._tag === "Unanswered"
        ? { ...look.outcome, retryAfter: 0 }
        : { ...look.outcome, checkedAt: look.checkedAt }
    ),
    textNotes,
    bridge: said.bridge ?? bridge
  } satisfies Quality.Facts
})

/** The same, asking everybody whom a rule that is on, or the settings, would have asked; not only up to the first refusal. */
export const inquire = Effect.fn("Examiner.inquire")(function*(event: Event) {
  const { nip05, now: policy, pictures, proof } = yield* Settings
  const names = yield* NameOwners
  const picture = yield* Picture
  const posts = yield* Posts
  const said = yield* factsNow(event, policy)
  const { nip05Name, pictureUrl, profile } = said
  const isTakenDown = yield* TakenDown
  const look = pictures === "off" || typeof profile === "string" || pictureUrl._tag === "Refused" ||
      isTakenDown(pictureUrl)
    ? undefined
    : factOfShown(
      isTakenDown,
      pictureUrl,
      yield* picture.look(pictureUrl._tag === "Web" ? pictureUrl.url : profile.picture)
    )
  const named = nip05 === "off" || typeof nip05Name === "string"
    ? undefined
    : (yield* names.check(event.pubkey, nip05Name)).fact
  const proved = proof === "off" ? undefined : yield* posts.prove(event.pubkey)
  return {
    ...said,
    nip05: named,
    picture: look,
    textNotes: proved?.textNotes,
    bridge: said.bridge ?? proved?.bridge
  } satisfies Quality.Facts
})

const glanceWith = (policy: Quality.Policy) => (event: Event) =>
  Effect.map(factsNow(event, policy), (facts) => Quality.judge(facts, policy))

const make = Effect.fnUntraced(function*() {
  const settings = yield* Settings
  const picture = yield* Picture
  const posts = yield* Posts
  const nip05 = yield* NameOwners
  const isTakenDown = yield* TakenDown
  const budgets = yield* HostBudgets

  /** Our own pace: everybody who waits for this host gets a turn of their own, instead of all trying at once. */
  const paced = Effect.fnUntraced(
    function*<Fact extends NonNullable<Quality.Facts["nip05"] | Quality.Facts["picture"]>>(
      host: string,
      fact: Fact
    ) {
      if (fact._tag !== "Unanswered" || fact.reason !== "not checked in time") return fact
      return { ...fact, retryAfter: yield* budgets.later(host, fact.retryAfter) }
    }
  )

  const lookAtPicture = Effect.fnUntraced(function*({ pictureUrl, profile }: Quality.Facts) {
    if (settings.pictures === "off" || pictureUrl._tag === "Refused" || typeof profile === "string") return undefined
    if (isTakenDown(pictureUrl)) return undefined
    const outcome = yield* picture.look(pictureUrl._tag === "Inline" ? profile.picture : pictureUrl.url)
    const fact = factOfShown(isTakenDown, pictureUrl, outcome)
    return fact === undefined || pictureUrl._tag === "Inline" ? fact : yield* paced(pictureUrl.host, fact)
  })

  /** Where the name decides nothing, it is looked at when the profile is stored. */
  const askDomain = Effect.fnUntraced(function*(event: Event, { nip05Name }: Quality.Facts) {
    if (settings.nip05 !== "require" || typeof nip05Name === "string") {
      return { fact: undefined, operations: [], onceStored: yield* nip05.onStored(event) }
    }
    const checked = yield* nip05.check(event.pubkey, nip05Name)
    return { ...checked, fact: yield* paced(nip05Name.domain, checked.fact) }
  })

  const examineBy = Effect.fnUntraced(function*(event: Event, policy: Quality.Policy) {
    const said = yield* factsNow(event, policy)
    const first = Quality.judge(said, policy)
    if (first._tag !== "Accepted") return withoutFacts(first)

    const { fact, onceStored, operations } = yield* askDomain(event, said)
    const named: Quality.Facts = { ...said, nip05: fact }
    const second = Quality.judge(named, policy)
    if (second._tag !== "Accepted") return { ...withoutFacts(second), operations }

    const seen: Quality.Facts = { ...named, picture: yield* lookAtPicture(said) }
    const third = Quality.judge(seen, policy)
    if (third._tag !== "Accepted" || settings.proof === "off") {
      return { ...withoutFacts(third), operations, onceStored }
    }

    const { bridge, companions, operations: proved, textNotes } = yield* posts.prove(event.pubkey)
    const verdict = Quality.judge({ ...seen, bridge, textNotes }, policy)
    return { verdict, companions, operations: [...operations, ...proved], onceStored }
  })

  return Examiner.of({
    get asks() {
      return settings.pictures === "on" || settings.proof === "on" || settings.nip05 === "require"
    },

    glance: glanceWith(settings),

    examine: Effect.fn("Examiner.examine")(function*(event) {
      for (;;) {
        const policy = settings.now
        const examination = yield* examineBy(event, policy)
        // Rules that have changed meanwhile have not been asked yet; most facts are known by now.
        if (settings.now === policy) return examination
      }
    }),

    onStored: nip05.onStored
  })
})

/** Judges by the event alone, whatever the settings say. */
export const layer: Layer.Layer<Examiner, never, Settings> = Layer.effect(
  Examiner,
  Effect.map(Settings, (settings) => {
    const glance = glanceWith(settings)
    return Examiner.of({ asks: false, glance, examine: (event) => Effect.map(glance(event), withoutFacts) })
  })
)

/** Asks pictures' hosts and authors' relays too, where the settings say so. */
export const layerNetwork: Layer.Layer<Examiner, never, Settings | HostBudgets | NameOwners | Picture | Posts> = Layer
  .effect(Examiner, make())
