// j and k walk the rows of a list ([data-keys] holds them), / goes to the filter, ? shows the keys. Enter is the
// browser's own: the row's first link has the focus. Off with one switch (WCAG 2.1.4), kept in this browser.

const STORE = "countersign.keys";
const ROWS = "[data-keys] > *, [data-keys] > tbody > tr";

const enabled = () => localStorage.getItem(STORE) !== "off";
const reachable = (element) => element.offsetParent !== null;

function typing(target) {
  return target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
}

function walk(step) {
  const links = [...document.querySelectorAll(ROWS)]
    .map((row) => row.querySelector("a[href]"))
    .filter((link) => link && reachable(link));
  if (links.length === 0) return;
  const row = document.activeElement.closest(ROWS);
  const here = links.findIndex((link) => row && row.contains(link));
  const next = here === -1 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(here + step, 0), links.length - 1);
  links[next].focus();
  links[next].scrollIntoView({ block: "nearest" });
}

const ACTIONS = {
  j: () => walk(1),
  k: () => walk(-1),
  "/": () => document.querySelector(".filters input, .filters select")?.focus(),
  "?": () => document.getElementById("keyboard-help")?.togglePopover(),
};

document.addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (!plain || !enabled() || typing(event.target) || !(event.key in ACTIONS)) return;
  event.preventDefault();
  ACTIONS[event.key]();
});

for (const box of document.querySelectorAll("input[data-keys-switch]")) {
  box.checked = enabled();
  box.addEventListener("change", () => localStorage.setItem(STORE, box.checked ? "on" : "off"));
}
