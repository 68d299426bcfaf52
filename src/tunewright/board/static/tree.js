// A report's document as elements: the same sections, tables and sentences that `tunewright report` writes.

import { copyButton, h, s } from "./dom.js";
import { drawFigure } from "./figure.js";

/** A section with its head. */
export function section(one, ...more) {
  const id = `part-${one.key}`;
  return h("section", { id, "aria-labelledby": `${id}-h` }, h("h2", { id: `${id}-h` }, one.title), one.blocks.map(block), more);
}

/** One block by its kind; one of an unknown kind is left out. */
export function block(one) {
  return KINDS[one.kind]?.(one) ?? null;
}

const KINDS = {
  paragraph: (one) => h("p", { class: one.tone || null }, one.text),
  heading: (one) => h("h3", {}, one.text),
  facts: (one) => facts(one.items, one.big),
  table,
  bullets: (one) => h(one.ordered ? "ol" : "ul", {}, one.items.map((item) => h("li", {}, item))),
  code: (one) => code(one.text, one.label),
  example,
  chart: (one) => (one.figure ? drawFigure(one.figure, one.table) : null),
  fold: (one) => h("details", {}, h("summary", {}, one.summary), one.blocks.map(block)),
};

export function facts(items, big = false) {
  if (big) return h("dl", { class: "big" }, items.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { dir: "auto" }, value))));
  return h("dl", {}, items.map(([name, value]) => [h("dt", {}, name), h("dd", { dir: "auto" }, value)]));
}

/** A table in a box that scrolls sideways where the screen is narrow. */
export function table(one) {
  const heads = one.columns.map((column) => h("th", { scope: "col", class: column.numeric ? "num" : null }, column.name));
  const rows = one.rows.map((row, place) => h("tr", { class: place === one.strong_row ? "strong" : null },
    row.map((cell, at) => h(at ? "td" : "th", { scope: at ? null : "row", class: one.columns[at].numeric ? "num" : null }, cellParts(cell)))));
  const box = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": one.caption },
    h("table", {}, h("caption", {}, one.caption), h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows)));
  return one.note ? [box, h("p", { class: "note" }, one.note)] : box;
}

function cellParts(cell) {
  const text = cell.tone ? h("span", { class: `mark ${cell.tone}` }, cell.text) : cell.text;
  return [text, cell.bar && bar(cell.bar), cell.note && h("span", { class: "sub" }, cell.note)];
}

function bar(one) {
  const [rate, low, high] = [one.rate, one.low, one.high].map((share) => 100 * Math.min(1, Math.max(0, share)));
  const span = `M${low},6H${high}M${low},3V9M${high},3V9`;
  return s("svg", { class: "bar", viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "all", y: 2, width: 100, height: 8 }), s("rect", { class: "rate", y: 2, width: rate, height: 8 }),
    high > low && [s("path", { d: span }), s("path", { class: "span", d: span })]);
}

export function code(text, label) {
  return h("div", { class: "code" }, h("p", { class: "code-label" }, label, " ", copyButton(text)),
    h("pre", { tabindex: "0", role: "region", "aria-label": label }, h("code", {}, text)));
}

function example(one) {
  const said = (text, passed) => [h("span", { class: `mark ${passed ? "good" : "bad"}` }, passed ? "right" : "wrong"), " ", text || "(nothing)"];
  return h("div", { class: "example" }, h("p", { class: "question", dir: "auto" }, one.question),
    h("dl", {}, h("dt", {}, "Expected"), h("dd", { dir: "auto" }, one.expected),
      h("dt", {}, "Base"), h("dd", { dir: "auto" }, said(one.base, one.base_passed)),
      h("dt", {}, "Tuned"), h("dd", { dir: "auto" }, said(one.tuned, one.tuned_passed))));
}
