// One clock for every age on the page: it ticks once a second while anybody looks at it.

import { useSyncExternalStore } from "react";
import { createStore } from "./store";

const now = createStore(Date.now());
let watchers = 0;
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  if (watchers++ === 0) {
    now.set(Date.now());
    timer = setInterval(() => now.set(Date.now()), 1000);
  }
  const stop = now.subscribe(listener);
  return () => {
    stop();
    if (--watchers === 0) clearInterval(timer);
  };
}

/** The time in milliseconds, a second fresh. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, now.get);
}
