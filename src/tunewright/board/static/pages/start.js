// A tuning started from the browser: the form comes from the recipe's schema, the command it makes is shown.

import { get, post } from "../api.js";
import { copyButton, h, put, show } from "../dom.js";
import { asked, go, place } from "../state.js";

export function startPage(main, board) {
  board.setTitle("New tuning");
  const form = h("form", { class: "start", autocomplete: "off" });
  const said = h("div", { role: "status" });
  const command = h("pre", { class: "command", tabindex: "0", role: "region", "aria-label": "The command" });
  const copy = h("span", {});
  const typed = h("div", { hidden: true }, h("h2", {}, "The same in a terminal"), command, copy);
  const more = h("details", { class: "more" }, h("summary", {}, "More settings: every key of the recipe; what is left empty is planned from the data"), h("div", { class: "fields" }));
  put(main, h("div", { class: "page-head" }, h("h1", {}, "New tuning"), h("p", { class: "count" }, "Run, read, change one thing, run again, until no change would help; then the exam.")), form);

  const own = [
    field("data", "Data file", "text", { required: true, placeholder: "/path/to/rows.jsonl, hub:NAME, or demo", about: "rows to train on, on the machine the board runs on" }),
    field("model", "Model", "text", { placeholder: "Qwen/Qwen3-0.6B, a folder, or tiny", about: "a Hub name or a folder; may be left out with demo" }),
    choice("goal", "Goal", ["balanced", "eval"], "balanced: keep old skills too; eval: validation loss alone"),
    field("budget", "Budget", "text", { placeholder: "30m", about: "5epochs, 30m, 2Mtokens or 6runs; empty: 16 epochs" }),
    field("name", "Name", "text", { placeholder: "tune-1", about: "of the folder; empty: the next free one" }),
  ];
  const begin = h("button", { type: "submit", class: "main-button" }, "Start the tuning");
  const look = h("button", { type: "button" }, "Show what is trained on");
  put(form, h("div", { class: "fields" }, own), more, h("div", { class: "actions" }, begin, look), said, typed);
  for (const [key, value] of asked()) if (form.elements[key] && key !== "page") form.elements[key].value = value;

  get("form").then((found) => put(more.querySelector(".fields"), found.fields.map(recipeField)));
  form.addEventListener("input", preview);
  form.addEventListener("submit", start);
  look.addEventListener("click", () => go(place({ page: "masks", data: wanted().data, model: wanted().model || null })));
  get("access").then((access) => { if (!access.token) show(said, tokenBox()); });

  function wanted() {
    const values = { settings: {} };
    for (const input of form.elements) {
      if (!input.name || !input.value) continue;
      if ("recipe" in input.dataset) values.settings[input.name] = input.value;
      else values[input.name] = input.value;
    }
    return values;
  }

  let waiting = 0;
  function preview() {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      try {
        const made = await post("preview", wanted());
        typed.hidden = false;
        command.textContent = made.command;
        show(copy, copyButton(made.command, "Copy the command"));
      } catch { typed.hidden = true; /* not a whole command yet */ }
    }, 250);
  }

  async function start(event) {
    event.preventDefault();
    begin.disabled = true;
    try {
      const job = await post("start", wanted());
      go(place({ run: job.name }));
    } catch (error) {
      show(said, needsToken(error));
      begin.disabled = false;
    }
  }
  return {};
}

function field(name, label, type, more = {}) {
  const { about, ...attributes } = more;
  const id = `field-${name}`;
  return h("div", { class: "field" }, h("label", { for: id }, label), h("input", { id, name, type, "aria-describedby": about ? `${id}-about` : null, spellcheck: "false", ...attributes }),
    about && h("p", { class: "about", id: `${id}-about` }, about));
}

function choice(name, label, choices, about, recipe = false) {
  const id = `field-${name}`;
  return h("div", { class: "field" }, h("label", { for: id }, label),
    h("select", { id, name, "data-recipe": recipe, "aria-describedby": about ? `${id}-about` : null }, choices.map((one) => h("option", { value: one }, one || "planned"))), about && h("p", { class: "about", id: `${id}-about` }, about));
}

function recipeField(one) {
  if (one.input === "choice") return choice(one.key, one.key, ["", ...one.choices], one.about, true);
  if (one.input === "switch") return choice(one.key, one.key, ["", "true", "false"], one.about, true);
  const numeric = one.input === "whole" || one.input === "number";
  return field(one.key, one.key, numeric ? "number" : "text", { "data-recipe": true, about: one.about, min: one.least, max: one.most, step: numeric ? (one.input === "whole" ? "1" : "any") : null, placeholder: one.default === null || one.default === undefined ? "planned" : `planned (else ${one.default})` });
}

/** What was refused; with a place for the token when that is what was missing. */
export function needsToken(error) {
  if (error.code === "token") return tokenBox();
  return [h("p", { class: "bad" }, error.message), error.hint && h("p", { class: "quiet" }, error.hint)];
}

function tokenBox() {
  const input = h("input", { type: "password", id: "token", name: "token", "aria-label": "Token of the board", placeholder: "the part behind #token= of the printed address", autocomplete: "off" });
  const said = h("span", { role: "status" });
  const button = h("button", { type: "button" }, "Unlock");
  button.addEventListener("click", async () => {
    try {
      await post("unlock", { token: input.value.trim().replace(/^.*#token=/, "") });
      location.reload();
    } catch (error) {
      said.textContent = ` ${error.message}`;
    }
  });
  return h("div", { class: "token-box" }, h("p", {}, "Starting work and reading data files needs the token that `tunewright board` printed when it started."), h("div", { class: "actions" }, input, button, said));
}

/** What work started from the board says while its folder is not there yet; null when none has that name. */
export async function jobBox(name, onReady) {
  let job;
  try {
    job = await get("job", { name });
  } catch {
    return null;
  }
  const log = h("pre", { class: "log", tabindex: "0", role: "log", "aria-label": `What ${name} says` }, job.log);
  const stop = h("button", { type: "button", hidden: !job.can_stop }, "Stop after this step");
  const box = h("div", { class: "job" }, log, h("div", { class: "actions" }, stop));
  stop.addEventListener("click", () => post("stop", { name }).then(() => { stop.disabled = true; }, (error) => put(box, needsToken(error))));
  const timer = setInterval(async () => {
    if (!box.isConnected) { clearInterval(timer); return; }
    job = await get("job", { name }).catch(() => job);
    log.textContent = job.log;
    stop.hidden = !job.can_stop;
    if (await get("page", { run: name }).then(() => true, () => false)) {
      clearInterval(timer);
      box.remove();
      onReady();
    } else if (!job.running) clearInterval(timer);
  }, 1000);
  return box;
}
