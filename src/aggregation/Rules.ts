/** The rules as the operator has set them, and a name for exactly this set of them. */
import { hash } from "node:crypto"
import type { SettingsShape } from "../Config.ts"
import * as Quality from "../domain/Quality.ts"

export const thresholdsOf = ({ limits, nip05, pictureMin }: SettingsShape): Quality.Thresholds => ({
  ...Quality.thresholds,
  createdAtFutureMax: limits.createdAtFutureMax,
  contentMax: limits.contentMax,
  pictureMin,
  nip05Required: nip05 === "require"
})

/** Changes with anything that could turn one of our rejections into something else: what was decided before is void then. */
export const rulesIdOf = (settings: SettingsShape): string => {
  const { fetchAllow, pictures, proof, proofKinds, proofQuorum } = settings
  const inputs = [1, thresholdsOf(settings), pictures, proof, proofKinds, proofQuorum, fetchAllow]
  return hash("sha256", JSON.stringify(inputs)).slice(0, 16)
}
