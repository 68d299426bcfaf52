// Questions to the server, and the stream of what is new. Addresses are relative: forwarded ports and proxies work.

/** What the server refused, with its hint. */
export class Refused extends Error {
  constructor(error, status) {
    super(error.message);
    this.hint = error.hint;
    this.code = error.code;
    this.status = status;
  }
}

async function answer(response) {
  const value = await response.json().catch(() => ({ error: { message: `the board answered ${response.status}` } }));
  if (!response.ok) throw new Refused(value.error ?? { message: `the board answered ${response.status}` }, response.status);
  return value;
}

/** Reads from the board. Lists in `query` become repeated keys. */
export async function get(what, query = {}, signal = undefined) {
  return answer(await fetch(`api/${what}?${encoded(query)}`, { signal, headers: { accept: "application/json" } }));
}

/** Asks the board to do something. */
export async function post(what, body) {
  const headers = { "content-type": "application/json" };
  return answer(await fetch(`api/${what}`, { method: "POST", headers, body: JSON.stringify(body) }));
}

function encoded(query) {
  const pairs = new URLSearchParams();
  for (const [key, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined) pairs.append(key, one);
  return pairs.toString();
}

const SILENT_MS = 14_000;

/**
 * Follows the board's events. `query()` is asked anew at every connection, so that it goes on from where the page
 * stands. A server that was stopped is tried again until it is back. Returns a function that ends it.
 */
export function follow(query, listeners, onPulse) {
  let source = null;
  let timer = 0;
  let over = false;
  let waitMs = 500;

  function connect() {
    if (over) return;
    source = new EventSource(`api/live?${encoded(query())}`);
    source.onopen = alive;
    source.onerror = again;
    source.addEventListener("pulse", alive);
    for (const [name, listener] of Object.entries(listeners))
      source.addEventListener(name, (event) => { alive(); listener(JSON.parse(event.data)); });
    watch();
  }
  function alive() {
    waitMs = 500;
    onPulse("connected");
    watch();
  }
  function watch() {
    clearTimeout(timer);
    timer = setTimeout(again, SILENT_MS);
  }
  function again() {
    source?.close();
    clearTimeout(timer);
    if (over) return;
    onPulse("lost");
    timer = setTimeout(connect, waitMs);
    waitMs = Math.min(waitMs * 1.6, 4000);
  }
  connect();
  return () => {
    over = true;
    clearTimeout(timer);
    source?.close();
  };
}
