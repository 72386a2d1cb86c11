// Trades: lists, one trade's detail, and the four things a user can do to one.

import { type Answer, request } from "./client";
import type { PlaceBody, Snapshot, TimelineEntry, Trade, TradePage } from "./types";

const PAGE = 200;

/** Read every open trade, page after page. */
export async function listOpen(): Promise<Trade[]> {
  const all: Trade[] = [];
  let cursor: string | undefined;
  do {
    const query = { status: "OPEN", limit: PAGE, ...(cursor ? { cursor } : {}) };
    const { data } = await request<TradePage>("GET", "/api/trades", { query });
    all.push(...data.trades);
    cursor = data.next_cursor ?? undefined;
  } while (cursor);
  return all;
}

export type HistoryFilter = "all" | "win" | "loss" | "expired";

export async function listHistory(filter: HistoryFilter, cursor: string | undefined): Promise<TradePage> {
  const query = { limit: 50, ...(filter === "all" ? {} : { result: filter }), ...(cursor ? { cursor } : {}) };
  return (await request<TradePage>("GET", "/api/trades/history", { query })).data;
}

export const exportAddress = (format: "csv" | "json"): string => `/api/trades/export?format=${format}`;

export async function getTrade(id: string): Promise<Trade> {
  return (await request<Trade>("GET", `/api/trades/${encodeURIComponent(id)}`)).data;
}

export async function getTimeline(id: string): Promise<TimelineEntry[]> {
  const { data } = await request<{ events: TimelineEntry[] }>("GET", `/api/trades/${encodeURIComponent(id)}/timeline`);
  return data.events;
}

export async function getSnapshots(id: string): Promise<Snapshot[]> {
  const path = `/api/trades/${encodeURIComponent(id)}/snapshots`;
  return (await request<{ points: Snapshot[] }>("GET", path, { query: { points: 300 } })).data.points;
}

export function place(body: PlaceBody, idempotencyKey: string): Promise<Answer<Trade>> {
  return request("POST", "/api/trades", { body, idempotencyKey });
}

/** A trade as the user saw it. */
export interface Sighting {
  id: string;
  version: number;
}

export interface Adjustment extends Sighting {
  new_sl?: string;
  new_tp?: string;
}

export const sightingOf = ({ id, version }: Trade): Sighting => ({ id, version });

export function close({ id, version }: Sighting, idempotencyKey: string): Promise<Answer<Trade>> {
  return request("POST", `/api/trades/${encodeURIComponent(id)}/close`, { body: { version }, idempotencyKey });
}

export function adjust({ id, ...body }: Adjustment, idempotencyKey: string): Promise<Answer<Trade>> {
  return request("POST", `/api/trades/${encodeURIComponent(id)}/adjust`, { body, idempotencyKey });
}

/** Take back a close or adjust that waits for the open. */
export function withdraw({ id }: Sighting, idempotencyKey: string): Promise<Answer<Trade>> {
  return request("POST", `/api/trades/${encodeURIComponent(id)}/withdraw`, { idempotencyKey });
}
