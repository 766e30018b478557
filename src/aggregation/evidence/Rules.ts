/** The rules as the operator has set them, for the judge, for everybody to read, and a name for exactly this set of them. */
import { hash } from "node:crypto"
import type { SettingsShape } from "../../config/Settings.ts"
import type * as Quality from "../../domain/Quality.ts"

export const thresholdsOf = ({ limits, nip05, pictureMin, proofMin, rules }: SettingsShape): Quality.Thresholds => ({
  createdAtMin: rules.createdAtMin,
  createdAtFutureMax: limits.createdAtFutureMax,
  contentMax: limits.contentMax,
  nameMin: rules.nameMin,
  aboutMin: rules.aboutMin,
  deletedNames: rules.deletedNames,
  bridges: {
    tags: rules.bridgeTags,
    labels: rules.bridgeLabels,
    domains: rules.bridgeDomains,
    addresses: rules.bridgeAddresses === "on",
    names: rules.bridgeNames
  },
  pictureUrl: {
    urlMax: rules.pictureUrlMax,
    schemes: rules.pictureSchemes.map((scheme) => `${scheme}:`),
    addressHosts: rules.pictureAddressHosts === "on",
    pageHosts: rules.picturePageHosts,
    placeholders: rules.picturePlaceholders
  },
  pictureMin,
  textNotesMin: proofMin,
  nip05Required: nip05 === "require"
})

/** Changes with anything that could turn one of our rejections into something else: what was decided before is void then. Takes `settings.now`. */
export const rulesIdOf = (settings: SettingsShape): string => {
  const known = ids.get(settings)
  if (known !== undefined) return known
  const { admission, fetchAllow, pictures, proof, proofKinds, proofQuorum } = settings
  const inputs = [1, admission, thresholdsOf(settings), pictures, proof, proofKinds, proofQuorum, fetchAllow]
  const id = hash("sha256", JSON.stringify(inputs)).slice(0, 16)
  ids.set(settings, id)
  return id
}

/** Asked for with every event that is judged. By what never changes: `settings.now`. */
const ids = new WeakMap<SettingsShape, string>()

/** The same for everybody to read (NIP-11), by names that a client would look for. Missing: no such rule is on. */
export const publishedRules = (settings: SettingsShape) => {
  const { nip05, pictures, proof, proofKinds, proofQuorum } = settings
  const { bridges, pictureMin, pictureUrl, ...own } = thresholdsOf(settings)
  return {
    created_at_min: own.createdAtMin,
    name_min: own.nameMin,
    about_min: own.aboutMin,
    deleted_names: own.deletedNames,
    bridge: bridges,
    picture_url: {
      max_length: pictureUrl.urlMax,
      schemes: pictureUrl.schemes.map((scheme) => scheme.slice(0, -1)),
      address_hosts: pictureUrl.addressHosts,
      page_hosts: pictureUrl.pageHosts,
      placeholders: pictureUrl.placeholders
    },
    ...(pictures === "on" ? { picture_min: pictureMin } : {}),
    ...(proof === "on" ? { posts: { kinds: proofKinds, min: own.textNotesMin, quorum: proofQuorum } } : {}),
    ...(nip05 === "off" ? {} : { nip05 })
  }
}
