// Up to ten runs over one axis, and only what differs between them.

import { follow, get } from "../api.js";
import { Charts } from "../chart.js";
import { h, put, show } from "../dom.js";
import { adjust, asked, place } from "../state.js";
import { block } from "../tree.js";
import { toolbar } from "./tools.js";

export function comparePage(main, board) {
  const names = asked().getAll("run");
  board.setTitle("Compare");
  const tables = h("div", { class: "tables" }, h("p", { class: "quiet" }, "Comparing…"));
  const tools = h("div", {});
  const place_ = h("div", { class: "charts" });
  let charts = null;
  let answer = null;
  put(main, h("div", { class: "page-head" }, h("h1", {}, `Compare ${names.length} runs`),
    h("p", { class: "count" }, names.map((name, at) => [at ? ", " : "", h("a", { href: place({ run: name }), dir: "auto" }, name)]))),
  h("div", { class: "card" }, tools, place_), tables);
  const bar = toolbar(tools, { change: look, rows: () => charts?.rows() ?? [], picture: () => charts?.picture(), name: "compare" });
  const view = () => ({ run: names, x: asked().get("x"), smooth: asked().get("smooth"), from: asked().get("from"), to: asked().get("to") });

  load();
  let known = null;
  const stop = follow(() => ({}), { runs: again }, (state) => board.tellPulse(...(state === "lost" ? ["connection lost, trying again", "warn"] : ["connected"])));

  /** The list of runs says when one of these has changed. */
  function again(listed) {
    const now = JSON.stringify(listed.runs.filter((run) => names.includes(run.name)));
    if (known !== null && known !== now) load();
    known = now;
  }

  async function load() {
    try {
      answer = await get("compare", view());
    } catch (error) {
      if (!answer) show(place_, h("p", { class: "bad" }, error.message), error.hint && h("p", { class: "quiet" }, error.hint));
      return;
    }
    draw();
    let told;
    try {
      told = await get("differences", { run: names });
    } catch (error) {
      show(tables, h("p", { class: "bad" }, error.message));
      return;
    }
    show(tables, told.problems.map((text) => h("p", { class: "warn" }, text)), block(told.results),
      told.differences.rows.length ? block(told.differences) : h("p", { class: "quiet" }, "These runs have the same settings."));
  }

  function draw() {
    charts?.destroy();
    const zoom = asked().has("from") && asked().has("to") ? [Number(asked().get("from")), Number(asked().get("to"))] : null;
    bar.tell(answer, zoom);
    charts = answer.panels.length ? new Charts(place_, answer, { log: asked().get("log") === "1", zoom, onZoom }) : null;
    if (!charts) show(place_, h("p", { class: "quiet" }, "None of these runs has logged anything yet."));
  }

  function onZoom(ends) {
    adjust({ from: ends ? String(ends[0]) : null, to: ends ? String(ends[1]) : null });
    load();
  }

  function look(what) {
    if (what === "log") { charts?.setLog(asked().get("log") === "1"); return; }
    if (what === "x") adjust({ from: null, to: null });
    load();
  }

  return {
    keys: [...bar.keys, ["0", "the whole curve", () => onZoom(null)]],
    repaint: () => charts?.repaint(),
    close: () => { stop(); charts?.destroy(); },
  };
}
