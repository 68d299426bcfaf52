// A figure inside a report's document: the same charts, standing still.

import { Charts } from "./chart.js";
import { h } from "./dom.js";
import { block } from "./tree.js";

/** Figures on the page, so that they can be repainted when the colours change. */
const drawn = new Set();

export function drawFigure(figure, table) {
  const place = h("div", { class: "charts" });
  const charts = new Charts(place, { ...figure, bands: [], marks: [] }, {});
  drawn.add(charts);
  return h("figure", { "aria-label": figure.title }, place, figure.note && h("figcaption", {}, figure.note),
    h("details", {}, h("summary", {}, "The numbers behind this chart"), block(table)));
}

/** After the colours changed; figures that are gone are forgotten. */
export function repaintFigures() {
  for (const charts of drawn) {
    if (charts.place.isConnected) charts.repaint();
    else { charts.destroy(); drawn.delete(charts); }
  }
}
