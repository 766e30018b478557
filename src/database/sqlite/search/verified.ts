/** Whose NIP-05 names were verified, by their domain: SQL that finds keys of authors, and what it is asked with. */
import { verifiedNames } from "../../Spaces.ts"

/** Add `AND value = ?` for one name, and a limit. */
export const verifiedAt = `SELECT key FROM record INDEXED BY record_nip05
  WHERE space = '${verifiedNames}' AND substr(value, instr(value, '@')) = ?`

/** By what verified names at a domain are found: the end of their JSON text. */
export const atDomain = (domain: string): string => `@${domain}"`
