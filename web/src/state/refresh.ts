// Everything that keeps the page fresh while somebody is signed in: the stream, and the slower ask when it is away.

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { getSystemStatus } from "../api/market";
import { listOpenIncidents } from "../api/trades";
import type { Banner } from "../api/types";
import { loading, reload, reloadAll } from "./positions";
import { keys } from "./queries";
import { useStore } from "./store";
import { closeStream, openStream, streamState } from "./stream";

const FALLBACK_S = 15;
const STATUS_EVERY_MS = 15_000;
const RETRY_MS = 4000;

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

/** Ask again soon for a list that could not be read, whether the stream is live or not. */
export function useListRetry(): void {
  const { problem } = useStore(loading);
  useEffect(() => {
    if (!problem) return;
    const timer = setTimeout(() => void reload(), RETRY_MS);
    return () => clearTimeout(timer);
  }, [problem]);
}

const SILENT: Omit<Banner, "since"> = {
  code: "gateway_unavailable",
  level: "error",
  text: "Bookend does not answer. What is shown may be old; stops and targets rest at the broker and do not need this page.",
};

/** The banners of the status, or the one that says there is no status. */
export function useBanners(status: ReturnType<typeof useSystemStatus>): readonly Banner[] {
  if (status.isError)
    return [{ ...SILENT, since: new Date(status.dataUpdatedAt || status.errorUpdatedAt).toISOString() }];
  return status.data?.banners ?? [];
}

export function useSystemStatus(autoRefresh = true) {
  return useQuery({
    queryKey: keys.status,
    queryFn: getSystemStatus,
    refetchInterval: (query) => (query.state.status === "error" ? RETRY_MS : autoRefresh && STATUS_EVERY_MS),
  });
}

/** Findings that are still open; asked again when the stream tells of one, and with every full refresh. */
export function useIncidents() {
  return useQuery({ queryKey: keys.incidents, queryFn: listOpenIncidents });
}
