// Reading the events of the live stream: which there are, and what their data may be trusted to hold.

import type { PriceTick, Trade } from "../api/types";
import { withContracts } from "../format/occ";

export const TRADE_FACTS = [
  "trade_placed",
  "trade_filled",
  "trade_partially_filled",
  "trade_protected",
  "trade_unprotected",
  "trade_adjusted",
  "trade_closing",
  "trade_closed",
  "trade_rejected",
  "trade_unknown",
  "trade_changed",
] as const;

type Json = Record<string, unknown>;

function objectOf(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : null;
  } catch {
    return null;
  }
}

/** The trade a fact carries; null when it is not whole, so that the reader asks for the list instead. */
export function tradeOf(text: string): Trade | null {
  const data = objectOf(text);
  if (!data) return null;
  const id = data.id ?? data.trade_id;
  const whole = typeof id === "string" && typeof data.key_version === "number" && typeof data.ticker === "string";
  if (!whole || typeof data.status !== "string" || !Array.isArray(data.orders)) return null;
  const { trade_id: _tradeId, ...rest } = data;
  return { ...rest, id } as unknown as Trade;
}

export function pricesOf(text: string): PriceTick[] {
  const prices = objectOf(text)?.prices;
  return Array.isArray(prices) ? (prices as PriceTick[]) : [];
}

/** The trade an incident is about; null for those about an account. */
export function tradeOfIncident(text: string): string | null {
  const id = objectOf(text)?.trade_id;
  return typeof id === "string" ? id : null;
}

/** The words of an incident that must be seen wherever the page is scrolled; null for those a banner is enough for, and
 *  for a naked position, which the trade's own fact has told already. */
export function alarmOf(text: string): string | null {
  const data = objectOf(text);
  return data?.severity === "critical" && data.kind !== "naked" && typeof data?.text === "string"
    ? withContracts(data.text)
    : null;
}
