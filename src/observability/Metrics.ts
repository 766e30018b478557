/**
 * What the service counts, by the name under which it is exported: `component_noun_unit`.
 *
 * Labels come from closed sets and are bound here once, because binding costs more than counting. Never a pubkey, an
 * address, or anything else that a stranger chooses.
 */
import { Metric } from "effect"

/** One metric per label, bound. */
type Labelled<Label extends string, M> = { readonly [label in Label]: M }

const labelled = <const Label extends string, Input, State>(
  metric: Metric.Metric<Input, State>,
  name: string,
  labels: ReadonlyArray<Label>
): Labelled<Label, Metric.Metric<Input, State>> =>
  Object.fromEntries(labels.map((label) => [label, Metric.withAttributes(metric, { [name]: label })])) as Labelled<
    Label,
    Metric.Metric<Input, State>
  >

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })
const gauge = (name: string, description: string) => Metric.gauge(name, { description })

/** Seconds, from a tenth of a millisecond to ten seconds. */
const seconds = (name: string, description: string) =>
  Metric.histogram(name, {
    description,
    boundaries: [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
  })

// the process

export const processResidentBytes = gauge("process_resident_memory_bytes", "resident memory")
export const processHeapBytes = gauge("process_heap_bytes", "memory of JavaScript objects in use")
export const processUptimeSeconds = gauge("process_uptime_seconds", "since the process started")
export const processEventLoopDelaySeconds = gauge(
  "process_event_loop_delay_seconds",
  "how late timers of the main thread were, 99th percentile since the last look"
)

// lifecycle: labels are names of mailboxes, a closed set

const mailboxDepth = gauge("lifecycle_mailbox_depth", "messages that wait in a mailbox")
const mailboxCapacity = gauge("lifecycle_mailbox_capacity", "messages that a mailbox has room for")
const senders = gauge("lifecycle_senders", "leases on a mailbox")
export const lifecycleMailboxDepth = (mailbox: string) => Metric.withAttributes(mailboxDepth, { mailbox })
export const lifecycleMailboxCapacity = (mailbox: string) => Metric.withAttributes(mailboxCapacity, { mailbox })
export const lifecycleSenders = (mailbox: string) => Metric.withAttributes(senders, { mailbox })

// 1 database

export const databaseOperations = labelled(
  counter("database_operations_total", "operations applied, by what they did"),
  "outcome",
  ["Saved", "Duplicate", "Superseded", "Deleted", "Expired", "Ephemeral", "TooManyRemovals", "Done"]
)
export const databaseWriteFailures = counter("database_write_failures_total", "transactions that failed")
export const databaseReadOnly = gauge("database_read_only", "1 while the disk is full and nothing is written")
export const databaseCommitSeconds = seconds("database_commit_seconds", "one transaction, from begin to durable")

// 2 crypto

export const cryptoVerifications = labelled(
  counter("crypto_verifications_total", "events whose id and signature were checked, by result"),
  "result",
  ["Valid", "InvalidId", "InvalidSignature", "Failed"]
)
export const cryptoThreads = gauge("crypto_threads", "verifier threads that are alive")
export const cryptoThreadsReplaced = labelled(
  counter("crypto_threads_replaced_total", "verifier threads that had to be replaced"),
  "reason",
  ["crashed", "hung"]
)

// 3 aggregation

export const aggregationEventsHarvested = counter("aggregation_events_harvested_total", "events read from upstreams")
export const aggregationEventsSpared = counter(
  "aggregation_events_spared_total",
  "events read from upstreams that needed no signature check of their own"
)
export const aggregationPagesHarvested = counter("aggregation_pages_harvested_total", "pages read from upstreams")
export const aggregationUpstreamsConnected = gauge("aggregation_upstreams_connected", "upstreams with an open socket")
export const aggregationDialsFailed = counter(
  "aggregation_dials_failed_total",
  "upstream connections that did not open"
)
export const aggregationAdmissions = labelled(
  counter("aggregation_admissions_total", "events judged, by outcome"),
  "outcome",
  [
    "Saved",
    "Duplicate",
    "Superseded",
    "Deleted",
    "Expired",
    "Ephemeral",
    "TooManyRemovals",
    "Refused",
    "Invalid",
    "Rejected",
    "Undetermined",
    "Failed"
  ]
)
const rejections = counter("aggregation_rejections_total", "events that a rule refused, by reason")
/** `reason` is a phrase of a `Verdict`: `domain/Quality` holds the closed set. Bind once and keep. */
export const aggregationRejections = (reason: string) => Metric.withAttributes(rejections, { reason })

export const aggregationPolicyAnswers = labelled(
  counter("aggregation_policy_answers_total", "events that the write policy was to be asked about, by what came of it"),
  "outcome",
  ["accept", "reject", "shadowReject", "failed", "full"]
)
export const aggregationPolicyFailures = labelled(
  counter("aggregation_policy_failures_total", "runs of the write policy that failed"),
  "reason",
  ["not started", "ended", "hung", "nonsense"]
)
export const aggregationPolicySeconds = seconds("aggregation_policy_seconds", "one answer of the write policy")

export const aggregationRetriesWaiting = gauge("aggregation_retries_waiting", "profiles that wait to be checked")
export const aggregationRetriesUnchecked = gauge(
  "aggregation_retries_unchecked",
  "profiles that wait, and were never checked"
)
export const aggregationRetriesOverdueSeconds = gauge(
  "aggregation_retries_overdue_seconds",
  "for how long the profile whose turn it is has been waiting for it"
)
export const aggregationPictureLooks = labelled(
  counter("aggregation_picture_looks_total", "pictures that were looked at, by what came of it"),
  "outcome",
  ["Image", "gone", "not an image", "not public", "no answer", "paused", "not in time"]
)
export const aggregationOutboxAsks = labelled(
  counter("aggregation_outbox_asks_total", "relays that were asked about an author, by what came of it"),
  "outcome",
  ["proof", "nothing", "forged", "no answer"]
)
export const aggregationNip05Looks = labelled(
  counter("aggregation_nip05_looks_total", "NIP-05 names that a domain was asked for, by what came of it"),
  "outcome",
  ["Listed", "Unlisted", "Refused", "Unanswered"]
)
export const aggregationHostsKnown = gauge("aggregation_hosts_known", "hosts whose pace is remembered")
export const aggregationHostsPaused = gauge("aggregation_hosts_paused", "hosts that asked to be left alone for now")

// 4 websocket

export const websocketConnections = gauge("websocket_connections", "open client connections")
export const websocketConnectionsOpened = counter("websocket_connections_opened_total", "connections accepted")
export const websocketConnectionsRefused = labelled(
  counter("websocket_connections_refused_total", "connections refused at the door"),
  "reason",
  ["total", "address", "blocked", "stopping"]
)
export const websocketConnectionsCut = labelled(
  counter("websocket_connections_cut_total", "connections that we ended"),
  "reason",
  ["slow", "idle", "protocol", "oversize", "blocked", "stopping"]
)
export const websocketSubscriptions = gauge("websocket_subscriptions", "open subscriptions")
export const websocketMessages = labelled(
  counter("websocket_messages_total", "client messages, by verb"),
  "verb",
  ["EVENT", "REQ", "CLOSE", "AUTH", "COUNT", "NEG-OPEN", "NEG-MSG", "NEG-CLOSE", "malformed"]
)
export const websocketMessagesLimited = counter(
  "websocket_messages_limited_total",
  "times that a client was not read on, because it had used up its rate"
)
export const websocketEventsSent = counter("websocket_events_sent_total", "EVENT frames handed to sockets")
export const websocketOks = labelled(
  counter("websocket_oks_total", "OK frames handed to sockets"),
  "accepted",
  ["true", "false"]
)
export const websocketEventOkSeconds = seconds("websocket_event_ok_seconds", "from a client's EVENT to its OK")
