// <copy-text value="…">: click, Enter or Space puts the whole value on the clipboard. Without this script the text can
// still be selected whole. A custom element, so that parts which arrive later through htmx answer as well.

const SHOWN_MS = 1600;
const SPOKEN_CHARACTERS = 12;

class CopyText extends HTMLElement {
  connectedCallback() {
    if (!navigator.clipboard) return; // no secure context: stay plain, selectable text
    this.setAttribute("role", "button");
    this.setAttribute("aria-label", `Copy ${this.getAttribute("value").slice(0, SPOKEN_CHARACTERS)}`);
    this.tabIndex = 0;
    this.addEventListener("click", () => this.copy());
    this.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.copy();
    });
  }

  async copy() {
    let said = "Copied";
    try {
      await navigator.clipboard.writeText(this.getAttribute("value"));
      this.classList.add("copied");
      setTimeout(() => this.classList.remove("copied"), SHOWN_MS);
    } catch {
      said = "The browser did not allow copying; select the text instead";
    }
    const region = document.getElementById("toasts");
    if (!region) return;
    const toast = document.createElement("p");
    toast.textContent = said;
    region.replaceChildren(toast);
    setTimeout(() => toast.remove(), SHOWN_MS);
  }
}

customElements.define("copy-text", CopyText);
