/**
 * What the operator has said about authors, events, kinds and addresses (NIP-86), remembered across restarts.
 *
 * Asked for every event, so it is all in memory; changed rarely, and then first on disk. A ban removes what is stored, and
 * keeps out what comes later, whoever brings it; of a picture, it keeps us from looking at it and from showing it, and leaves its
 * author alone. Deletions and requests to vanish are taken from anybody: that is their authors' right.
 */
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { Settings } from "../../config/Settings.ts"
import { Database, type DatabaseError, type DatabaseSender } from "../../database/Database.ts"
import type { Filter } from "../../domain/Filter.ts"
import { kindsWith, removalKinds } from "../../domain/Kinds.ts"
import type { ManagementRequest, Rule, Subject } from "../../domain/Management.ts"
import type { PictureUrl } from "../../domain/PictureUrl.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import { TakenDown } from "../evidence/TakenDown.ts"
import * as Space from "../Space.ts"

/** Ids that are removed in one write. */
const removedAtOnce = 500

/** A change to the rules. */
export type Change = Extract<ManagementRequest, { readonly _tag: "Put" | "Remove" }>

export class Moderation extends Context.Service<Moderation, {
  /** What stands of a pubkey, an event, a kind (`domain/Gate`); undefined where the operator has said nothing. */
  readonly stateOf: (subject: Subject, name: string) => Rule["state"] | undefined
  /** Profiles of this author are kept without a look at their quality. */
  readonly isTrusted: (pubkey: string) => boolean
  /** The rules of a sort, as they stand. For allowed kinds all that are kept, where not every kind is. */
  readonly rules: (subject: Subject, state: Rule["state"]) => ReadonlyArray<Rule>
  /** What a text of the relay's was changed to. */
  readonly text: (name: "name" | "description" | "icon") => string | undefined
  /** Is this picture taken down, by its host or by its SHA-256, which is its file's name or what was found by looking? */
  readonly isTakenDown: (url: PictureUrl, sha256?: string) => boolean
  /** Succeeds once the change is on disk and holds. `by` is the operator's pubkey. */
  readonly apply: (change: Change, by: string) => Effect.Effect<void, DatabaseError | MailboxClosed>
}>()("profile-aggregator/aggregation/admission/Moderation") {}

/** Rules by subject and name. */
export const space = Space.versioned("management", {
  state: Schema.Literals(["banned", "allowed", "changed"]),
  text: Schema.String,
  by: Schema.String,
  /** Unix milliseconds. */
  at: Schema.Int
})
type Stored = Space.Value<typeof space>

const subjects: ReadonlyArray<string> = ["pubkey", "event", "kind", "ip", "picture", "relay"] satisfies ReadonlyArray<
  Subject
>
const isSubject = (text: string): text is Subject => subjects.includes(text)

const keyOf = (subject: Subject, name: string): string => `${subject} ${name}`

const ruleOf = ({ key, value }: Space.Kept<Stored>): Rule | undefined => {
  const at = key.indexOf(" ")
  const subject = key.slice(0, at)
  if (!isSubject(subject) || value === undefined) return undefined
  return { subject, name: key.slice(at + 1), state: value.state, text: value.text }
}

const make = Effect.fnUntraced(function*() {
  const { admission, listKinds } = yield* Settings
  const database = yield* Database
  const standing = new Map<string, Rule>()
  for (const kept of yield* space.all(database)) {
    const rule = ruleOf(kept)
    if (rule !== undefined) standing.set(kept.key, rule)
  }

  // Most operators have said nothing, and this is asked of every event.
  const stateOf = (subject: Subject, name: string) =>
    standing.size === 0 ? undefined : standing.get(keyOf(subject, name))?.state

  const isPictureBanned = (name: string | undefined): boolean =>
    name !== undefined && stateOf("picture", name) === "banned"

  const isTakenDown = (url: PictureUrl, sha256?: string): boolean => {
    if (standing.size === 0) return false
    if (isPictureBanned(sha256)) return true
    if (url._tag !== "Web") return false
    if (isPictureBanned(url.sha256) || isPictureBanned(url.host)) return true
    // A host stands for all below it.
    for (let dot = url.host.indexOf("."); dot >= 0; dot = url.host.indexOf(".", dot + 1)) {
      if (isPictureBanned(url.host.slice(dot + 1))) return true
    }
    return false
  }

  /** Removes what is stored of somebody, however much that is. */
  const remove = Effect.fnUntraced(function*(sender: DatabaseSender, filter: Filter) {
    for (;;) {
      const { ids, timestamps } = yield* database.items(filter, { itemsMax: removedAtOnce })
      if (timestamps.length === 0) return
      const hex = Array.from(timestamps, (_, i) => Buffer.from(ids.subarray(32 * i, 32 * i + 32)).toString("hex"))
      yield* sender.write([{ _tag: "Delete", ids: hex }])
    }
  })

  const apply = Effect.fn("Moderation.apply")(function*(change: Change, by: string) {
    // Rare enough to hold a sender for its own time only.
    const sender = yield* database.sender("aggregation/moderation")
    if (change._tag === "Remove") {
      const { name, state, subject } = change
      if (stateOf(subject, name) !== state) return
      yield* sender.write([space.drop(keyOf(subject, name))])
      standing.delete(keyOf(subject, name))
      return
    }
    const { name, state, subject, text } = change.rule
    const at = yield* Clock.currentTimeMillis
    yield* sender.write([space.put(keyOf(subject, name), { state, text, by, at })])
    standing.set(keyOf(subject, name), change.rule)
    if (state !== "banned") return
    if (subject === "pubkey") yield* sender.write([{ _tag: "DeleteAuthor", pubkey: name }])
    if (subject === "event") yield* remove(sender, { ids: [name] })
    if (subject === "kind") yield* remove(sender, { kinds: [Number(name)] })
  }, Effect.scoped)

  return Moderation.of({
    stateOf,
    isTrusted: (pubkey) => stateOf("pubkey", pubkey) === "allowed",
    rules: (subject, state) => {
      const rules = [...standing.values()].filter((rule) => rule.subject === subject && rule.state === state)
      if (subject !== "kind" || state !== "allowed" || admission === "open") return rules
      const usual = [...kindsWith(listKinds).kept, ...removalKinds].filter((kind) =>
        stateOf("kind", String(kind)) === undefined
      )
      return [...rules, ...usual.map((kind): Rule => ({ subject, name: String(kind), state, text: "" }))]
    },
    isTakenDown,
    text: (name) => standing.get(keyOf("relay", name))?.text,
    apply
  })
})

export const layer: Layer.Layer<Moderation, DatabaseError, Database | Settings> = Layer.effect(
  Moderation,
  make()
)

/** What the operator has said of pictures, for those who look at them. */
export const takenDownLayer: Layer.Layer<never, DatabaseError, Database | Settings> = Layer.provide(
  Layer.effect(TakenDown, Moderation.useSync(({ isTakenDown }) => isTakenDown)),
  layer
)
