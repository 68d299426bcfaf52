// Keys: one letter each, never while something is typed, never with Ctrl, Alt or Meta.

import { h, show } from "./dom.js";

/** `keys()` gives the list [[key, what it does, action], ...] that holds now. */
export function listenForKeys(keys) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const found = keys().find(([key]) => key === event.key);
    if (!found) return;
    event.preventDefault();
    found[2](event);
  });
}

/** The keys in a dialog. */
export function showKeys(dialog, keys) {
  const close = h("button", { type: "button", class: "small" }, "Close");
  close.addEventListener("click", () => dialog.close());
  show(dialog, h("h2", { id: "keys-title" }, "Keys"),
    h("dl", { class: "keys" }, keys.map(([key, what]) => [h("dt", {}, h("kbd", {}, key === " " ? "Space" : key)), h("dd", {}, what)])), close);
  dialog.showModal();
}
