// Which view is shown lives in the address, so that reload, links and the back button keep it.

import { useSyncExternalStore } from "react";

export type View = "open" | "signals" | "history" | "settings";

export interface Route {
  view: View;
  /** The part of the settings that is shown; empty elsewhere. */
  section: string;
}

const VIEWS: readonly View[] = ["open", "signals", "history", "settings"];

export function routeOf(hash: string): Route {
  const [name = "", section = ""] = hash.replace(/^#/, "").split("/");
  const view = VIEWS.find((one) => one === name) ?? "open";
  return { view, section: view === "settings" ? section : "" };
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}

export function useRoute(): Route {
  return routeOf(useSyncExternalStore(subscribe, () => window.location.hash));
}

export function go(view: View, section = ""): void {
  window.location.hash = section ? `${view}/${section}` : view;
}
