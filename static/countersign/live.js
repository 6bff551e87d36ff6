// What htmx leaves open for parts that refresh themselves: say when the connection is lost (the figures on the page are
// then old), do not poll while nobody looks, and keep the scroll of a log that is read from its end.

const root = document.documentElement;
const setLost = (lost) => {
  if (lost) root.dataset.connection = "lost";
  else delete root.dataset.connection;
};

document.addEventListener("htmx:sendError", () => setLost(true));
document.addEventListener("htmx:timeout", () => setLost(true));
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status >= 500) setLost(true);
});
document.addEventListener("htmx:afterOnLoad", () => setLost(false));
window.addEventListener("offline", () => setLost(true));

// A signed-out session answers polls with 401 or 403, or a redirect to sign-in: load the page again to say so properly.
document.addEventListener("htmx:responseError", (event) => {
  const polled = event.detail.elt.getAttribute("hx-trigger")?.includes("every");
  if (polled && [401, 403].includes(event.detail.xhr.status)) location.reload();
});

document.addEventListener("htmx:beforeRequest", (event) => {
  const polled = event.detail.elt.getAttribute("hx-trigger")?.includes("every");
  if (polled && document.hidden) event.preventDefault();
});

const CLOSE_PX = 24;
let followed = new Set();

const atEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < CLOSE_PX;
const toEnd = (log) => {
  log.scrollTop = log.scrollHeight;
};

// A part that is replaced keeps what the reader does in it: how far boxes are scrolled, which <details> are open, and the
// link that has the focus (htmx itself keeps the focus of elements with an id).
let held = { scrolls: [], open: [], href: null };

const links = (root) => [...root.querySelectorAll("a[href]")];
const hold = (part) => ({
  scrolls: [...part.querySelectorAll("[id]")]
    .filter((box) => box.scrollLeft || box.scrollTop)
    .map((box) => [box.id, box.scrollLeft, box.scrollTop]),
  open: [...part.querySelectorAll("details")].map((details) => details.open),
  href: part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null,
});
const release = (part) => {
  for (const [id, left, top] of held.scrolls) document.getElementById(id)?.scrollTo(left, top);
  const details = [...part.querySelectorAll("details")];
  if (details.length === held.open.length) details.forEach((one, place) => (one.open = held.open[place]));
  if (held.href && !part.contains(document.activeElement))
    links(part).find((link) => link.getAttribute("href") === held.href)?.focus({ preventScroll: true });
};

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.matches(".live")) held = hold(event.detail.target);
  followed = new Set([...document.querySelectorAll(".log[id]")].filter(atEnd).map((log) => log.id));
});
document.addEventListener("htmx:afterSwap", () => {
  const part = document.querySelector(".live");
  if (part) release(part);
  held = { scrolls: [], open: [], href: null };
  for (const id of followed) {
    const log = document.getElementById(id);
    if (log) toEnd(log);
  }
});
for (const log of document.querySelectorAll(".log[data-follow]")) toEnd(log);
