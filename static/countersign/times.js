// Keeps "3 min ago" true while a page stays open. The words are those of the server (relative_words in
// controlplane/templatetags/countersign.py); the exact UTC time is in the title and is never touched.

const STEPS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86400, 3600, "h"],
  [30 * 86400, 86400, "d"],
];
const EVERY_MS = 15_000;

export function relativeWords(seconds) {
  const size = Math.abs(seconds);
  if (size < 5) return "just now";
  for (const [limit, unit, name] of STEPS) {
    if (size < limit) {
      const words = `${Math.floor(size / unit)} ${name}`;
      return seconds < 0 ? `in ${words}` : `${words} ago`;
    }
  }
  return null; // long ago: the date, as the server wrote it
}

export function refresh(root = document) {
  for (const element of root.querySelectorAll("time[data-relative]")) {
    const words = relativeWords((Date.now() - Date.parse(element.dateTime)) / 1000);
    if (words && element.textContent !== words) element.textContent = words;
  }
}

setInterval(() => {
  if (!document.hidden) refresh();
}, EVERY_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
