// Everything on the page is built here, from text nodes: no string is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children. `on*` are listeners, `class` and `data-*` attributes, true a bare one. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  put(element, ...children);
  return element;
}

/** Adds children: nodes, strings, lists of them; nothing for null, undefined and false. */
export function put(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** Puts new children in the place of the old ones. */
export function show(element, ...children) {
  element.replaceChildren();
  return put(element, ...children);
}

/** A word with a dot: a status, a health. */
export function badge(text, tone) {
  return h("span", { class: `badge ${tone || "quiet"}` }, h("span", { class: "dot", "aria-hidden": "true" }), text);
}

/** A button that copies text and says so. */
export function copyButton(text, label = "Copy") {
  const button = h("button", { type: "button", class: "small" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => { button.textContent = label; }, 1800);
  });
  return button;
}

/** Offers a text or blob as a file. */
export function download(name, content, type) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
