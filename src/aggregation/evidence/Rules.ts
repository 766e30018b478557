/** The rules as the operator has set them, for everybody to read, and a name for exactly this set of them. */
import { hash } from "node:crypto"
import { type SettingsShape, valueOf } from "../../config/Settings.ts"
import { rows, type Setting } from "../../config/SettingsTable.ts"

/** Changes with anything that could turn one of our rejections into something else: what was decided before is void then. Takes `settings.now`. */
export const rulesIdOf = (settings: SettingsShape): string => {
  const known = ids.get(settings)
  if (known !== undefined) return known
  const {
    admission,
    fetchAllow,
    limits,
    nip05,
    pictureMin,
    pictures,
    proof,
    proofKinds,
    proofMin,
    proofQuorum,
    rules
  } = settings
  const { contentMax, createdAtFutureMax } = limits
  const asked = [pictures, pictureMin, fetchAllow, proof, proofKinds, proofMin, proofQuorum, nip05 === "require"]
  const inputs = [2, admission, rules, contentMax, createdAtFutureMax, asked]
  const id = hash("sha256", JSON.stringify(inputs)).slice(0, 16)
  ids.set(settings, id)
  return id
}

/** Asked for with every event that is judged. By what never changes: `settings.now`. */
const ids = new WeakMap<SettingsShape, string>()

/** `NAME_MIN` as `name_min`; rules about bridges and about the URL of a picture stand together. */
const publishedName = ({ published, variable }: Setting<unknown>): string =>
  published ?? variable.toLowerCase().replace(/^bridge_/, "bridge.").replace(/^picture_/, "picture_url.")

/** A value among others, under a name with dots where it stands in a group. */
const publish = (all: Record<string, unknown>, name: string, value: unknown): void => {
  const [first = "", second] = name.split(".")
  if (second === undefined) all[first] = value
  else all[first] = { ...all[first] as object | undefined, [second]: value }
}

/** The same for everybody to read (NIP-11), by names that a client would look for. Missing: no such rule is on. */
export const publishedRules = (settings: SettingsShape): Readonly<Record<string, unknown>> => {
  const { nip05, pictureMin, pictures, proof, proofKinds, proofMin, proofQuorum } = settings
  const published: Record<string, unknown> = {}
  for (const row of rows) {
    if (row.path[0] !== "rules") continue
    publish(published, publishedName(row.setting), valueOf(settings, row))
  }
  if (pictures === "on") published["picture_min"] = pictureMin
  if (proof === "on") published["posts"] = { kinds: proofKinds, min: proofMin, quorum: proofQuorum }
  if (nip05 !== "off") published["nip05"] = nip05
  return published
}
