// A tuning as it decides: every decision with its time, the newest at the end, and the runs it made.

import { h } from "../dom.js";
import { place } from "../state.js";

/** The story of a tuning from its page's answer. */
export function storyOf(name, found) {
  const runs = found.runs.map((run) => h("li", {}, h("a", { href: place({ run: `${name}/${run}` }) }, run), run === found.best && h("span", { class: "tag" }, "kept")));
  const compared = found.runs.slice(-10).map((run) => `${name}/${run}`);
  return h("section", { class: "story", "aria-labelledby": "story-h" }, h("h2", { id: "story-h" }, "Decisions, as they are made"),
    found.decisions.length ? h("ol", { class: "decisions", "aria-live": "polite" }, found.decisions.map(decision)) : h("p", { class: "quiet" }, "Nothing was decided yet."),
    found.runs.length > 0 && h("nav", { class: "run-links", "aria-label": "Runs of this tuning" }, h("ul", {}, runs),
      found.runs.length > 1 && h("a", { class: "main-button", href: place({ page: "compare", run: compared }) }, "Compare these runs")));
}

function decision(one) {
  const [kind] = /^(plan|budget|note|next|stopped|probe|race)/.exec(one.text) ?? ["run"];
  return h("li", { class: `decision ${kind}` }, one.t !== null && h("time", {}, new Date(1000 * one.t).toLocaleTimeString()), h("span", { dir: "auto" }, one.text));
}
