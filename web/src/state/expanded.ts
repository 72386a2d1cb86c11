// Which trade's details are open, so that an alarm can lead to its trade.

import { createStore } from "./store";

export const expanded = createStore<string | null>(null);

export function toggleExpanded(id: string): void {
  expanded.set(expanded.get() === id ? null : id);
}

/** Open a trade's details and bring its row before the eye. */
export function showTrade(id: string): void {
  window.location.hash = "open";
  expanded.set(id);
  requestAnimationFrame(() => {
    const row = document.querySelector(`tr[data-trade="${CSS.escape(id)}"]`);
    row?.scrollIntoView({ block: "start" });
    row?.querySelector<HTMLElement>("button.contract")?.focus({ preventScroll: true });
  });
}
