// The board: which page is shown, the keys that work everywhere, the colours.

import { get, post } from "./api.js";
import { h, show } from "./dom.js";
import { repaintFigures } from "./figure.js";
import { listenForKeys, showKeys } from "./keys.js";
import { comparePage } from "./pages/compare.js";
import { masksPage } from "./pages/masks.js";
import { runPage } from "./pages/run.js";
import { runsPage } from "./pages/runs.js";
import { startPage } from "./pages/start.js";
import { asked, followLinks, go, onMove, place } from "./state.js";

const main = document.getElementById("main");
const pulse = document.querySelector(".pulse");
const theme = document.getElementById("theme");
const places = document.querySelector(".places");

/** The page that is shown: { title, keys, repaint, close }. */
let page = null;

const PAGES = { compare: comparePage, start: startPage, masks: masksPage };

function choose() {
  const query = asked();
  if (query.has("run") && !query.has("page")) return runPage;
  return PAGES[query.get("page")] ?? runsPage;
}

function open() {
  page?.close?.();
  const make = choose();
  show(main);
  tellPulse("");
  writePlaces();
  page = make(main, { tellPulse, setTitle });
  scrollTo(0, 0);
}

function setTitle(title) {
  document.title = title ? `${title} · Tunewright` : "Tunewright";
}

/** What the line at the top says of the connection and of the run. */
function tellPulse(text, tone = "quiet") {
  pulse.className = `pulse ${tone}`;
  if (pulse.textContent !== text) pulse.textContent = text;
}

function writePlaces() {
  const here = asked().get("page") ?? (asked().has("run") ? "run" : "runs");
  const link = (to, name, key) => h("a", { href: to, "aria-current": here === key ? "page" : null }, name);
  show(places, link("?", "Runs", "runs"), link(place({ page: "start" }), "New tuning", "start"));
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function paint() {
  theme.textContent = isDark() ? "Light" : "Dark";
  page?.repaint?.();
  repaintFigures();
}

function switchTheme() {
  const chosen = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  try { localStorage.setItem("tunewright-theme", chosen); } catch { /* not kept, but obeyed */ }
  paint();
}

/** The token comes behind the `#` of the address that was printed: it is handed in once and taken out of the address. */
async function unlock() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  try { await post("unlock", { token }); } catch { /* an old token: reading goes on, starting will say so */ }
}

const KEYS = [
  ["?", "these keys", showHelp],
  ["d", "dark or light", switchTheme],
  ["h", "the list of runs", () => go("?")],
  ["n", "a new tuning", () => go(place({ page: "start" }))],
];

function allKeys() {
  return [...KEYS, ...(page?.keys ?? [])];
}

function showHelp() {
  showKeys(document.getElementById("keys"), allKeys());
}

await unlock();
followLinks(document.body);
onMove(open);
listenForKeys(allKeys);
theme.addEventListener("click", switchTheme);
document.getElementById("help").addEventListener("click", showHelp);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
theme.textContent = isDark() ? "Light" : "Dark";
open();

/** For tests and the curious: whether this page may start work. */
export const mayStart = () => get("access").then((access) => access.token);
