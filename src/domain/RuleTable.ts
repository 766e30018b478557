/**
 * The rules one by one: what each says of a profile, and by which fact.
 *
 * A rule is asked alone by judging a profile that is flawless but for that rule's fact, so that this table repeats no rule
 * and cannot disagree with the judge. Pure.
 */
import { nip05TextOf } from "./Nip05.ts"
import type { Profile } from "./Profile.ts"
import { type Facts, isDeleted, judge, type Policy, type Verdict } from "./Quality.ts"

export interface RuleRow {
  readonly rule: string
  /** `skipped`: nothing to judge, or nobody was asked. */
  readonly status: "ok" | "rejected" | "unanswered" | "skipped"
  /** Text of strangers among it is as they wrote it. */
  readonly fact: string
  /** Why not `ok`. */
  readonly reason: string | undefined
}

/** Long enough for any rule. */
const long = "x".repeat(10_000)

const flawlessProfile: Profile = {
  name: long,
  displayName: "",
  about: long,
  picture: "https://images.example/picture.png",
  banner: "",
  website: "",
  nip05: "",
  lud06: "",
  lud16: "",
  bot: false,
  deleted: false,
  ignored: []
}

const flawless = (facts: Facts): Facts => ({
  createdAt: facts.now,
  now: facts.now,
  profile: flawlessProfile,
  bridge: undefined,
  pictureUrl: { _tag: "Inline", mediaType: "image/png" },
  nip05Name: { local: "name", domain: "names.example" },
  nip05: undefined,
  picture: undefined,
  textNotes: undefined
})

const rowOf = (rule: string, fact: string, verdict: Verdict): RuleRow => {
  switch (verdict._tag) {
    case "Accepted":
      return { rule, status: "ok", fact, reason: undefined }
    case "Rejected":
      return { rule, status: "rejected", fact, reason: verdict.reason }
    default:
      return { rule, status: "unanswered", fact, reason: verdict.reason }
  }
}

const skipped = (rule: string, fact: string): RuleRow => ({ rule, status: "skipped", fact, reason: undefined })

const quoted = (text: string): string => text === "" ? "none" : JSON.stringify(text)

/** Unix seconds as a date, as far as there are dates. */
export const timeOf = (seconds: number): string =>
  Number.isFinite(seconds) && seconds < 8.64e12 ? new Date(seconds * 1000).toISOString() : String(seconds)

const pictureFact = (picture: NonNullable<Facts["picture"]>): string => {
  if (picture._tag === "Image") return `${picture.size.width} x ${picture.size.height} pixels`
  return picture._tag === "NoImage" ? picture.reason : "nobody could tell"
}

const nip05Fact = ({ nip05, nip05Name }: Facts): string => {
  if (typeof nip05Name === "string") return nip05Name
  const name = nip05TextOf(nip05Name)
  if (nip05 === undefined) return `${name}, nobody was asked`
  if (nip05._tag === "Unanswered") return `${name}, nobody could tell`
  return nip05._tag === "Verified" ? `${name}, its author's` : `${name}, ${nip05.reason}`
}

/** Every rule in the order in which they are asked. `policy` is the operator's. */
export const ruleTable = (facts: Facts, policy: Policy): ReadonlyArray<RuleRow> => {
  const alone = (rule: string, fact: string, own: Partial<Facts>) =>
    rowOf(rule, fact, judge({ ...flawless(facts), ...own }, policy))
  const { bridge, nip05, nip05Name, picture, pictureUrl, profile, textNotes } = facts
  const rows = [
    alone("created_at", timeOf(facts.createdAt), { createdAt: facts.createdAt }),
    alone("content", typeof profile === "string" ? profile : "a JSON object", {
      profile: typeof profile === "string" ? profile : flawlessProfile
    })
  ]
  if (typeof profile === "string") return [...rows, skipped("all others", "there is no profile to judge")]
  const of = (fields: Partial<Profile>): Partial<Facts> => ({ profile: { ...flawlessProfile, ...fields } })
  const { about, displayName, name } = profile
  const deleted = isDeleted(profile, policy.rules)
  return [
    ...rows,
    alone("no bridge", bridge ?? "no mark of one", { bridge }),
    alone("not deleted", deleted ? "its author says the account is deleted" : "nothing says so", of({ deleted })),
    alone("name", quoted(displayName === "" ? name : displayName), of({ name, displayName })),
    alone("about", quoted(about), of({ about })),
    alone("picture", quoted(profile.picture), of({ picture: profile.picture })),
    profile.picture === ""
      ? skipped("picture URL", "there is none")
      : alone("picture URL", pictureUrl._tag === "Web" ? pictureUrl.host : pictureUrl._tag, { pictureUrl }),
    policy.nip05 === "require" && (nip05 !== undefined || typeof nip05Name === "string")
      ? alone("NIP-05 name", nip05Fact(facts), { nip05, nip05Name })
      : skipped("NIP-05 name", nip05Fact(facts)),
    picture === undefined
      ? skipped("picture size", "nobody has looked")
      : alone("picture size", pictureFact(picture), { picture }),
    textNotes === undefined
      ? skipped("posts", "nobody was asked")
      : alone("posts", textNotes._tag === "Found" ? `${textNotes.count} found` : "nobody could tell", { textNotes })
  ]
}
