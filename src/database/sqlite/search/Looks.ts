/**
 * Who looks like whom: profiles with the same folded name and the same picture, and which of them was here first. Reads only,
 * so whoever asks about somebody hears what the ranking goes by.
 */
import { hash } from "node:crypto"
import type { DatabaseSync } from "node:sqlite"
import { nip05NameOf, nip05TextOf } from "../../../domain/Nip05.ts"
import { type Profile, profileOf } from "../../../domain/Profile.ts"
import { searchDocumentOf } from "../../../domain/SearchQuery.ts"
import type { Signals } from "../../../domain/Standing.ts"
import type { SpaceName } from "../../Spaces.ts"
import { prepare } from "../connection.ts"
import { prefixKey } from "../keys.ts"
import { RawEvent } from "../rawEvent.ts"
import { atDomain, verifiedAt } from "./verified.ts"

/** People with a verified name at one domain: of more, it is a provider. */
const ownDomainMax = 3

export interface RankedPerson {
  readonly seen: number
  readonly bucket: number
}

/** One of those who look alike. */
export interface Known extends Pick<Signals, "confirmed" | "seen"> {
  readonly key: number
  readonly pubkey: string
  readonly profile: Profile
}

/** Seconds by which somebody has to have been here earlier: what is met in one harvest comes in no order. */
const earlier = 86_400

export const isBefore = (a: Known, b: Known): boolean => {
  const own = Number(a.confirmed === "own domain") - Number(b.confirmed === "own domain")
  return own === 0 ? a.seen + earlier <= b.seen : own > 0
}

export const recordOf = (space: SpaceName) => `SELECT value FROM record WHERE space = '${space}' AND key = ?`

/** SQL of the newest profile of an author. */
export const newestProfile = `SELECT seq, raw FROM event INDEXED BY event_author WHERE pubkey_key = ? AND kind = 0
  ORDER BY created_at DESC, id_key LIMIT 1`

export class Looks {
  readonly #statements: ReturnType<typeof statementsOf>

  constructor(db: DatabaseSync) {
    this.#statements = statementsOf(db)
  }

  personOf(key: number): RankedPerson | undefined {
    const [seen, bucket] = this.#statements.person.get(key) ?? []
    return seen === undefined ? undefined : { seen: seen as number, bucket: bucket as number }
  }

  confirmed(pubkey: string, { nip05 }: Profile): Signals["confirmed"] {
    const name = nip05 === "" ? undefined : nip05NameOf(nip05)
    const [value] = name === undefined ? [] : this.#statements.verified.get(pubkey) ?? []
    if (name === undefined || value !== JSON.stringify(nip05TextOf(name))) return undefined
    const there = this.#statements.atDomain.all(atDomain(name.domain), ownDomainMax + 1)
    return there.length > ownDomainMax ? "provider" : "own domain"
  }

  /** Whom somebody resembles who was here first, or has the name by right (`isBefore`): a pubkey; undefined for most. */
  resembledBy(key: number): string | undefined {
    const me = this.#newest(key)
    if (me === undefined) return undefined
    for (const look of this.of(me.profile)) {
      const holder = this.holderOf(look)
      const other = holder === undefined || holder === key ? undefined : this.knownOf(holder, look)
      if (other !== undefined && isBefore(other, me)) return other.pubkey
    }
    return undefined
  }

  /** The key of whoever is remembered to have had a look first. */
  holderOf(look: number): number | undefined {
    return this.#statements.look.get(look)?.[0] as number | undefined
  }

  /** Who has held a look, where that is still so. */
  knownOf(key: number, look: number): Known | undefined {
    const known = this.#newest(key)
    return known !== undefined && this.of(known.profile).includes(look) ? known : undefined
  }

  #newest(key: number): Known | undefined {
    const person = this.personOf(key)
    const [, raw] = this.#statements.profile.get(key) ?? []
    if (person === undefined || raw === undefined) return undefined
    const event = new RawEvent(raw as string)
    const profile = profileOf(event.content, Infinity)
    if (typeof profile === "string") return undefined
    const { pubkey } = event
    return { key, pubkey, seen: person.seen, confirmed: this.confirmed(pubkey, profile), profile }
  }

  /** What a profile looks like: each of its names with its picture, by URL and, where it was looked at, by file. */
  of(profile: Profile): ReadonlyArray<number> {
    const { picture } = profile
    if (picture === "") return []
    const { displayName, name } = searchDocumentOf(profile)
    const names = new Set([name.joined, displayName.joined].filter((joined) => joined !== ""))
    const pictures = [picture, ...this.#filesOf(picture)]
    return [...names].flatMap((name) => pictures.map((one) => prefixKey(hash("sha256", `${name}\n${one}`, "hex"))))
  }

  /** Lengths and hashes by which two files are one. Of most only the beginning is read. */
  #filesOf(picture: string): ReadonlyArray<string> {
    const [value] = this.#statements.picture.get(picture) ?? []
    if (value === undefined) return []
    const { outcome } = JSON.parse(value as string) as { readonly outcome?: { readonly facts?: PictureFile } }
    const { bytes, head, sha256 } = outcome?.facts ?? {}
    return [
      ...(sha256 === undefined ? [] : [`sha256 ${sha256}`]),
      ...(head === undefined || bytes === undefined ? [] : [`head ${bytes} ${head}`])
    ]
  }
}

/** What a record of a picture says of its file. */
interface PictureFile {
  readonly bytes?: number
  readonly sha256?: string
  /** SHA-256 of the first 4,096 bytes. */
  readonly head?: string
}

const statementsOf = (db: DatabaseSync) => ({
  person: prepare(db, "SELECT seen, bucket FROM person WHERE pubkey_key = ?"),
  profile: prepare(db, newestProfile),
  look: prepare(db, "SELECT pubkey_key FROM look WHERE key = ?"),
  verified: prepare(db, recordOf("nip05")),
  picture: prepare(db, recordOf("picture")),
  atDomain: prepare(db, `${verifiedAt} LIMIT ?`)
})
