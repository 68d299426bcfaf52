// One run, live: its curves over one axis, what they mean, what to change next. A tuning's folder shows its story.

import { follow, get, post } from "../api.js";
import { Charts } from "../chart.js";
import { badge, copyButton, h, put, show } from "../dom.js";
import { adjust, asked, go, place } from "../state.js";
import { block, code, facts, section } from "../tree.js";
import { jobBox, needsToken } from "./start.js";
import { storyOf } from "./story.js";
import { toolbar } from "./tools.js";

const TONES = { running: "live", failed: "bad", damaged: "bad", interrupted: "warn" };

export function runPage(main, board) {
  const name = asked().get("run");
  board.setTitle(name);
  const parts = {
    status: h("span", { class: "status-place" }),
    verdict: h("p", { class: "verdict" }, "Reading the run…"),
    facts: h("div", { class: "facts-place" }),
    problems: h("div", {}),
    tools: h("div", {}),
    charts: h("div", { class: "charts" }),
    point: h("p", { class: "point", "aria-hidden": "true" }),
    findings: h("ul", { class: "findings", "aria-label": "Findings" }),
    table: h("details", { class: "numbers", hidden: true }),
    job: h("div", {}),
    story: h("div", {}),
    next: h("section", { class: "next", id: "part-next", "aria-labelledby": "part-next-h" }),
    rest: h("div", {}),
  };
  put(main, h("div", { class: "page-head" }, crumbs(name), h("h1", { dir: "auto" }, name.split("/").pop(), " ", parts.status)),
    parts.verdict, parts.facts, parts.problems, parts.job, parts.story,
    h("div", { class: "card" }, parts.tools, parts.findings, parts.charts, parts.point, parts.table), parts.next, parts.rest);

  let charts = null;
  let drawn = null;
  let stop = () => {};
  let status = "";
  let lastNewsMs = Date.now();
  let isRun = true;
  const view = () => ({ x: asked().get("x"), smooth: asked().get("smooth"), from: asked().get("from"), to: asked().get("to") });
  const tools = toolbar(parts.tools, { change: look, rows: () => charts?.rows() ?? [], picture: () => charts?.picture(), name });

  loadWords();
  loadCharts().then(listen);
  const clock = setInterval(tellAge, 1000);

  async function loadWords() {
    try {
      const found = await get("page", { run: name });
      isRun = found.kind === "run";
      write(found);
    } catch (error) {
      missing(error);
    }
  }

  async function loadCharts() {
    try {
      drawn = await get("charts", { run: name, ...view() });
      drawCharts();
    } catch (error) {
      if (!charts) show(parts.charts, h("p", { class: "quiet" }, error.message));
    }
  }

  function drawCharts() {
    charts?.destroy();
    charts = null;
    const zoom = asked().has("from") && asked().has("to") ? [Number(asked().get("from")), Number(asked().get("to"))] : null;
    tools.tell(drawn, zoom);
    if (drawn.panels.length) {
      charts = new Charts(parts.charts, drawn, { log: asked().get("log") === "1", zoom, onZoom, onFull: loadCharts, onPoint });
    } else show(parts.charts, h("p", { class: "quiet" }, drawn.problem || "Nothing was logged yet. The curve appears here as soon as there is one."));
    if (drawn.panels.length && drawn.problem) put(parts.charts, h("p", { class: "warn" }, drawn.problem));
    writeFindings();
  }

  function listen() {
    stop = follow(() => ({ run: name, cursor: drawn?.cursor ?? "", x: drawn?.axis.kind, smooth: asked().get("smooth") }),
      { points, anew: loadCharts, state, changed }, pulse);
  }

  function points(news) {
    lastNewsMs = Date.now();
    drawn.cursor = news.cursor;
    drawn.last_step = news.last_step;
    charts?.add(news.lines);
    tellAge();
  }

  function state(news) {
    status = news.status;
    if (news.age_s !== null) lastNewsMs = Date.now() - 1000 * news.age_s;
    show(parts.status, badge(status, TONES[status]));
    tellAge();
  }

  async function changed() {
    await loadWords();
    if (!isRun) return;
    const fresh = await get("charts", { run: name, ...view() });
    if (fresh.cursor === drawn.cursor && charts) {
      drawn.bands = fresh.bands;
      charts.annotate(fresh.bands, fresh.marks);
      writeFindings();
    } else { drawn = fresh; drawCharts(); }
  }

  function pulse(state) {
    if (state === "lost") board.tellPulse("connection lost, trying again", "warn");
    else tellAge();
  }

  function tellAge() {
    const age_s = Math.round((Date.now() - lastNewsMs) / 1000);
    const step = drawn?.last_step ? `, step ${drawn.last_step.toLocaleString("en")}${drawn.total_steps ? ` of ${drawn.total_steps.toLocaleString("en")}` : ""}` : "";
    if (status === "running") board.tellPulse(age_s < 10 ? `live${step}` : `no news for ${age_s} s${step}`, age_s < 30 ? "live" : "warn");
    else board.tellPulse(status, TONES[status] ?? "quiet");
  }

  function write(found) {
    status = found.status;
    show(parts.status, badge(status, TONES[status]));
    parts.verdict.className = `verdict ${found.tone}`;
    parts.verdict.textContent = found.verdict;
    show(parts.facts, facts(found.facts.items, true));
    show(parts.problems, found.problems.map((text) => h("p", { class: "warn" }, text)));
    const open = [...parts.rest.querySelectorAll("details[open] > summary")].map((one) => one.textContent);
    show(parts.rest, found.sections.map((one) => section(one)));
    for (const summary of parts.rest.querySelectorAll("details > summary")) if (open.includes(summary.textContent)) summary.parentElement.open = true;
    parts.charts.parentElement.hidden = !isRun;
    if (isRun) {
      put(parts.rest.querySelector("#part-record") ?? parts.rest, links(found));
      parts.table.hidden = !found.table;
      if (found.table) show(parts.table, h("summary", {}, "The numbers behind these charts"), block(found.table));
      if (status !== "running" && status !== "planned") loadNext();
    } else show(parts.story, storyOf(name, found));
    tellAge();
  }

  function links(found) {
    return h("p", { class: "links" }, h("a", { href: place({ page: "masks", run: name }) }, "What was trained on: the rows with their masks"),
      found.command && [" ", copyButton(found.command, "Copy the command")]);
  }

  /** A folder that is not there yet may be work that was just started. */
  async function missing(error) {
    parts.charts.parentElement.hidden = true;
    show(parts.job);
    const box = error.status === 404 ? await jobBox(name, () => { loadWords(); loadCharts().then(listen); parts.charts.parentElement.hidden = false; }) : null;
    parts.verdict.className = "verdict";
    parts.verdict.textContent = box ? `${name} is being prepared.` : error.message;
    if (box) put(parts.job, box);
    else put(parts.problems, error.hint && h("p", { class: "quiet" }, error.hint), h("p", {}, h("a", { href: "?" }, "All runs")));
  }

  async function loadNext() {
    if (parts.next.childNodes.length) return;
    try {
      show(parts.next, nextBox(name, await get("next", { run: name })));
    } catch (error) {
      show(parts.next, h("h2", { id: "part-next-h" }, "The next recipe"), h("p", { class: "quiet" }, error.message));
    }
  }

  function writeFindings() {
    show(parts.findings, drawn.bands.map((band) => {
      const button = h("button", { type: "button", class: `finding ${band.severity}`, title: band.why }, h("b", {}, band.label), ` ${band.where}`);
      button.addEventListener("click", () => zoomTo(band));
      return h("li", {}, button);
    }));
  }

  function zoomTo(band) {
    const room = Math.max((band.last - band.first) * 0.6, charts ? charts.range()[1] * 0.02 : 1);
    onZoom([Math.max(0, band.first - room), band.last + room]);
    document.getElementById("part-curve")?.scrollIntoView({ block: "nearest" });
  }

  function onZoom(ends) {
    adjust({ from: ends ? String(Number(ends[0].toPrecision(8))) : null, to: ends ? String(Number(ends[1].toPrecision(8))) : null });
    loadCharts();
  }

  function onPoint(x) {
    parts.point.textContent = x === null ? "" : `${drawn.axis.title} ${x >= 100 ? Math.round(x).toLocaleString("en") : Number(x.toPrecision(3))}`;
  }

  /** After a tool changed the address: what needs the server, and what does not. */
  function look(what) {
    if (what === "log") { charts?.setLog(asked().get("log") === "1"); tools.tell(drawn, null); return; }
    if (what === "x") adjust({ from: null, to: null });
    stop();
    loadCharts().then(listen);
  }

  async function step(by) {
    const { runs } = await get("runs");
    const names = runs.map((run) => run.name);
    const at = names.indexOf(name) + by;
    if (at >= 0 && at < names.length) go(place({ run: names[at], x: asked().get("x"), log: asked().get("log"), smooth: asked().get("smooth") }));
  }

  return {
    keys: [
      ...tools.keys,
      ["0", "the whole curve", () => onZoom(null)],
      ["j", "next run", () => step(1)],
      ["k", "run before", () => step(-1)],
    ],
    repaint: () => charts?.repaint(),
    close: () => { stop(); clearInterval(clock); charts?.destroy(); },
  };
}

function crumbs(name) {
  const steps = name.split("/");
  const links = steps.slice(0, -1).map((step, at) => [h("a", { href: place({ run: steps.slice(0, at + 1).join("/") }) }, step), h("span", { "aria-hidden": "true" }, " / ")]);
  return h("nav", { class: "crumbs", "aria-label": "Where this is" }, h("a", { href: "?" }, "Runs"), h("span", { "aria-hidden": "true" }, " / "), links);
}

function nextBox(name, next) {
  const said = h("p", { role: "status" });
  const start = h("button", { type: "button", class: "main-button" }, "Start this run");
  start.addEventListener("click", async () => {
    start.disabled = true;
    try {
      const job = await post("start-next", { run: name });
      go(place({ run: job.name }));
    } catch (error) {
      start.disabled = false;
      show(said, needsToken(error));
    }
  });
  const diff = next.diff.length ? h("pre", { class: "diff", tabindex: "0", role: "region", "aria-label": "What is different in the recipe" },
    next.diff.map((line) => h("span", { class: line.sign === "+" ? "plus" : "minus" }, `${line.sign} ${line.text}\n`))) : null;
  return [h("h2", { id: "part-next-h" }, "The next recipe"),
    h("p", { class: next.keep ? "good" : "" }, next.keep ? `Keep these settings. ${next.why}` : next.why),
    !next.keep && next.changes && block(next.changes), !next.keep && diff,
    !next.keep && next.can_start && h("div", { class: "actions" }, start, copyButton(next.recipe, "Copy the recipe")), said,
    next.recipe && h("details", {}, h("summary", {}, "The whole recipe"), code(next.recipe, "recipe.yaml")),
    next.disagreements.length > 0 && h("details", {}, h("summary", {}, `Who would decide otherwise (${next.disagreements.length})`), h("ul", {}, next.disagreements.map((one) => h("li", {}, one))))];
}
