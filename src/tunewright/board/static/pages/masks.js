// The data as the trainer sees it: each row, with what is trained on made to stand out.

import { post } from "../api.js";
import { h, put, show } from "../dom.js";
import { asked, place } from "../state.js";
import { needsToken } from "./start.js";

export function masksPage(main, board) {
  const query = asked();
  const run = query.get("run");
  const about = run ? { run } : { data: query.get("data") ?? "", model: query.get("model") ?? "", val: query.get("val") ?? "" };
  board.setTitle("What is trained on");
  const body = h("div", {}, h("p", { class: "quiet loading", role: "status" }, "Reading the data with the model's tokenizer…"));
  put(main, h("div", { class: "page-head" }, h("h1", {}, "What is trained on"),
    h("p", { class: "count" }, run ? h("a", { href: place({ run }) }, run) : [about.data, " · ", about.model])),
  h("p", {}, h("mark", {}, "Marked text"), " is what the model learns to produce; the rest it only reads."), body);
  load();

  async function load() {
    try {
      const found = await post("masks", about);
      show(body, figures(found), faults(found.faults), found.masks.map(row));
    } catch (error) {
      show(body, needsToken(error));
    }
  }
  return {};
}

function figures(found) {
  const percent = (share) => `${Number((100 * share).toPrecision(3))} %`;
  return h("dl", { class: "big" }, [["Rows", found.rows.toLocaleString("en")], ["Tokens", found.tokens.toLocaleString("en")],
    ["Trained on", typeof found.supervised_share === "number" ? percent(found.supervised_share) : "none"], ["Cut off", percent(found.truncated_share)], ["Learn where to stop", percent(found.stop_share)]]
    .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function faults(list) {
  if (!list.length) return h("p", { class: "good" }, "No fault was found in the data.");
  const tone = { error: "bad", warning: "warn", info: "quiet" };
  const rows = list.map((one) => h("tr", {}, h("th", { scope: "row" }, h("span", { class: `mark ${tone[one.severity]}` }, one.severity)), h("td", {}, one.fault.replaceAll("_", " ")),
    h("td", { class: "num" }, one.count.toLocaleString("en")), h("td", {}, one.why, h("span", { class: "sub" }, one.fix)), h("td", {}, one.rows.join(", "))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Faults of the data" }, h("table", {}, h("caption", {}, "Faults of the data"),
    h("thead", {}, h("tr", {}, ["severity", "fault", "rows", "why and what to do", "first rows"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows)));
}

function row(mask) {
  return h("section", { class: "mask-row", "aria-label": `Row ${mask.row}` }, h("h2", {}, `Row ${mask.row}`),
    h("pre", { dir: "auto", tabindex: "0" }, mask.pieces.map((piece) => (piece.trained ? h("mark", {}, piece.text) : piece.text))));
}
