// Keys of every page, handled in the browser. Streamlit itself handles the keys of buttons.
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
  const onKey = event => {
    const target = event.composedPath()[0]
    const isTyping = target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName)
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return
    const label = document.querySelector("input[role=combobox][aria-label^=Label]")
    if (event.key === "?") dialog.showModal()
    else if (event.key === "/" && label) label.focus()
    else if (event.key === "[") turn(-1)
    else if (event.key === "]") turn(1)
    else if (event.key >= "1" && event.key <= "9") links()[event.key - 1]?.click()
    else return
    event.preventDefault()
  }
  document.addEventListener("keydown", onKey)
  return () => document.removeEventListener("keydown", onKey)
}
