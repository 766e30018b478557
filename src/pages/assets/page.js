// @ts-check
/** What a page does beyond its HTML, which is complete without it: copying, figures that follow, and suggestions. */

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!(button instanceof HTMLElement)) continue
  const name = button.textContent ?? ""
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy ?? "")
      button.textContent = "Copied"
    } catch {
      // Without https a browser gives no clipboard to pages.
      button.textContent = "Not allowed by the browser"
    }
    setTimeout(() => (button.textContent = name), 1500)
  })
}

/** Figures that follow: one connection a page, closed while nobody looks. */
const live = document.querySelector("[data-live]")
if (live instanceof HTMLElement) {
  /** @type {EventSource | undefined} */
  let source
  const open = () => {
    source?.close()
    source = new EventSource(live.dataset.live ?? "")
    source.addEventListener("message", ({ data }) => {
      for (const [name, value] of Object.entries(JSON.parse(data))) {
        const at = live.querySelector(`[data-figure="${CSS.escape(name)}"]`)
        if (at !== null) at.textContent = Number(value).toLocaleString("en")
      }
    })
  }
  const look = () => document.hidden ? source?.close() : open()
  document.addEventListener("visibilitychange", look)
  look()
}

/**
 * A combobox with a list (WAI-ARIA 1.2, "Editable combobox with list autocomplete"): arrows choose, Enter follows, Escape
 * closes. The form goes on to work as it does without a script.
 *
 * @param {HTMLFormElement} form
 * @param {HTMLInputElement} input
 */
const suggest = (form, input) => {
  const list = document.createElement("ul")
  list.className = "suggestions"
  list.id = "suggestions"
  list.role = "listbox"
  list.ariaLabel = "Suggestions"
  list.hidden = true
  const status = document.createElement("p")
  status.className = "visually-hidden"
  status.role = "status"
  form.append(list, status)
  input.role = "combobox"
  input.setAttribute("aria-autocomplete", "list")
  input.setAttribute("aria-controls", list.id)
  input.setAttribute("aria-expanded", "false")
  let chosen = -1
  /** @type {AbortController | undefined} */
  let asked
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer

  /** @param {boolean} isOpen */
  const show = (isOpen) => {
    list.hidden = !isOpen
    input.setAttribute("aria-expanded", String(isOpen))
    if (!isOpen) choose(-1)
  }
  /** @param {number} at */
  const choose = (at) => {
    chosen = at
    for (const [i, option] of [...list.children].entries()) option.setAttribute("aria-selected", String(i === at))
    const option = list.children[at]
    if (option === undefined) return input.removeAttribute("aria-activedescendant")
    input.setAttribute("aria-activedescendant", option.id)
    option.scrollIntoView({ block: "nearest" })
  }
  /** @param {ReadonlyArray<{ npub: string, pubkey: string, label: string, nip05?: { text: string, verified?: boolean } }>} people */
  const fill = (people) => {
    list.replaceChildren(...people.map((person, i) => {
      const option = document.createElement("li")
      option.role = "option"
      option.id = `suggestion-${i}`
      option.dataset.to = `${form.action.replace(/\/explore$/, "")}/p/${person.npub}`
      const face = document.createElement("img")
      face.className = "face tiny"
      face.alt = ""
      face.src = `${form.action.replace(/\/explore$/, "")}/img/${person.pubkey}`
      const label = document.createElement("bdi")
      label.textContent = person.label
      const more = document.createElement("span")
      more.className = person.nip05?.verified === true ? "tick small" : "quiet small"
      more.textContent = person.nip05 === undefined ? `${person.npub.slice(0, 12)}…` : person.nip05.text
      option.append(face, label, more)
      option.addEventListener("pointerdown", (event) => {
        event.preventDefault()
        location.assign(option.dataset.to ?? "")
      })
      return option
    }))
    status.textContent = people.length === 0 ? "Nobody found" : `${people.length} found`
    show(people.length > 0)
  }
  const ask = async () => {
    asked?.abort()
    const query = input.value.trim()
    if (query === "") return show(false)
    asked = new AbortController()
    try {
      const answer = await fetch(`${form.dataset.suggest}?limit=8&q=${encodeURIComponent(query)}`, {
        signal: asked.signal
      })
      if (answer.ok) fill((await answer.json()).profiles)
    } catch {
      // The next letter asks again.
    }
  }
  input.addEventListener("input", () => {
    clearTimeout(timer)
    timer = setTimeout(ask, 150)
  })
  input.addEventListener("blur", () => show(false))
  input.addEventListener("keydown", (event) => {
    const { length } = list.children
    if (event.key === "Escape" && !list.hidden) {
      event.preventDefault()
      return show(false)
    }
    if (list.hidden || length === 0) return
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault()
      const step = event.key === "ArrowDown" ? 1 : -1
      choose(chosen === -1 && step === -1 ? length - 1 : (chosen + step + length) % length)
    } else if (event.key === "Enter" && chosen >= 0) {
      event.preventDefault()
      const option = list.children[chosen]
      if (option instanceof HTMLElement) location.assign(option.dataset.to ?? "")
    }
  })
}
for (const form of document.querySelectorAll("form[data-suggest]")) {
  const input = form.querySelector("input")
  if (form instanceof HTMLFormElement && input !== null) suggest(form, input)
}
