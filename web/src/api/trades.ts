// Trades: lists, one trade's detail, and the four things a user can do to one.

import { request, type Answer } from "./client";
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
  const { data } = await request<{ timeline: TimelineEntry[] }>("GET", `/api/trades/${encodeURIComponent(id)}/timeline`);
  return data.timeline;
}

export async function getSnapshots(id: string): Promise<Snapshot[]> {
  const path = `/api/trades/${encodeURIComponent(id)}/snapshots`;
  return (await request<{ points: Snapshot[] }>("GET", path, { query: { points: 300 } })).data.points;
}

export function place(body: PlaceBody, idempotencyKey: string): Promise<Answer<Trade>> {
  return request("POST", "/api/trades", { body, idempotencyKey });
}

export function close(trade: Trade, idempotencyKey: string): Promise<Answer<Trade>> {
  const path = `/api/trades/${encodeURIComponent(trade.id)}/close`;
  return request("POST", path, { body: { version: trade.version }, idempotencyKey });
}

export interface Adjustment {
  new_sl?: string;
  new_tp?: string;
}

export function adjust(trade: Trade, change: Adjustment, idempotencyKey: string): Promise<Answer<Trade>> {
  const path = `/api/trades/${encodeURIComponent(trade.id)}/adjust`;
  return request("POST", path, { body: { version: trade.version, ...change }, idempotencyKey });
}

export function withdraw(trade: Trade, idempotencyKey: string): Promise<Answer<Trade>> {
  const path = `/api/trades/${encodeURIComponent(trade.id)}/withdraw`;
  return request("POST", path, { body: {}, idempotencyKey });
}
