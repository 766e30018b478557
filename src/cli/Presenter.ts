/** What a wrong command line is answered with: what is wrong, on stderr, instead of a page of help on stdout. */
import { Console, Effect, type Layer } from "effect"
import { CliOutput } from "effect/cli"

export const layer: Layer.Layer<never> = CliOutput.layerPresenter({
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    return Effect.gen(function*() {
      const formatter = yield* CliOutput.Formatter
      yield* Console.error(formatter.formatErrors(event.errors).trim())
      yield* Console.error(`\nUSAGE\n  ${event.helpDoc.usage}\n\n  ${event.commandPath.join(" ")} --help says more.`)
    })
  }
})
