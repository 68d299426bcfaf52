// Panels over one axis with one cursor. The server thins and smooths; here lines are only drawn, and grow.

import { h, put, s, show } from "./dom.js";

const LOOKS = {
  raw: { colour: "--c-train", width: 1, faint: true },
  train: { colour: "--c-train", width: 2 },
  eval: { colour: "--c-eval", width: 2, dash: [7, 3] },
  general: { colour: "--c-general", width: 2, dash: [2, 3] },
  rate: { colour: "--c-rate", width: 1.6 },
  norm: { colour: "--c-sky", width: 1.2 },
  speed: { colour: "--c-amber", width: 1.2 },
  ghost: { colour: "--quiet", width: 1, dash: [2, 2] },
  "best-run": { colour: "--c-train", width: 3 },
  "run-other": { colour: "--quiet", width: 1, faint: true },
  run0: { colour: "--c-train", width: 2 },
  run1: { colour: "--c-eval", width: 2, dash: [7, 3] },
  run2: { colour: "--c-general", width: 2, dash: [2, 3] },
  run3: { colour: "--c-rate", width: 2, dash: [10, 3, 2, 3] },
  run4: { colour: "--c-amber", width: 2, dash: [4, 2] },
  run5: { colour: "--c-sky", width: 2, dash: [12, 4] },
  run6: { colour: "--quiet", width: 2, dash: [1, 3] },
  run7: { colour: "--c-eval", width: 1.4 },
  run8: { colour: "--c-general", width: 1.4, dash: [8, 2, 2, 2] },
  run9: { colour: "--c-rate", width: 1.4, dash: [3, 1] },
};
const HEIGHTS = { loss: 300, eval: 260, general: 130, rate: 90, norm: 120, speed: 110 };
const LEFT_PX = 58;
const BANDS = { error: "--bad", warning: "--warn", info: "--quiet" };
const TOO_MANY_DRAWN = 6000;

let groups = 0;

/** The value of one of the style's colours. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * Charts of one answer of the server, drawn into `place`.
 *
 * options.log       whether the vertical axes are logarithmic
 * options.zoom      [first, last] of the axis that is looked at, or null
 * options.onZoom    called with [first, last] when a part is drawn out with the mouse, null when it is given back
 * options.onFull    called when so many points came in that the charts should be fetched anew
 */
export class Charts {
  constructor(place, answer, options = {}) {
    this.place = place;
    this.answer = answer;
    this.options = options;
    this.sync = `charts${groups++}`;
    this.panels = answer.panels.map((panel, at) => new PanelView(this, panel, at === answer.panels.length - 1));
    this.sizes = new ResizeObserver(() => { for (const panel of this.panels) panel.fit(); });
    show(place, this.panels.map((panel) => panel.element));
    this.sizes.observe(place);
  }

  /** [first, last] of the axis. */
  range() {
    if (this.options.zoom) return this.options.zoom;
    let last = 0;
    for (const panel of this.panels) last = Math.max(last, panel.lastX());
    return [0, last || 1];
  }

  /** Adds what is new: line key -> {x, y, steps, not_finite, last}. */
  add(lines) {
    let drawn = 0;
    for (const panel of this.panels) drawn += panel.add(lines);
    for (const panel of this.panels) panel.redraw(true);
    if (drawn > TOO_MANY_DRAWN) this.options.onFull?.();
  }

  /** New bands and marks over the same lines. */
  annotate(bands, marks) {
    this.answer.bands = bands;
    this.answer.marks = marks;
    for (const panel of this.panels) panel.redraw(false);
  }

  setLog(log) {
    this.options.log = log;
    for (const panel of this.panels) panel.build();
  }

  /** After the colours changed. */
  repaint() {
    for (const panel of this.panels) panel.build();
  }

  /** The step and values under the cursor, told to every panel's legend. */
  pointed(x) {
    for (const panel of this.panels) panel.read(x);
  }

  destroy() {
    this.sizes.disconnect();
    for (const panel of this.panels) panel.destroy();
  }

  /** Every drawn point as rows of text: panel, line, x, y. */
  rows() {
    return this.panels.flatMap((panel) => panel.lines.flatMap((line) => line.x.map((x, at) => [panel.about.title, line.name, x, line.y[at]])));
  }

  /** The panels as one picture, as they are on the screen. */
  async picture() {
    const canvases = this.panels.map((panel) => panel.plot?.ctx.canvas).filter(Boolean);
    const gap = 34 * devicePixelRatio;
    const whole = document.createElement("canvas");
    whole.width = Math.max(...canvases.map((canvas) => canvas.width));
    whole.height = canvases.reduce((sum, canvas) => sum + canvas.height + gap, gap / 2);
    const context = whole.getContext("2d");
    context.fillStyle = colour("--paper");
    context.fillRect(0, 0, whole.width, whole.height);
    context.fillStyle = colour("--ink");
    context.font = `600 ${14 * devicePixelRatio}px system-ui, sans-serif`;
    let y = gap * 0.75;
    canvases.forEach((canvas, at) => {
      context.fillText(this.panels[at].about.title, 8 * devicePixelRatio, y);
      context.drawImage(canvas, 0, y + gap * 0.25);
      y += canvas.height + gap;
    });
    return new Promise((done) => { whole.toBlob(done, "image/png"); });
  }
}

class PanelView {
  constructor(group, about, isLast) {
    this.group = group;
    this.about = about;
    this.isLast = isLast;
    this.lines = about.lines.map((line) => ({ ...line, x: [...line.x], y: [...line.y], lost: [...line.lost], shown: true }));
    const few = about.lines.filter((line) => line.points).length < 2;
    this.legend = h("ul", { class: few ? "legend alone" : "legend" });
    this.note = h("p", { class: "chart-note" });
    this.canvas = h("div", { class: "plot", role: "img" });
    this.element = h("div", { class: "panel", "data-panel": about.key },
      h("div", { class: "panel-head" }, h("h3", { class: "panel-title" }, about.title), this.legend), this.canvas, this.note);
    this.plot = null;
    this.writeLegend();
    this.writeNote();
  }

  lastX() {
    return Math.max(0, ...this.lines.filter((line) => line.x.length).map((line) => line.x[line.x.length - 1]));
  }

  height() {
    return HEIGHTS[this.about.key] ?? 260;
  }

  fit() {
    const width = Math.floor(this.canvas.clientWidth);
    if (width < 40) return;
    if (!this.plot) this.build();
    else if (this.plot.width !== width) this.plot.setSize({ width, height: this.plotHeight() });
  }

  plotHeight() {
    return this.height() + (this.labelled() ? 26 : 0);
  }

  labelled() {
    return this.isLast || this.about.key === "loss";
  }

  data() {
    const tables = this.lines.map((line) => distinct(line.x, line.y));
    return tables.length ? uPlot.join(tables) : [[]];
  }

  build() {
    const width = Math.floor(this.canvas.clientWidth);
    if (width < 40) return;
    this.plot?.destroy();
    this.plot = new uPlot(this.settings(width), this.data(), this.canvas);
    this.canvas.setAttribute("aria-label", this.spoken());
    this.writeNote();
  }

  redraw(grown) {
    if (!this.plot) return;
    if (grown) this.plot.setData(this.data(), true);
    else this.plot.redraw(false);
    if (grown) this.canvas.setAttribute("aria-label", this.spoken());
    this.writeNote();
  }

  destroy() {
    this.plot?.destroy();
  }

  add(lines) {
    for (const line of this.lines) {
      const more = lines[line.key];
      if (!more) continue;
      more.x.forEach((x, at) => {
        line.x.push(x);
        line.y.push(more.y[at]);
        if (more.y[at] === null) line.lost.push([x, x, 1]);
      });
      line.points += more.x.length;
      line.drawn += more.x.length - more.not_finite;
      line.not_finite += more.not_finite;
      line.last = more.last;
    }
    this.writeLegend();
    return this.lines.reduce((sum, line) => sum + line.drawn, 0);
  }

  settings(width) {
    const log = this.group.options.log && this.about.key !== "rate" && this.about.key !== "speed";
    const quiet = colour("--quiet");
    const grid = { stroke: colour("--line"), width: 1 };
    const font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
    const title = this.isLast ? this.group.answer.axis.title : undefined;
    return {
      width,
      height: this.plotHeight() + (title ? 18 : 0),
      padding: [8, 14, this.labelled() ? 0 : 6, 0],
      legend: { show: false },
      cursor: {
        sync: { key: this.group.sync, scales: ["x", null], setSeries: false },
        drag: { x: true, y: false, setScale: false },
        points: { size: 7 },
        focus: { prox: -1 },
      },
      scales: {
        x: { time: false, range: () => this.group.range() },
        y: { distr: log ? 3 : 1, range: (plot, low, high) => this.yRange(low, high, log) },
      },
      axes: [
        { stroke: quiet, font, grid, ticks: { show: false }, gap: 6, size: this.labelled() ? 26 : 0, space: 70,
          values: (plot, ticks) => ticks.map((tick) => (this.labelled() ? count(tick) : "")),
          label: title, labelSize: title ? 18 : 0, labelFont: font },
        { stroke: quiet, font, grid, ticks: { show: false }, gap: 6, size: LEFT_PX, space: 34,
          values: (plot, ticks) => ticks.map((tick) => (tick === null ? "" : short(tick))) },
      ],
      series: [{}, ...this.lines.map((line) => this.series(line))],
      hooks: {
        drawClear: [(plot) => this.drawBands(plot)],
        draw: [(plot) => this.drawOver(plot)],
        setCursor: [(plot) => this.group.pointed(plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : null)],
        setSelect: [(plot) => this.selected(plot)],
        ready: [(plot) => plot.over.addEventListener("dblclick", () => this.group.options.onZoom?.(null))],
      },
    };
  }

  series(line) {
    const look = LOOKS[line.look] ?? LOOKS.train;
    const stroke = look.faint ? faint(colour(look.colour)) : colour(look.colour);
    const alone = (plot, at) => lonely(plot.data[at]);
    return {
      label: line.name,
      show: line.shown,
      stroke,
      width: look.width,
      dash: look.dash,
      points: line.dots
        ? { show: true, size: 6, fill: colour(look.colour), stroke: colour("--paper"), width: 1, filter: undefined }
        : { show: true, size: 4, fill: stroke, stroke, width: 0, filter: alone },
    };
  }

  yRange(low, high, log) {
    let [least, most] = [low, high];
    for (const level of this.about.levels) {
      least = least === null ? level.y : Math.min(least, level.y);
      most = most === null ? level.y : Math.max(most, level.y);
    }
    if (least === null || most === null) return log ? [0.1, 1] : [0, 1];
    if (log) {
      const room = (Math.log(most) - Math.log(least)) * 0.05 || 0.1;
      return [Math.exp(Math.log(least) - room), Math.exp(Math.log(most) + room)];
    }
    const room = (most - least) * 0.06 || Math.abs(most) * 0.1 || 1;
    const fromZero = this.about.from_zero && least >= 0 && !this.group.options.zoom;
    return [fromZero ? 0 : least - room, most + room];
  }

  selected(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    const ends = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.group.options.onZoom?.(ends);
  }

  drawBands(plot) {
    const { left, top, width, height } = plot.bbox;
    plot.ctx.save();
    plot.ctx.beginPath();
    plot.ctx.rect(left, top, width, height);
    plot.ctx.clip();
    for (const band of this.group.answer.bands ?? []) {
      const [from, to] = [plot.valToPos(band.first, "x", true), plot.valToPos(band.last, "x", true)];
      const wide = Math.max(to - from, 3 * devicePixelRatio);
      plot.ctx.fillStyle = colour(BANDS[band.severity] ?? "--quiet");
      const isAll = wide > width * 0.9; // a band over everything would only tint the paper
      plot.ctx.globalAlpha = isAll ? 0.04 : band.severity === "info" ? 0.08 : 0.11;
      plot.ctx.fillRect((from + to - wide) / 2, top, wide, height);
      plot.ctx.globalAlpha = 0.75;
      if (this.about.key === "loss") plot.ctx.fillRect((from + to - wide) / 2, top, wide, 3 * devicePixelRatio);
    }
    plot.ctx.restore();
  }

  drawOver(plot) {
    const { ctx } = plot;
    const { left, top, width, height } = plot.bbox;
    const px = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.font = `${12 * px}px system-ui, sans-serif`;
    ctx.lineWidth = px;
    for (const level of this.about.levels) this.drawLevel(plot, level, px);
    for (const mark of this.group.answer.marks ?? []) this.drawMark(plot, mark, px);
    this.drawLost(plot, px);
    ctx.restore();
  }

  drawLevel(plot, level, px) {
    const y = plot.valToPos(level.y, "y", true);
    plot.ctx.strokeStyle = plot.ctx.fillStyle = colour("--quiet");
    plot.ctx.setLineDash([3 * px, 3 * px]);
    stroke(plot.ctx, plot.bbox.left, y, plot.bbox.left + plot.bbox.width, y);
    plot.ctx.textAlign = "right";
    const tight = this.about.levels.some((other) => other.y > level.y && y - plot.valToPos(other.y, "y", true) < 16 * px);
    if (tight) return;
    const above = y - plot.bbox.top > 18 * px;
    plot.ctx.fillText(level.label, plot.bbox.left + plot.bbox.width - 4 * px, above ? y - 4 * px : y + 13 * px);
  }

  drawMark(plot, mark, px) {
    const x = plot.valToPos(mark.x, "x", true);
    const { top, height, left, width } = plot.bbox;
    plot.ctx.strokeStyle = plot.ctx.fillStyle = colour("--ink");
    plot.ctx.setLineDash(mark.look === "best" ? [px, 3 * px] : [6 * px, 3 * px]);
    stroke(plot.ctx, x, top, x, top + height);
    if (this.about.key !== "loss") return;
    const isRight = x + plot.ctx.measureText(mark.label).width + 8 * px > left + width;
    plot.ctx.textAlign = isRight ? "right" : "left";
    plot.ctx.fillText(mark.label, x + (isRight ? -6 : 6) * px, top + 18 * px);
  }

  /** Points that are not finite: a cross at the step, a bar over a stretch; never a value, never only a gap. */
  drawLost(plot, px) {
    const y = plot.bbox.top + plot.bbox.height - 8 * px;
    plot.ctx.setLineDash([]);
    plot.ctx.lineWidth = 1.8 * px;
    plot.ctx.strokeStyle = colour("--bad");
    for (const line of this.lines) {
      if (!line.shown) continue;
      for (const [first, last] of line.lost) {
        const [from, to] = [plot.valToPos(first, "x", true), plot.valToPos(last, "x", true)];
        for (const x of to - from > 10 * px ? [from, to] : [from]) {
          stroke(plot.ctx, x - 4 * px, y - 4 * px, x + 4 * px, y + 4 * px);
          stroke(plot.ctx, x - 4 * px, y + 4 * px, x + 4 * px, y - 4 * px);
        }
        if (to - from > 10 * px) stroke(plot.ctx, from, y, to, y);
      }
    }
  }

  writeLegend() {
    this.values = [];
    const named = this.lines.filter((line) => line.name && line.points);
    show(this.legend, named.map((line) => {
      const value = h("span", { class: "legend-value" });
      this.values.push([line, value]);
      const lost = line.not_finite ? `, ${line.not_finite.toLocaleString("en")} not finite` : "";
      const button = h("button", { type: "button", "aria-pressed": String(line.shown), title: "Show or hide this line" },
        swatch(line), h("span", {}, h("span", { class: named.length > 1 ? null : "unseen" }, line.name), lost && h("b", { class: "lost" }, lost)), value);
      button.addEventListener("click", () => this.toggle(line, button));
      return h("li", {}, button);
    }));
  }

  toggle(line, button) {
    line.shown = !line.shown;
    button.setAttribute("aria-pressed", String(line.shown));
    this.plot?.setSeries(this.lines.indexOf(line) + 1, { show: line.shown });
    this.writeNote();
  }

  writeNote() {
    const thinned = this.lines.filter((line) => line.drawn + line.not_finite < line.points && line.shown && !line.repeats);
    const said = thinned.map((line) => `${line.drawn.toLocaleString("en")} of ${line.points.toLocaleString("en")} points of ${line.name.split(" (")[0]}`);
    const notes = said.length ? [`Showing ${said.slice(0, 3).join(", ")}${said.length > 3 ? " and others" : ""}: the lowest and highest of each stretch.`] : [];
    if (this.group.options.log && this.about.key !== "rate" && this.about.key !== "speed") {
      const hidden = this.lines.reduce((sum, line) => sum + line.y.filter((y) => y !== null && y <= 0).length, 0);
      notes.push(hidden ? `Logarithmic axis; ${hidden} values at or below 0 cannot be drawn on it.` : "Logarithmic axis.");
    }
    this.note.textContent = notes.join(" ");
  }

  /** Writes each line's value at the cursor into the legend. */
  read(x) {
    for (const [line, element] of this.values) {
      const at = x === null ? -1 : nearest(line.x, x);
      element.textContent = at < 0 ? "" : line.y[at] === null ? "not finite" : short(line.y[at], 4);
    }
    if (this.about === this.group.panels[0].about) this.group.options.onPoint?.(x);
  }

  spoken() {
    const ends = this.lines.filter((line) => line.points).map((line) => `${line.name}: last value ${line.last || "unknown"}`);
    return `${this.about.title}. ${ends.slice(0, 12).join("; ")}. The numbers are in the table below the charts.`;
  }
}

function stroke(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function swatch(line) {
  const look = LOOKS[line.look] ?? LOOKS.train;
  return s("svg", { class: `swatch ${look.faint ? "faint" : ""}`, width: 26, height: 10, "aria-hidden": "true" },
    s("path", { d: "M1 5H25", class: `stroke${look.colour}`, "stroke-width": Math.max(1.5, look.width), "stroke-dasharray": look.dash?.join(" ") }),
    line.dots && s("circle", { cx: 13, cy: 5, r: 3, class: `fill${look.colour}` }));
}

/** Two columns with the places distinct: of several values at one place the last. */
function distinct(x, y) {
  const places = [];
  const values = [];
  for (let at = 0; at < x.length; at++) {
    if (places.length && x[at] <= places[places.length - 1]) values[values.length - 1] = y[at];
    else { places.push(x[at]); values.push(y[at]); }
  }
  return [places, values];
}

/** Points with a gap on both sides: without a dot they would not be seen. */
function lonely(values) {
  const alone = [];
  let last = null; // index of the last finite point, null after a gap
  let single = false;
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    if (value === undefined) continue;
    if (value === null) {
      if (single) alone.push(last);
      last = null;
      single = false;
    } else {
      single = last === null;
      last = at;
    }
  }
  if (single) alone.push(last);
  return alone;
}

function nearest(places, x) {
  let [low, high] = [0, places.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low > 0 && x - places[low - 1] < places[low] - x ? low - 1 : low < places.length ? low : -1;
}

function faint(value) {
  const mix = document.documentElement.dataset.theme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches) ? 55 : 38;
  return `color-mix(in srgb, ${value} ${mix}%, transparent)`;
}

/** A number on an axis or under the cursor. */
export function short(value, digits = 3) {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 1e6 || size < 1e-3) return value.toExponential(Math.max(0, digits - 2)).replace("e+", "e");
  if (size >= 1000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  return String(Number(value.toPrecision(digits)));
}

function count(value) {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(4))} k`;
  return value.toLocaleString("en");
}
