/** Counts answers, whoever gives them. */
import { Effect, Metric } from "effect"
import { aggregationAdmissions, aggregationRejections } from "../observability/Metrics.ts"
import type { AdmissionOutcome } from "./Admission.ts"

/** Counts one answer, in total and by reason. */
export const count = (outcome: AdmissionOutcome): Effect.Effect<void> => {
  const counted = Metric.update(aggregationAdmissions[outcome._tag], 1)
  if (outcome._tag !== "Rejected") return counted
  return Effect.andThen(counted, Metric.update(aggregationRejections(outcome.reason), 1))
}
