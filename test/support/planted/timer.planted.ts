import { it } from "@effect/vitest"

it("passes, and leaves a timer", () => void setInterval(() => {}, 1000))
