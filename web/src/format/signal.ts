// What a signal is called on the page, how long it is still good, and how far its price has gone.
//
// Everything in a signal but its state is a bot's word: shown as text, never believed.

import type { PlaceBody, Signal } from "../api/types";
import { parseDecimal, percent, plain, price } from "./decimal";
import { exactly, expiryText } from "./time";
import { strikeText } from "./trade";

export const isDecided = (signal: Signal): boolean =>
  signal.state === "accepted" || signal.state === "rejected" || signal.state === "expired";

/** "AAPL 18 Dec 2026 230 CALL × 2"; what could not be read is left out. */
export function signalText(signal: Signal): string {
  const parts = [
    signal.ticker ?? "unreadable signal",
    signal.expiry ? expiryText(signal.expiry) : "",
    signal.strike ? strikeText(signal.strike) : "",
    signal.option_type ?? "",
    signal.qty === null ? "" : `× ${signal.qty}`,
  ];
  return parts.filter(Boolean).join(" ");
}

interface Entry {
  isLimit: boolean;
  limit: string | null;
}

function entryOf(signal: Signal): Entry {
  const { type, limit_price: limit } = (signal.entry ?? {}) as { type?: unknown; limit_price?: unknown };
  const text = typeof limit === "string" || typeof limit === "number" ? String(limit) : null;
  return { isLimit: type === "limit", limit: text };
}

export function entryText(signal: Signal): string {
  const { isLimit, limit } = entryOf(signal);
  return isLimit ? `Limit ${price(limit)}` : "Market";
}

export interface Drift {
  words: string;
  /** Whether the entry would now cost more than the signal allows. */
  isTooFar: boolean;
}

/** How far what the entry would cost has gone from what the bot saw; null where one of the two is not known. */
export function driftOf(signal: Signal): Drift | null {
  const seen = parseDecimal(signal.ref_price);
  const ask = parseDecimal(signal.quote?.ask);
  const { isLimit, limit } = entryOf(signal);
  const most = isLimit ? parseDecimal(limit) : null;
  const cost = ask === null || ask === 0n ? most : most !== null && most < ask ? most : ask;
  if (seen === null || seen === 0n || cost === null) return null;
  const allowed = parseDecimal(signal.max_slippage_pct);
  const isTooFar = allowed !== null && (cost - seen) * 100_000_000n > seen * allowed;
  const bound = allowed === null ? "" : `, at most ${price(signal.max_slippage_pct).replace(/\.?0+$/, "")} %`;
  return { words: `${percent(cost - seen, seen)} since${bound}`, isTooFar };
}

const LATE_S = 30;

export interface TimeLeft {
  words: string;
  isLate: boolean;
  isOver: boolean;
}

export function timeLeft(signal: Signal, now: number): TimeLeft {
  if (!signal.expires_at) return { words: "", isLate: false, isOver: false };
  const seconds = Math.floor((Date.parse(signal.expires_at) - now) / 1000);
  if (seconds <= 0) return { words: "its time is over", isLate: true, isOver: true };
  return {
    words: `expires in ${seconds < 90 ? `${seconds} s` : exactly(seconds)}`,
    isLate: seconds < LATE_S,
    isOver: false,
  };
}

/** The order that a signal would become, to ask what it takes of the limits; null for one that is not whole. */
export function orderOf(signal: Signal): PlaceBody | null {
  const { ticker, option_type, strike, expiry, qty } = signal;
  if (!ticker || !option_type || !strike || !expiry || !qty) return null;
  const { isLimit, limit } = entryOf(signal);
  const at = parseDecimal(limit);
  return {
    ...(signal.account_id ? { account_id: signal.account_id } : {}),
    ...(signal.broker_mode ? { broker_mode: signal.broker_mode } : {}),
    ticker,
    option_type,
    strike,
    expiry,
    qty,
    entry:
      isLimit && at !== null
        ? { type: "limit", limit_price: plain(at), duration: "day" }
        : { type: "market", duration: "day" },
    ...(signal.sl_price ? { sl_price: signal.sl_price } : {}),
    ...(signal.tp_price ? { tp_price: signal.tp_price } : {}),
  };
}

/** Put a signal into the list of those that wait: the newest word wins, a decided one leaves, a quote is kept. */
export function withSignal(list: readonly Signal[], signal: Signal): Signal[] {
  const known = list.find((one) => one.id === signal.id);
  if (known && known.key_version > signal.key_version) return [...list];
  const rest = list.filter((one) => one.id !== signal.id);
  if (isDecided(signal)) return rest;
  const next = { ...signal, quote: signal.quote ?? known?.quote ?? null };
  return known ? list.map((one) => (one.id === signal.id ? next : one)) : [next, ...list];
}

/** Those that wait, the one whose time is over first at the top. */
export function byUrgency(list: readonly Signal[]): Signal[] {
  const end = (signal: Signal): number =>
    signal.expires_at ? Date.parse(signal.expires_at) : Number.POSITIVE_INFINITY;
  return [...list].sort((left, right) => end(left) - end(right));
}

/** Read a signal out of a fact; null when it is not whole. */
export function signalOf(text: string): Signal | null {
  let data: Record<string, unknown> | null;
  try {
    data = JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return null;
  }
  const isWhole =
    typeof data?.id === "string" && typeof data.state === "string" && typeof data.key_version === "number";
  return isWhole ? ({ quote: null, ...data } as unknown as Signal) : null;
}
