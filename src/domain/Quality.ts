/**
 * Facts in, verdict out: the rules that decide whether a profile is worth keeping.
 *
 * Rules run from the cheapest to the dearest, so the first refusal is also the cheapest one. What only the network can
 * tell is gathered after everything else has passed, and judged again with it.
 */
import { type BridgeEvidence, bridgeEvidenceOf, type BridgeRules } from "./Bridge.ts"
import type { Event } from "./Event.ts"
import { type Nip05Name, nip05NameOf } from "./Nip05.ts"
import { type PictureUrl, pictureUrlOf, type PictureUrlProblem, type PictureUrlRules } from "./PictureUrl.ts"
import { comparable, isBlank, type Profile, profileOf, type ProfileProblem, showsAtLeast } from "./Profile.ts"

/** What the rules say about one profile, cheapest first, then what admission says about other kinds. */
export type RejectionReason =
  | "created_at is too far ahead"
  | "created_at is too old"
  | ProfileProblem
  | "bridged account"
  | "account deleted"
  | "no name"
  | "name is too short"
  | "no about"
  | "about is too short"
  | "no picture"
  | PictureUrlProblem
  | "no NIP-05 name"
  | "NIP-05 name is malformed"
  | Nip05Problem
  | PictureProblem
  | "no text note"
  | "kind is not kept here"
  | "author has no accepted profile"
  | "protected event"
  | "a newer version was rejected"
  | "banned by the operator"
  | "set aside after a crash"

/** The domain answered, and its document does not say that the name is the author's. */
export type Nip05Problem =
  | "NIP-05 name is not listed"
  | "NIP-05 name belongs to another key"
  | "NIP-05 domain is not public"

/** The host answered, and what it has is no picture. */
export type PictureProblem =
  | "picture is gone"
  | "picture is not an image"
  | "picture target is not public"
  | "picture is too small"

/** Who did not answer, or has not been asked yet. */
export type UndeterminedReason =
  | "not checked yet"
  | "NIP-05 domain did not answer"
  | "NIP-05 domain asked for a pause"
  | "picture host did not answer"
  | "picture host asked for a pause"
  | "outbox relays did not answer"
  | "not checked in time"
  | "stopping"

/** A host that names a time is taken at its word so often in a row, however short that is; then it is asked at our own pace. */
const pausesBelieved = 3

/** Is the time that came with this answer, the `attempts`-th in a row, all that is waited for? */
export const isBelievedPause = (reason: UndeterminedReason, attempts: number): boolean =>
  attempts <= pausesBelieved &&
  (reason === "picture host asked for a pause" || reason === "NIP-05 domain asked for a pause")

/** What admission decided about one event. */
export type Verdict =
  | { readonly _tag: "Accepted" }
  /** A rule said no on evidence about this version. */
  | { readonly _tag: "Rejected"; readonly reason: RejectionReason }
  /** The world did not answer; `retryAfter` is a delay in milliseconds. Never blocks or removes anything. */
  | { readonly _tag: "Undetermined"; readonly reason: UndeterminedReason; readonly retryAfter: number }

export const Accepted: Verdict = { _tag: "Accepted" }

export const Rejected = (reason: RejectionReason): Extract<Verdict, { readonly _tag: "Rejected" }> => ({
  _tag: "Rejected",
  reason
})

export const Undetermined = (
  reason: UndeterminedReason,
  retryAfter: number
): Extract<Verdict, { readonly _tag: "Undetermined" }> => ({ _tag: "Undetermined", reason, retryAfter })

/** A fact that had to be asked for, and was not answered; `retryAfter` in milliseconds. */
export interface Unanswered {
  readonly _tag: "Unanswered"
  readonly reason: UndeterminedReason
  readonly retryAfter: number
}

/** Pixels as shown, after EXIF orientation. */
export interface Size {
  readonly width: number
  readonly height: number
}

/** What is known about one profile. */
export interface Facts {
  /** Unix seconds, the event's and ours. */
  readonly createdAt: number
  readonly now: number
  readonly profile: Profile | ProfileProblem
  /** Of this event, or of any other by its author. */
  readonly bridge: BridgeEvidence | undefined
  readonly pictureUrl: PictureUrl
  readonly nip05Name: Nip05Name | "none" | "malformed"
  /** From the network: whose the NIP-05 name is; undefined until it has been gathered, or where it is not asked for. */
  readonly nip05:
    | { readonly _tag: "Verified" }
    | { readonly _tag: "NotVerified"; readonly reason: Nip05Problem }
    | Unanswered
    | undefined
  /** From the network; undefined as above. */
  readonly picture:
    | { readonly _tag: "Image"; readonly size: Size }
    | { readonly _tag: "NoImage"; readonly reason: PictureProblem }
    | Unanswered
    | undefined
  /** From the network: how many verified text notes were found; undefined as above. */
  readonly textNotes: { readonly _tag: "Found"; readonly count: number } | Unanswered | undefined
}

/** What an operator asks of a profile by what it says itself. The settings decode to it, name by name. */
export interface Rules extends BridgeRules, PictureUrlRules {
  /** Unix seconds, inclusive. */
  readonly createdAtMin: number
  /** Characters that show something; 0: there need be none. */
  readonly nameMin: number
  readonly aboutMin: number
  /** What clients call an account that its owner has deleted, by what is shown. */
  readonly deletedNames: ReadonlyArray<string>
}

/** All that a profile is judged by, as it stands in the settings. */
export interface Policy {
  readonly rules: Rules
  readonly limits: {
    /** Seconds ahead of our clock, inclusive. An event of the future would shadow every later one. */
    readonly createdAtFutureMax: number
    /** Unicode characters. */
    readonly contentMax: number
  }
  /** Pixels, inclusive: a portrait's, which a square meets from its height upwards. */
  readonly pictureMin: Size
  /** Events that prove that an author posts. */
  readonly proofMin: number
  /** `require`: a profile must have a NIP-05 name that is its author's. */
  readonly nip05: "off" | "check" | "require"
}

const nip05Of = (text: string): Facts["nip05Name"] => text === "" ? "none" : nip05NameOf(text) ?? "malformed"

/** All that a kind 0 event says by itself; `now` in Unix seconds. */
export const factsOf = (event: Event, now: number, policy: Policy): Facts => {
  const profile = profileOf(event.content, policy.limits.contentMax)
  const decoded = typeof profile === "string" ? undefined : profile
  return {
    createdAt: event.created_at,
    now,
    profile,
    bridge: bridgeEvidenceOf(event, decoded, policy.rules),
    pictureUrl: pictureUrlOf(decoded?.picture ?? "", policy.rules),
    nip05Name: nip05Of(decoded?.nip05 ?? ""),
    nip05: undefined,
    picture: undefined,
    textNotes: undefined
  }
}

/** Does the author say, in one of the ways clients do, that this account is gone? */
export const isDeleted = ({ about, deleted, displayName, name }: Profile, { deletedNames }: Rules): boolean => {
  if (deleted) return true
  const called = comparable(name === "" ? displayName : name)
  const names = new Set(deletedNames.map(comparable))
  return names.has(called) || (called === "nobody" && names.has(comparable(about)))
}

const judgeName = ({ displayName, name }: Profile, min: number): Verdict => {
  if (showsAtLeast(name, min) || showsAtLeast(displayName, min)) return Accepted
  return Rejected(isBlank(name) && isBlank(displayName) ? "no name" : "name is too short")
}

const judgeAbout = ({ about }: Profile, min: number): Verdict => {
  if (showsAtLeast(about, min)) return Accepted
  return Rejected(isBlank(about) ? "no about" : "about is too short")
}

const judgeProfile = (profile: Profile, pictureUrl: PictureUrl, rules: Rules): Verdict => {
  if (isDeleted(profile, rules)) return Rejected("account deleted")
  const name = judgeName(profile, rules.nameMin)
  if (name._tag !== "Accepted") return name
  const about = judgeAbout(profile, rules.aboutMin)
  if (about._tag !== "Accepted") return about
  if (isBlank(profile.picture)) return Rejected("no picture")
  return pictureUrl._tag === "Refused" ? Rejected(pictureUrl.reason) : Accepted
}

const judgeNip05 = ({ nip05, nip05Name }: Facts, isRequired: boolean): Verdict => {
  if (!isRequired) return Accepted
  if (nip05Name === "none") return Rejected("no NIP-05 name")
  if (nip05Name === "malformed") return Rejected("NIP-05 name is malformed")
  if (nip05 === undefined || nip05._tag === "Verified") return Accepted
  return nip05._tag === "NotVerified" ? Rejected(nip05.reason) : Undetermined(nip05.reason, nip05.retryAfter)
}

/** What a picture's size, or that there is none, says; nothing where nobody has looked. */
export const judgePicture = (picture: Facts["picture"], min: Size): Verdict => {
  if (picture === undefined) return Accepted
  if (picture._tag === "Unanswered") return Undetermined(picture.reason, picture.retryAfter)
  if (picture._tag === "NoImage") return Rejected(picture.reason)
  const { height, width } = picture.size
  return width >= min.width && height >= min.height ? Accepted : Rejected("picture is too small")
}

const judgeTextNotes = (textNotes: Facts["textNotes"], min: number): Verdict => {
  if (textNotes === undefined) return Accepted
  if (textNotes._tag === "Unanswered") return Undetermined(textNotes.reason, textNotes.retryAfter)
  return textNotes.count >= min ? Accepted : Rejected("no text note")
}

/**
 * Is this profile worth keeping, by what is known so far? `Accepted` means that nothing known speaks against it: a fact
 * that was not gathered is not judged. Evidence goes before silence, whichever fact it comes from.
 */
export const judge = (facts: Facts, policy: Policy): Verdict => {
  if (facts.createdAt > facts.now + policy.limits.createdAtFutureMax) return Rejected("created_at is too far ahead")
  if (facts.createdAt < policy.rules.createdAtMin) return Rejected("created_at is too old")
  if (typeof facts.profile === "string") return Rejected(facts.profile)
  if (facts.bridge !== undefined) return Rejected("bridged account")
  const profile = judgeProfile(facts.profile, facts.pictureUrl, policy.rules)
  if (profile._tag !== "Accepted") return profile
  const asked = [
    judgeNip05(facts, policy.nip05 === "require"),
    judgePicture(facts.picture, policy.pictureMin),
    judgeTextNotes(facts.textNotes, policy.proofMin)
  ]
  return asked.find(({ _tag }) => _tag === "Rejected") ?? asked.findLast(({ _tag }) => _tag === "Undetermined") ??
    Accepted
}
