/**
 * What must be true in the very moment in which something is acquired or released, whatever is true afterwards: all that
 * stands below is whole, and nothing of it is alive any more.
 */
import { Effect, Layer } from "effect"
import { drain } from "../../src/aggregation/admission/Admission.ts"
import { threadStop } from "../../src/crypto/ThreadPool.ts"
import { budgets as budgetsOfStores } from "../../src/database/StoreWriter.ts"
import { Journal, type MailboxView } from "../../src/lifecycle/Journal.ts"
import { ownerOf } from "../../src/lifecycle/Report.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import type { Run } from "./Run.ts"

type Violate = (invariant: string, what: string) => void

/** In the order in which their owners are acquired. */
export const mailboxes = ["database", "crypto", "aggregation"] as const
export const components = [...mailboxes, "web", "websocket"] as const

/** The budget for its consumer has expired: nobody waits for it any more, and the certificate says so. */
export const wasCut = ({ forced }: Journal, mailbox: (typeof mailboxes)[number]): boolean =>
  forced.includes(budgets[mailbox])
const budgets = { database: budgetsOfStores.drain.name, crypto: threadStop.name, aggregation: drain.name }

class OrderedMailboxes extends Set<MailboxView> {
  onDelete: (mailbox: MailboxView) => void = () => {}

  override delete(mailbox: MailboxView): boolean {
    this.onDelete(mailbox)
    return super.delete(mailbox)
  }
}

/** The journal, which looks at each mailbox as it is given up. */
export class OrderedJournal extends Journal {
  override readonly mailboxes = new OrderedMailboxes()

  constructor(options: ConstructorParameters<typeof Journal>[0] & { readonly violate: Violate }) {
    super(options)
    this.mailboxes.onDelete = ({ name }) => {
      if (mailboxes.some((mailbox) => mailbox === name && wasCut(this, mailbox))) return
      if ([...this.fibers].some((fiber) => fiber.name === name)) {
        options.violate("I6", `the mailbox of ${name} was given up before its consumer had ended`)
      }
    }
  }
}

const isOpen = (journal: Journal, component: string) => [...journal.mailboxes].some(({ name }) => name === component)

/** `component` begins to open, or has just been released: are those below it whole? */
const lookBelow = ({ journal, violate }: Looking, component: string, when: string) => {
  // The pages have no mailbox of their own.
  const owners = mailboxes.slice(0, components.findIndex((name) => name === component))
  for (const below of owners) {
    if (!isOpen(journal, below)) violate("I4", `${component} ${when} while ${below} is not open`)
  }
}

/** `component` has just been released: is anything of it left? */
const lookBehind = ({ journal, violate }: Looking, component: string) => {
  if (journal.forced.length > 0) return
  const fibers = [...journal.fibers].filter(({ name }) => ownerOf(name) === component)
  if (fibers.length > 0) {
    violate("I8", `${component} is released, but not its ${fibers.map(({ name }) => name).join(", ")}`)
  }
  const senders = journal.holders().filter(({ label }) => ownerOf(label) === component)
  if (senders.length > 0) {
    violate("I5", `${component} is released, and holds ${senders.map(({ label }) => label).join(", ")}`)
  }
}

interface Looking {
  readonly journal: Journal
  readonly violate: Violate
}

/** The real one, which also looks around when a component is announced and when it is gone. */
export const shutdown = (run: Run): Layer.Layer<Shutdown> => {
  const looking: Looking = { journal: run.journal, violate: run.violate.bind(run) }
  return Layer.effect(
    Shutdown,
    Effect.map(Shutdown, (real) =>
      Shutdown.of({
        ...real,
        announce: (component) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              run.reach("acquired")
              lookBelow(looking, component, "opens")
            }),
            () =>
              Effect.sync(() => {
                run.reach("released")
                lookBelow(looking, component, "is released")
                lookBehind(looking, component)
              })
          ).pipe(Effect.andThen(real.announce(component)))
      }))
  ).pipe(Layer.provide(Shutdown.layer(run.journal)))
}
