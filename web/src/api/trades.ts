// Trades: lists, one trade's detail, and the four things a user can do to one.

import { type Answer, answer, data, http } from "./client";
import type { CurvePoint, Incident, PlaceBody, TimelineEvent, Trade, TradePage } from "./types";

const PAGE = 200;
const HISTORY_PAGE = 50;
const CURVE_POINTS = 300;

/** Read every open trade, page after page. */
export async function listOpen(): Promise<Trade[]> {
  const all: Trade[] = [];
  let cursor: string | null = null;
  do {
    const query = { status: "OPEN" as const, limit: PAGE, ...(cursor ? { cursor } : {}) };
    const page: TradePage = await data(http.GET("/api/trades", { params: { query } }));
    all.push(...page.trades);
    cursor = page.next_cursor;
  } while (cursor);
  return all;
}

export type HistoryFilter = "all" | "win" | "loss" | "expired";

export function listHistory(filter: HistoryFilter, cursor: string | undefined): Promise<TradePage> {
  const query = { limit: HISTORY_PAGE, ...(filter === "all" ? {} : { result: filter }), ...(cursor ? { cursor } : {}) };
  return data(http.GET("/api/trades/history", { params: { query } }));
}

export const exportAddress = (format: "csv" | "json"): string => `/api/trades/export?format=${format}`;

export function getTrade(id: string): Promise<Trade> {
  return data(http.GET("/api/trades/{id}", { params: { path: { id } } }));
}

export async function getTimeline(id: string): Promise<TimelineEvent[]> {
  return (await data(http.GET("/api/trades/{id}/timeline", { params: { path: { id } } }))).events;
}

export async function getCurve(id: string): Promise<CurvePoint[]> {
  const params = { path: { id }, query: { points: CURVE_POINTS } };
  return (await data(http.GET("/api/trades/{id}/snapshots", { params }))).points;
}

export async function listOpenIncidents(): Promise<Incident[]> {
  return (await data(http.GET("/api/incidents", { params: { query: { open: true } } }))).incidents;
}

/** What was found about one trade, open and over. */
export async function listIncidentsOf(tradeId: string): Promise<Incident[]> {
  const query = { trade_id: tradeId, limit: PAGE };
  return (await data(http.GET("/api/incidents", { params: { query } }))).incidents;
}

const keyed = (idempotencyKey: string) => ({ "Idempotency-Key": idempotencyKey });

export function place(body: PlaceBody, idempotencyKey: string): Promise<Answer<Trade>> {
  return answer(http.POST("/api/trades", { params: { header: keyed(idempotencyKey) }, body }));
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

const target = (id: string, idempotencyKey: string) => ({ path: { id }, header: keyed(idempotencyKey) });

export function close({ id, version }: Sighting, idempotencyKey: string): Promise<Answer<Trade>> {
  return answer(http.POST("/api/trades/{id}/close", { params: target(id, idempotencyKey), body: { version } }));
}

export function adjust({ id, ...body }: Adjustment, idempotencyKey: string): Promise<Answer<Trade>> {
  return answer(http.POST("/api/trades/{id}/adjust", { params: target(id, idempotencyKey), body }));
}

/** Take back a close or adjust that waits for the open. */
export function withdraw({ id }: Sighting, idempotencyKey: string): Promise<Answer<Trade>> {
  return answer(http.POST("/api/trades/{id}/withdraw", { params: target(id, idempotencyKey) }));
}

/** Which of the broker's orders an unanswered one is; null: none. */
export interface Resolution {
  id: string;
  broker_order_id: string | null;
}

/** Settle an unknown order by a person's word, which is checked at the broker. */
export function resolve({ id, broker_order_id }: Resolution, idempotencyKey: string): Promise<Answer<Trade>> {
  const body = { broker_order_id };
  return answer(http.POST("/api/trades/{id}/resolve", { params: target(id, idempotencyKey), body }));
}
