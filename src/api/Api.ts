/**
 * What programs may ask of the relay over HTTP, as schemas: the OpenAPI document, the page about it and any typed client come
 * from here, and no code of the server does.
 *
 * It only grows: fields and routes are added, and what goes one day says so for a year before (`deprecation`, RFC 9745).
 */
import { Effect, Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiError,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  OpenApi
} from "effect/http-api"

/** Of the description, not of the program: the first figure would change only if something went. */
export const version = "1.0.0"

export const Pubkey = Schema.String.pipe(
  Schema.check(Schema.isPattern(/^[0-9a-f]{64}$/u)),
  Schema.annotate({ identifier: "Pubkey", description: "A public key: 64 lower-case hex digits" })
)

/** npub, nprofile or hex: decoded by the handler, which says what is wrong with it. */
const AnyKey = Schema.String.pipe(
  Schema.check(Schema.isMaxLength(1000)),
  Schema.annotate({ description: "A public key as npub1…, nprofile1… or 64 hex digits" })
)

/** An event as it was signed (NIP-01). */
export const SignedEvent = Schema.Struct({
  id: Schema.String,
  pubkey: Pubkey,
  created_at: Schema.Finite,
  kind: Schema.Int,
  tags: Schema.Array(Schema.Array(Schema.String)),
  content: Schema.String,
  sig: Schema.String
}).pipe(Schema.annotate({ identifier: "Event", description: "A Nostr event as its author signed it (NIP-01)" }))

export const Nip05 = Schema.Struct({
  text: Schema.String.pipe(
    Schema.annotate({ description: "As people write it: name@domain, or only the domain for _@domain" })
  ),
  verified: Schema.optionalKey(
    Schema.Boolean.pipe(
      Schema.annotate({ description: "Whether the domain says that it is theirs; absent while nobody could tell" })
    )
  ),
  checkedAt: Schema.optionalKey(
    Schema.Finite.pipe(Schema.annotate({ description: "When the domain was asked: Unix seconds" }))
  )
}).pipe(Schema.annotate({ identifier: "Nip05" }))

/** Why somebody stands where they do among equal answers to a search. Counts are given, never who follows whom. */
const why = {
  bucket: Schema.optionalKey(
    Schema.Int.pipe(
      Schema.annotate({ description: "How well known the account is here, 0 to 15: it orders equal answers" })
    )
  ),
  trustedFollowers: Schema.optionalKey(
    Schema.Int.pipe(
      Schema.annotate({ description: "How many accounts that this relay trusts follow it; absent while uncounted" })
    )
  ),
  nip05Verified: Schema.optionalKey(
    Schema.Boolean.pipe(
      Schema.annotate({
        description: "Whether the domain of its NIP-05 name confirms it; absent while nobody could tell"
      })
    )
  ),
  resembles: Schema.optionalKey(Pubkey.pipe(
    Schema.annotate({
      description: "An account with the same folded name and picture that was here first or has the name by right"
    })
  )),
  rankedAt: Schema.optionalKey(
    Schema.Finite.pipe(Schema.annotate({ description: "When followers were counted: Unix seconds" }))
  )
}

/** What cards show; everything in it is also in the event, or known of its author. */
export const ProfileSummary = Schema.Struct({
  pubkey: Pubkey,
  npub: Schema.String,
  label: Schema.String.pipe(
    Schema.annotate({ description: "What to call them; never empty, without invisible characters" })
  ),
  name: Schema.optionalKey(Schema.String),
  about: Schema.optionalKey(Schema.String.pipe(Schema.annotate({ description: "At most 4,000 characters" }))),
  website: Schema.optionalKey(Schema.String),
  lud16: Schema.optionalKey(Schema.String),
  picture: Schema.String.pipe(Schema.annotate({ description: "Where the picture is served by this relay" })),
  nip05: Schema.optionalKey(Nip05),
  bot: Schema.optionalKey(Schema.Boolean),
  updatedAt: Schema.Finite.pipe(Schema.annotate({ description: "created_at of this version: Unix seconds" })),
  ...why,
  firstSeenAt: Schema.optionalKey(
    Schema.Finite.pipe(Schema.annotate({ description: "When the relay saw the account first: Unix seconds" }))
  )
}).pipe(Schema.annotate({ identifier: "ProfileSummary" }))

export const Profile = Schema.Struct({
  ...ProfileSummary.fields,
  event: SignedEvent,
  relayList: Schema.optionalKey(SignedEvent.pipe(Schema.annotate({ description: "kind 10002 (NIP-65)" }))),
  messageRelays: Schema.optionalKey(SignedEvent.pipe(Schema.annotate({ description: "kind 10050 (NIP-17)" })))
}).pipe(Schema.annotate({ identifier: "Profile" }))

export const Rule = Schema.Struct({
  rule: Schema.String,
  status: Schema.Literals(["ok", "rejected", "unanswered", "skipped"]),
  fact: Schema.String,
  reason: Schema.optionalKey(Schema.String)
}).pipe(Schema.annotate({ identifier: "Rule", description: "One rule, and what it says of a profile" }))

export const Explanation = Schema.Struct({
  pubkey: Pubkey,
  stored: Schema.Boolean.pipe(Schema.annotate({ description: "Whether the profile is served" })),
  verdict: Schema.optionalKey(Schema.String),
  ...why,
  standing: Schema.optionalKey(
    Schema.String.pipe(Schema.annotate({ description: "Why it stands where it does in searches, in one sentence" }))
  ),
  rules: Schema.Array(Rule),
  notes: Schema.Array(Schema.String).pipe(Schema.annotate({ description: "What else is known, in sentences" }))
}).pipe(Schema.annotate({ identifier: "Explanation" }))

export const Upstream = Schema.Struct({
  host: Schema.String,
  state: Schema.String,
  covered: Schema.Array(Schema.Tuple([Schema.Finite, Schema.Finite])).pipe(
    Schema.annotate({ description: "Ranges of created_at that have been read: Unix seconds" })
  ),
  coveredShare: Schema.Finite.pipe(Schema.annotate({ description: "From 0 to 1" })),
  events: Schema.Int,
  accepted: Schema.Int,
  problem: Schema.optionalKey(Schema.String)
}).pipe(Schema.annotate({ identifier: "Upstream" }))

export const Day = Schema.Struct({
  day: Schema.String.pipe(Schema.annotate({ description: "UTC, as YYYY-MM-DD" })),
  profiles: Schema.Int,
  events: Schema.Int,
  accepted: Schema.Int,
  rejected: Schema.Int,
  connections: Schema.Int
}).pipe(Schema.annotate({ identifier: "Day" }))

/** The predecessor's shape. */
export const RandomProfile = Schema.Struct({
  profile: SignedEvent,
  relay_list: Schema.optionalKey(SignedEvent),
  dm_relay_list: Schema.optionalKey(SignedEvent)
}).pipe(Schema.annotate({ identifier: "RandomProfile" }))

/** Figures by name, all that may change within a second. */
export const Live = Schema.Record(Schema.String, Schema.Finite)

export class NotHere extends HttpApiError.Problem<NotHere>()("NotHere", {
  type: "/api#not-here",
  status: 404,
  title: "No such profile here"
}, { explain: Schema.optionalKey(Schema.String) }) {}

export class Gone extends HttpApiError.Problem<Gone>()("Gone", {
  type: "/api#gone",
  status: 410,
  title: "Its author asked for everything of theirs to be removed"
}) {}

export class BadKey extends HttpApiError.Problem<BadKey>()("BadKey", {
  type: "/api#bad-key",
  status: 400,
  title: "That is no public key"
}) {}

export class BadQuery extends HttpApiError.Problem<BadQuery>()("BadQuery", {
  type: "/api#bad-query",
  status: 400,
  title: "That cannot be asked so"
}) {}

export class Unavailable extends HttpApiError.Problem<Unavailable>()("Unavailable", {
  type: "/api#unavailable",
  status: 503,
  title: "The store cannot be read now"
}) {}

/** A whole number in a query, with what it is where it is not given. */
const whole = (fallback: number, maximum: number, description: string) =>
  Schema.NumberFromString.pipe(
    Schema.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum })),
    Schema.annotate({ description: `${description}; ${fallback} where it is not given, at most ${maximum}` }),
    Schema.withDecodingDefaultKey(Effect.succeed(String(fallback)))
  )

const cursor = Schema.optionalKey(
  Schema.String.pipe(
    Schema.check(Schema.isMaxLength(200)),
    Schema.annotate({ description: "`cursor` of the answer before" })
  )
)

/** Names that a question's length allows. */
export const queryMax = 100
export const batchMax = 500

export class Profiles extends HttpApiGroup.make("profiles")
  .add(
    HttpApiEndpoint.get("profile", "/api/profiles/:id", {
      params: { id: AnyKey },
      success: Profile,
      error: [NotHere, Gone, BadKey, Unavailable]
    }).annotateMerge(OpenApi.annotations({ summary: "One profile, with its author's relay lists" })),
    HttpApiEndpoint.get("explain", "/api/profiles/:id/explain", {
      params: { id: AnyKey },
      success: Explanation,
      error: [BadKey, Unavailable]
    }).annotateMerge(OpenApi.annotations({
      summary: "Why a profile is here, or is not",
      description: "By what the relay knows; nobody is asked anything for it."
    })),
    HttpApiEndpoint.post("batch", "/api/profiles", {
      payload: Schema.Struct({
        pubkeys: Schema.Array(Pubkey).pipe(Schema.check(Schema.isMaxLength(batchMax))),
        relays: Schema.optionalKey(
          Schema.Boolean.pipe(Schema.annotate({ description: "Relay lists as well: kinds 10002 and 10050" }))
        )
      }),
      success: Schema.Struct({ profiles: Schema.Array(SignedEvent), missing: Schema.Array(Pubkey) }),
      error: [Unavailable]
    }).annotateMerge(OpenApi.annotations({ summary: "The signed events of up to 500 profiles" })),
    HttpApiEndpoint.get("search", "/api/search", {
      query: {
        q: Schema.NonEmptyString.pipe(
          Schema.check(Schema.isMaxLength(queryMax)),
          Schema.annotate({
            description: "Words of a name, bio or address; an npub or a NIP-05 name finds that profile"
          })
        ),
        limit: whole(10, 50, "Profiles"),
        sort: Schema.Literals(["rank", "text", "new"]).pipe(
          Schema.annotate({
            description:
              "By text and by how well known the account is, by text alone, or newest first; rank where it " +
              "is not given. Equals are newest first, then lowest id"
          }),
          Schema.withDecodingDefaultKey(Effect.succeed("rank" as const))
        ),
        after: cursor
      },
      success: Schema.Struct({ profiles: Schema.Array(ProfileSummary), cursor: Schema.optionalKey(Schema.String) }),
      error: [BadQuery, Unavailable]
    }).annotateMerge(OpenApi.annotations({ summary: "Find somebody; the last word may be only its beginning" })),
    HttpApiEndpoint.get("random", "/random", {
      query: {
        count: whole(12, 500, "Profiles"),
        seed: Schema.optionalKey(Schema.NumberFromString.pipe(
          Schema.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 4_294_967_295 })),
          Schema.annotate({ description: "The same seed draws the same, as long as nobody comes or goes" })
        )),
        after: cursor
      },
      success: Schema.Array(RandomProfile),
      error: [BadQuery, Unavailable]
    }).annotateMerge(OpenApi.annotations({
      summary: "Profiles by chance",
      description: "Everybody is as likely as anybody else, and nobody comes twice before all have come once."
    }))
  )
{}

export class Relay extends HttpApiGroup.make("relay")
  .add(
    HttpApiEndpoint.get("relays", "/api/relays", { success: Schema.Array(Upstream) })
      .annotateMerge(OpenApi.annotations({ summary: "Upstreams, and how much of each has been read" })),
    HttpApiEndpoint.get("stats", "/api/stats", {
      query: { days: whole(90, 3660, "Days") },
      success: Schema.Array(Day),
      error: [Unavailable]
    }).annotateMerge(OpenApi.annotations({ summary: "A record a day, oldest first" })),
    HttpApiEndpoint.get("live", "/api/live", { success: HttpApiSchema.StreamSse({ data: Live }) })
      .annotateMerge(OpenApi.annotations({
        summary: "Figures as they change, once a second (server-sent events)",
        description: "Ends with an event named `bye` when the relay stops."
      }))
  )
{}

export class Api extends HttpApi.make("profile-aggregator")
  .add(Profiles)
  .add(Relay)
  .middleware(HttpApiMiddleware.ProblemDetails)
  .annotateMerge(OpenApi.annotations({
    title: "profile-aggregator",
    version,
    description:
      "Profiles of Nostr, checked before they were kept. No key is needed; errors are application/problem+json.",
    license: { name: "MIT" }
  }))
{}
