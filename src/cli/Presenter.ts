/**
 * Pages of help, and the answer to a wrong command line. A page of help ends by saying where the settings are, as only `serve` lists
 * them. A wrong command line is told what is wrong with it, on stderr, instead of a page of help on stdout.
 */
import { Console, Effect, type Layer } from "effect"
import { CliOutput } from "effect/cli"

const isOfServe = (commandPath: ReadonlyArray<string>): boolean => /^(?:serve|relay)$/.test(commandPath.at(-1) ?? "")

const pointer = "\nThe service's settings are flags, too: profile-aggregator serve --help lists them."

export const layer: Layer.Layer<never> = CliOutput.layerPresenter({
  present: (event) => {
    if (event._tag !== "InvalidInvocation") {
      const present = CliOutput.defaultPresenter.present(event)
      return event._tag === "Help" && !isOfServe(event.commandPath)
        ? Effect.andThen(present, Console.log(pointer))
        : present
    }
    return Effect.gen(function*() {
      const formatter = yield* CliOutput.Formatter
      yield* Console.error(formatter.formatErrors(event.errors).trim())
      yield* Console.error(`\nUSAGE\n  ${event.helpDoc.usage}\n\n  ${event.commandPath.join(" ")} --help says more.`)
    })
  }
})
