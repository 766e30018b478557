/** Counts answers, whoever gives them. */
import { Effect, Metric } from "effect"
import { aggregationAdmissions, aggregationRejections } from "../../observability/Metrics.ts"
import type { AdmissionOutcome } from "./Admission.ts"

/** Counts many answers, in total and by reason: by as many updates as there are kinds of them. */
export const countAll = (outcomes: ReadonlyArray<AdmissionOutcome>): Effect.Effect<void> => {
  const counts = new Map<AdmissionOutcome["_tag"], number>()
  for (const { _tag } of outcomes) counts.set(_tag, (counts.get(_tag) ?? 0) + 1)
  const rejected = outcomes.filter((outcome) => outcome._tag === "Rejected")
  return Effect.andThen(
    Effect.forEach(counts, ([tag, count]) => Metric.update(aggregationAdmissions[tag], count), { discard: true }),
    Effect.forEach(rejected, ({ reason }) => Metric.update(aggregationRejections(reason), 1), { discard: true })
  )
}

/** Counts one answer, in total and by reason. */
export const count = (outcome: AdmissionOutcome): Effect.Effect<void> => {
  const counted = Metric.update(aggregationAdmissions[outcome._tag], 1)
  if (outcome._tag !== "Rejected") return counted
  return Effect.andThen(counted, Metric.update(aggregationRejections(outcome.reason), 1))
}
