// Returns the visible texts of the app whose contrast with their background is below `minimum` (WCAG 2.1, 1.4.3).
minimum => {
  const parse = color => {
    const [red, green, blue, alpha = 1] = (color.match(/[\d.]+/g) ?? []).map(Number)
    return blue === undefined ? null : [red, green, blue, alpha]
  }
  const blend = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]))
  const luminance = color => {
    const [red, green, blue] = color.map(value => {
      value /= 255
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const ratio = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((p, q) => q - p)
    return (light + 0.05) / (dark + 0.05)
  }
  const app = document.querySelector(".stApp")
  const background = (element, box) => {
    const layers = []
    for (let parent = element; parent; parent = parent.parentElement) {
      const own = parent.getBoundingClientRect()
      // The value of a slider is an element of its small handle, but drawn above it.
      if (parent !== app && (own.width < box.width || own.height < box.height)) continue
      const color = parse(getComputedStyle(parent).backgroundColor)
      if (color?.[3]) layers.push(color)
      if (color?.[3] === 1) break
    }
    return layers.reverse().reduce((under, top) => blend(top, under), [255, 255, 255])
  }
  const found = new Set()
  const texts = document.createTreeWalker(app, NodeFilter.SHOW_TEXT)
  for (let text; (text = texts.nextNode()); ) {
    const element = text.parentElement, style = getComputedStyle(element), box = element.getBoundingClientRect()
    const isShown = element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    if (!text.data.trim() || !isShown || box.width < 2 || box.height < 2 || element.tagName === "STYLE") continue
    if (element.closest(":disabled, [aria-disabled=true], [data-stale=true]")) continue
    const color = parse(element instanceof SVGElement ? style.fill : style.color)
    if (!color) continue
    for (let parent = element; parent; parent = parent.parentElement) color[3] *= getComputedStyle(parent).opacity
    const under = background(element, box)
    const contrast = ratio(blend(color, under), under)
    if (contrast < minimum) found.add(`${contrast.toFixed(2)}:1 ${text.data.trim().slice(0, 40)}`)
  }
  return [...found]
}
