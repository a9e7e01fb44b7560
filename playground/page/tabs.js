// One tab for each view. The address remembers which is open, so that a link can lead to it.

import { all, byId } from "./dom.js";

const tabs = all("[role=tab]");
const panelOf = (/** @type {HTMLElement} */ tab) => byId(tab.getAttribute("aria-controls") ?? "");

/** What stands for it in the address: no id of an element, as the browser would jump there. @param {HTMLElement} tab */
const nameOfTab = (tab) => tab.id.replace("tab-", "");

/** @param {HTMLElement} chosen  @param {(name: string) => void} opened */
function openTab(chosen, opened) {
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.tabIndex = tab === chosen ? 0 : -1;
    panelOf(tab).hidden = tab !== chosen;
  }
  opened(nameOfTab(chosen));
}

const KEYS = /** @type {Record<string, (at: number) => number>} */ ({
  ArrowLeft: (at) => at - 1,
  ArrowRight: (at) => at + 1,
  Home: () => 0,
  End: () => -1,
});

/** Make the tabs work, and open the one that the address names. @param {(name: string) => void} opened */
export function startTabs(opened) {
  const choose = (/** @type {HTMLElement} */ tab) => {
    openTab(tab, opened);
    history.replaceState(null, "", `#${nameOfTab(tab)}`);
  };
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      if (!(event.key in KEYS)) return;
      const next = /** @type {HTMLElement} */ (tabs.at(KEYS[event.key](at) % tabs.length));
      next.focus();
      choose(next);
      event.preventDefault();
    });
  });
  const named = () => tabs.find((tab) => `#${nameOfTab(tab)}` === location.hash);
  window.addEventListener("hashchange", () => openTab(named() ?? tabs[0], opened));
  openTab(named() ?? tabs[0], opened);
}
