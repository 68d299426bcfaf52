// Where the reader is and how they look at it: all of it in the address, so that it can be kept, shared and reloaded.

const listeners = new Set();

/** The query of the address. */
export function asked() {
  return new URLSearchParams(location.search);
}

/** An address with some of the query changed; null takes a key away, a list gives it several values. */
export function address(changes, from = asked()) {
  const query = new URLSearchParams(from);
  for (const [key, value] of Object.entries(changes)) {
    query.delete(key);
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined) query.append(key, one);
  }
  const text = query.toString().replaceAll("%2F", "/");
  return text ? `?${text}` : "?";
}

/** An address of its own: only these keys. */
export function place(keys = {}) {
  return address(keys, new URLSearchParams());
}

/** Goes to another page of the board. */
export function go(to) {
  history.pushState(null, "", to);
  for (const listener of listeners) listener();
}

/** Changes how the page is looked at, without a new entry in the history. */
export function adjust(changes) {
  history.replaceState(null, "", address(changes) + location.hash);
}

/** Called whenever the reader is somewhere else. */
export function onMove(listener) {
  listeners.add(listener);
  addEventListener("popstate", listener);
}

/** Follows links within the board without loading it again. */
export function followLinks(root) {
  root.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const href = link.getAttribute("href");
    if (!href.startsWith("?") || link.target) return;
    event.preventDefault();
    go(href);
  });
}
