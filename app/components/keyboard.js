// Keys of every page, handled in the browser. Streamlit itself handles the keys of buttons.
const APP = "[data-testid=stApp]"
const SHORTCUT = "kbd[aria-label^=Shortcut]"
const BUTTON = "[data-testid=stButton] button:not(:disabled)"
const PATIENCE = 3000 // ms to wait for the answer to a press, which Streamlit may not have heard
const OVERLAYS = "[role=menu], [role=dialog], [data-testid=stPopoverBody], [data-testid=stDataFrameColumnMenu]"

export default function ({ data, parentElement }) {
  const dialog = parentElement.querySelector("dialog")
  const rows = dialog.querySelector("tbody")
  rows.replaceChildren(
    ...data.keys.map(([key, meaning]) => {
      const row = document.createElement("tr")
      for (const [tag, text] of [["kbd", key], ["span", meaning]]) {
        const content = document.createElement(tag)
        content.textContent = text
        row.insertCell().append(content)
      }
      return row
    }),
  )
  const button = parentElement.querySelector("button.open")
  button.onclick = () => dialog.showModal()
  dialog.querySelector("button").onclick = () => dialog.close()

  const links = () => [...document.querySelectorAll("[data-testid=stSidebarNavLink]")]
  const turn = step => {
    const pages = links(), open = pages.findIndex(link => link.pathname === location.pathname)
    pages[(open + step + pages.length) % pages.length]?.click()
  }
  const isTyping = event => {
    const target = event.composedPath()[0]
    return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName)
  }
  const isCovered = () =>
    dialog.open || [...document.querySelectorAll(OVERLAYS)].some(overlay => overlay.checkVisibility())
  // Streamlit can drop a press when another follows before the page has answered. The first press counts.
  let waitsUntil = 0
  const answers = new MutationObserver(([{ target }]) => {
    if (target.dataset.testScriptState === "notRunning") waitsUntil = 0
  })
  answers.observe(document.querySelector(APP), { attributeFilter: ["data-test-script-state"] })
  const press = event => {
    if (event.timeStamp < waitsUntil) event.stopImmediatePropagation()
    else waitsUntil = event.timeStamp + PATIENCE
  }
  const isShortcut = event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return false
    const shortcuts = [...document.querySelectorAll(`${BUTTON} ${SHORTCUT}`)]
    return shortcuts.some(({ textContent }) => textContent === event.key.toUpperCase())
  }
  const onClick = event => {
    if (event.target.closest?.(BUTTON)?.querySelector(SHORTCUT)) press(event)
  }
  // Sees each key before Streamlit, whose shortcuts would also press buttons behind an overlay, and whose select boxes
  // are cleared by Escape.
  const onFirst = event => {
    const isCharacter = event.key.length === 1 && event.key !== " "
    const box = event.key === "Escape" && event.target.closest?.("[data-testid=stSelectbox]")
    if (isCharacter && !isTyping(event)) {
      if (isCovered()) event.stopImmediatePropagation()
      else if (isShortcut(event)) press(event)
    } else if (box) {
      event.stopImmediatePropagation()
      event.target.blur()
    }
  }
  const onKey = event => {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return
    const label = document.querySelector("input[role=combobox][aria-label^=Label]")
    if (event.key === "?") dialog.showModal()
    else if (event.key === "/" && label) label.focus()
    else if (event.key === "[") turn(-1)
    else if (event.key === "]") turn(1)
    else if (event.key >= "1" && event.key <= "9") links()[event.key - 1]?.click()
    else return
    event.preventDefault()
  }
  window.addEventListener("keydown", onFirst, true)
  window.addEventListener("click", onClick, true)
  document.addEventListener("keydown", onKey)
  return () => {
    answers.disconnect()
    window.removeEventListener("keydown", onFirst, true)
    window.removeEventListener("click", onClick, true)
    document.removeEventListener("keydown", onKey)
  }
}
