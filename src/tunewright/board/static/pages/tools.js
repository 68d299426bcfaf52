// The tools above charts: axis, smoothing, logarithm, what is zoomed; the data and the picture to take away.

import { download, h, show } from "../dom.js";
import { adjust, asked } from "../state.js";

const AXES = [["step", "steps"], ["epoch", "epochs"], ["tokens", "tokens"], ["time", "minutes"]];

/**
 * Fills `box`. `about.change(what)` is called after the address says what the reader wants: "x", "smooth", "log", "zoom".
 * Returns { keys, tell(answer, zoom) }.
 */
export function toolbar(box, about) {
  const axis = h("select", { id: "axis", "aria-label": "Horizontal axis" }, AXES.map(([key, name]) => h("option", { value: key, selected: (asked().get("x") ?? "step") === key }, name)));
  const smooth = toggle("Smoothed", asked().get("smooth") !== "0");
  const log = toggle("Log axis", asked().get("log") === "1");
  const whole = h("button", { type: "button", class: "small", hidden: true }, "Whole curve");
  const data = h("button", { type: "button", class: "small" }, "CSV");
  const picture = h("button", { type: "button", class: "small" }, "PNG");

  axis.addEventListener("change", () => { adjust({ x: axis.value === "step" ? null : axis.value }); about.change("x"); });
  smooth.addEventListener("click", () => turn(smooth, "smooth", "0", null));
  log.addEventListener("click", () => turn(log, "log", null, "1"));
  whole.addEventListener("click", () => { adjust({ from: null, to: null }); about.change("zoom"); });
  data.addEventListener("click", () => download(`${fileName(about.name)}.csv`, csv(about.rows()), "text/csv"));
  picture.addEventListener("click", async () => { const made = await about.picture(); if (made) download(`${fileName(about.name)}.png`, made); });

  show(box, h("div", { class: "tools", role: "group", "aria-label": "How the charts are drawn" },
    h("label", { for: "axis" }, "Over"), axis, smooth, log, whole, h("span", { class: "push" }), data, picture));

  function turn(button, key, off, on) {
    const pressed = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(pressed));
    adjust({ [key]: pressed ? on : off });
    about.change(key);
  }

  function nextAxis() {
    axis.selectedIndex = (axis.selectedIndex + 1) % axis.options.length;
    axis.dispatchEvent(new Event("change"));
  }

  return {
    keys: [
      ["x", "the next horizontal axis", nextAxis],
      ["l", "logarithmic axis", () => log.click()],
      ["s", "smoothed or every point as logged", () => smooth.click()],
    ],
    tell(answer, zoom) {
      axis.value = answer.axis.kind;
      whole.hidden = !zoom && !asked().has("from");
    },
  };
}

function toggle(name, on) {
  return h("button", { type: "button", class: "small toggle", "aria-pressed": String(on) }, name);
}

function fileName(name) {
  return name.replaceAll("/", "-").replaceAll(/[^\w.-]+/g, "_") || "charts";
}

function csv(rows) {
  const cell = (value) => { const text = value === null ? "NaN" : String(value); return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : /^[=+@\t]/.test(text) ? `'${text}` : text; };
  return [["panel", "line", "x", "y"], ...rows].map((row) => row.map(cell).join(",")).join("\n");
}
