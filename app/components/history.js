// The history of the browser has one entry per page, with its last address: a control that moves adds none.
export default function () {
  if (history.isByPage) return
  history.isByPage = true
  const push = history.pushState
  history.pushState = (state, title, url) => {
    const isSamePage = new URL(url, location.href).pathname === location.pathname
    return isSamePage ? history.replaceState(state, title, url) : push.call(history, state, title, url)
  }
}
