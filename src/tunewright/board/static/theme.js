// Before the first paint: the reader's choice of dark or light, so that the page never flashes.
"use strict";
try {
  const kept = localStorage.getItem("tunewright-theme");
  if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
} catch { /* a browser without storage follows the system */ }
