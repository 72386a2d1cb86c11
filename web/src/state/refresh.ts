// Everything that keeps the page fresh while somebody is signed in: the stream, and the slower ask when it is away.

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { getSystemStatus } from "../api/market";
import { listOpenIncidents } from "../api/trades";
import { reload, reloadAll } from "./positions";
import { keys } from "./queries";
import { useStore } from "./store";
import { closeStream, openStream, streamState } from "./stream";

const FALLBACK_S = 15;
const STATUS_EVERY_MS = 15_000;

/** Keep the stream open while the component lives, and ask every few seconds while it is not live. */
export function useFreshness(autoRefresh: boolean): void {
  const state = useStore(streamState);
  const status = useSystemStatus(autoRefresh);
  const fallbackMs = 1000 * (status.data?.page_fallback_s ?? FALLBACK_S);
  useEffect(() => {
    openStream();
    void reload();
    return closeStream;
  }, []);
  useEffect(() => {
    if (!autoRefresh || state === "live") return;
    const timer = setInterval(() => {
      if (!document.hidden) void reloadAll();
    }, fallbackMs);
    return () => clearInterval(timer);
  }, [autoRefresh, state, fallbackMs]);
}

export function useSystemStatus(autoRefresh = true) {
  return useQuery({
    queryKey: keys.status,
    queryFn: getSystemStatus,
    refetchInterval: autoRefresh ? STATUS_EVERY_MS : false,
  });
}

/** Findings that are still open; asked again when the stream tells of one, and with every full refresh. */
export function useIncidents() {
  return useQuery({ queryKey: keys.incidents, queryFn: listOpenIncidents });
}
