// The list of runs: live, filtered as one types, sorted by a click, several chosen to be compared.

import { follow, get } from "../api.js";
import { badge, h, put, show } from "../dom.js";
import { adjust, asked, go, place } from "../state.js";

const COLUMNS = [
  ["name", "run", (run) => run.name],
  ["status", "status", (run) => run.status],
  ["loss", "validation loss", (run) => run.sort_loss ?? Infinity, true],
  ["health", "curve", (run) => run.health],
  ["steps", "steps", (run) => Number(run.steps.replaceAll(",", "")) || 0, true],
  ["model", "model", (run) => run.model],
  ["started", "started", (run) => -run.sort_started],
];
const MOST_COMPARED = 10;

export function runsPage(main, board) {
  board.setTitle("Runs");
  let listed = null;
  let at = -1;
  let chosen = new Set(asked().getAll("pick"));

  const count = h("p", { class: "count", role: "status" });
  const filter = h("input", { type: "search", id: "filter", placeholder: "Filter: name, model, status, tag  ( / )", value: asked().get("filter") ?? "", "aria-label": "Filter the runs", autocomplete: "off", spellcheck: "false" });
  const compare = h("button", { type: "button", class: "main-button", disabled: true }, "Compare");
  const body = h("div", { class: "runs-body" }, h("p", { class: "quiet loading" }, "Reading the runs…"));
  put(main, h("div", { class: "page-head" }, h("h1", {}, "Runs"), count), h("div", { class: "tools", role: "search" }, filter, compare), body);

  filter.addEventListener("input", () => { adjust({ filter: filter.value || null }); draw(); });
  compare.addEventListener("click", openCompare);
  get("runs").then(take, fail);
  const stop = follow(() => ({}), { runs: take }, (state) => board.tellPulse(...(state === "lost" ? ["connection lost, trying again", "warn"] : ["connected"])));

  function take(found) {
    listed = found;
    draw();
  }

  function fail(error) {
    if (!listed) show(body, h("p", { class: "bad" }, error.message), error.hint && h("p", { class: "quiet" }, error.hint));
  }

  function visible() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const meets = (run) => {
      const text = [run.name, run.model, run.data, run.status, run.health, ...run.tags].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    };
    return listed.runs.filter(meets);
  }

  function sorted(runs) {
    const [key, down] = (asked().get("sort") ?? "").startsWith("-") ? [asked().get("sort").slice(1), -1] : [asked().get("sort"), 1];
    const column = COLUMNS.find(([name]) => name === key);
    if (!column) return runs;
    const value = column[2];
    return [...runs].sort((a, b) => (value(a) < value(b) ? -down : value(a) > value(b) ? down : 0));
  }

  function sortBy(key) {
    const now = asked().get("sort");
    adjust({ sort: now === key ? `-${key}` : now === `-${key}` ? null : key });
    draw();
  }

  function draw() {
    if (!listed) return;
    const runs = visible();
    const live = listed.runs.filter((run) => run.status === "running").length;
    count.textContent = [`${runs.length === listed.runs.length ? "" : `${runs.length} of `}${listed.runs.length} runs`, live && `${live} at work`, listed.folder].filter(Boolean).join(" · ");
    const focus = document.activeElement?.dataset?.focus;
    if (!listed.runs.length) show(body, empty(listed.folder));
    else show(body, table(runs), strangers());
    if (focus) body.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
    tellCompare();
  }

  function table(runs) {
    const sort = asked().get("sort") ?? "";
    const heads = COLUMNS.map(([key, name, , numeric]) => {
      const way = sort === key ? "ascending" : sort === `-${key}` ? "descending" : "none";
      const button = h("button", { type: "button", class: "head", "data-focus": `sort ${key}` }, name, h("span", { class: "way", "aria-hidden": "true" }, { ascending: " ↑", descending: " ↓", none: "" }[way]));
      button.addEventListener("click", () => sortBy(key));
      return h("th", { scope: "col", class: numeric ? "num" : null, "aria-sort": way }, button);
    });
    const grouped = asked().get("sort") ? sorted(runs).map((run) => row(run)) : groups(runs);
    return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Runs" },
      h("table", { class: "runs" }, h("caption", { class: "unseen" }, "Runs, newest first"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "unseen" }, "chosen")), heads)), h("tbody", {}, grouped)));
  }

  /** Newest first; the runs of a tuning stand below its own row, in their own order. */
  function groups(runs) {
    const rows = [];
    const done = new Set();
    for (const run of runs) {
      if (!run.series) rows.push(row(run));
      else if (!done.has(run.series)) {
        done.add(run.series);
        rows.push(seriesRow(run.series, runs.filter((one) => one.series === run.series).reverse(), rows));
      }
    }
    for (const [name, about] of Object.entries(listed.series))
      if (!done.has(name) && !filter.value) rows.push(seriesRow(name, []));
    return rows;
  }

  function seriesRow(name, inside) {
    const about = listed.series[name] ?? { kind: "tuning", status: "", problems: [] };
    const best = about.eval_loss ? h("td", { class: "num" }, about.eval_loss) : h("td", {});
    return [h("tr", { class: "series" }, h("td", {}), h("th", { scope: "row" }, h("a", { href: place({ run: name }) }, name),
      h("span", { class: "sub" }, [about.kind, `${inside.length} runs`, about.best && `kept ${about.best}`].filter(Boolean).join(" · ")), problems(about.problems)),
    h("td", {}, about.status && badge(about.status, about.status_tone)), best, h("td", { colspan: "4", class: "quiet-cell" }, about.stopped_because)),
    inside.map((run) => row(run, about.best === run.name.split("/").pop()))];
  }

  function row(run, isBest = false) {
    const box = h("input", { type: "checkbox", checked: chosen.has(run.name), "aria-label": `choose ${run.name}`, "data-focus": `pick ${run.name}` });
    box.addEventListener("change", () => pick(run.name, box.checked));
    const label = run.series && !asked().get("sort") ? run.name.slice(run.series.length + 1) || run.name : run.name;
    return h("tr", { class: [run.series && !asked().get("sort") ? "inside" : "", isBest ? "kept" : ""].join(" ").trim() || null, "data-run": run.name },
      h("td", { class: "pick" }, box),
      h("th", { scope: "row" }, h("a", { href: place({ run: run.name }), dir: "auto", "data-focus": `open ${run.name}` }, label), isBest && h("span", { class: "tag" }, "kept"),
        run.tags.map((tag) => h("span", { class: "tag" }, tag)), run.changed && h("span", { class: "sub" }, run.changed), problems(run.problems)),
      h("td", {}, badge(run.status, run.status_tone)),
      h("td", { class: "num" }, run.eval_loss, run.base_eval_loss && h("span", { class: "sub" }, `from ${run.base_eval_loss}`)),
      h("td", {}, run.health && run.health !== "unknown" ? badge(run.health, run.health_tone) : ""),
      h("td", { class: "num" }, run.steps), h("td", { dir: "auto" }, run.model), h("td", { class: "when" }, run.started));
  }

  function problems(said) {
    return said.map((text) => h("span", { class: "sub problem" }, text));
  }

  function strangers() {
    return listed.strangers.length ? h("p", { class: "note" }, `No run in: ${listed.strangers.join(", ")}.`) : null;
  }

  function pick(name, on) {
    if (on) chosen.add(name); else chosen.delete(name);
    adjust({ pick: [...chosen] });
    tellCompare();
  }

  function tellCompare() {
    const names = new Set(listed.runs.map((run) => run.name));
    const many = [...chosen].filter((name) => names.has(name)).length;
    compare.disabled = many < 2 || many > MOST_COMPARED;
    compare.textContent = many > MOST_COMPARED ? `Compare (at most ${MOST_COMPARED})` : many ? `Compare ${many}` : "Compare";
  }

  function openCompare() {
    if (!compare.disabled) go(place({ page: "compare", run: [...chosen] }));
  }

  function move(by) {
    const links = [...body.querySelectorAll("tbody th a")];
    if (!links.length) return;
    at = links.indexOf(document.activeElement) < 0 ? at : links.indexOf(document.activeElement);
    at = Math.max(0, Math.min(links.length - 1, at + by));
    links[at].focus();
  }

  function pickFocused() {
    const box = document.activeElement?.closest("tr")?.querySelector("input[type=checkbox]");
    if (!box) return;
    box.checked = !box.checked;
    pick(box.closest("tr").dataset.run, box.checked);
  }

  return {
    keys: [
      ["/", "filter", () => filter.focus()],
      ["j", "next run", () => move(1)],
      ["k", "run before", () => move(-1)],
      ["x", "choose the run for a comparison", pickFocused],
      ["c", "compare the chosen runs", openCompare],
    ],
    close: stop,
  };
}

function empty(folder) {
  return h("div", { class: "empty" }, h("h2", {}, "No runs here yet"), h("p", { class: "quiet" }, folder),
    h("p", {}, h("a", { class: "main-button", href: place({ page: "start" }) }, "Start a tuning"), " or in a terminal: ", h("code", {}, "tunewright tune demo")));
}
