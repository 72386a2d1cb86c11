// What a trade is called on the page: badge, protection, how it ended, its place between stop and target.

import type { CloseReason, OrderRole, Trade } from "../api/types";
import { parseDecimal, percent, position, price, signOf, times } from "./decimal";
import { ageSeconds, expiryText } from "./time";

export type BadgeKind = "pending" | "open" | "win" | "loss" | "expired";

const ENDED: Record<CloseReason, string> = {
  TP_HIT: "Target hit",
  SL_HIT: "Stop hit",
  MANUAL_CLOSE: "Closed by you",
  EXPIRED_OTM: "Expired worthless",
  EXPIRED_ITM: "Expired in the money",
  REJECTED: "Refused",
  CANCELLED: "Cancelled",
  CLOSED_AT_BROKER: "Closed at the broker",
  FLATTENED: "Flattened",
  KILL_SWITCH: "Kill switch",
};

const ROLES: Record<OrderRole, string> = {
  ENTRY: "Entry",
  STOP_LOSS: "Stop loss",
  TAKE_PROFIT: "Take profit",
  CLOSE: "Close",
  COVER: "Cover",
};

export function badgeOf(trade: Trade): { kind: BadgeKind; label: string } {
  if (isUnknown(trade)) return { kind: "pending", label: "Unknown" };
  if (trade.status === "OPEN") return { kind: "pending", label: "Pending" };
  if (trade.status === "CLOSING") return { kind: "pending", label: "Closing" };
  if (trade.status !== "CLOSED") return { kind: "open", label: trade.status === "PARTIAL" ? "Open, part" : "Open" };
  return endedBadge(trade);
}

function endedBadge(trade: Trade): { kind: BadgeKind; label: string } {
  const reason = trade.close_reason;
  if (reason === "EXPIRED_OTM" || reason === "EXPIRED_ITM") return { kind: "expired", label: "Expired" };
  if (trade.filled_qty === 0) {
    return { kind: "expired", label: reason === "REJECTED" ? "Refused" : "Cancelled" };
  }
  const sign = signOf(parseDecimal(trade.realized_pnl));
  if (sign === "gain") return { kind: "win", label: "Win" };
  return sign === "down" ? { kind: "loss", label: "Loss" } : { kind: "expired", label: "Even" };
}

export function endedText(trade: Trade): string {
  const base = trade.close_reason ? ENDED[trade.close_reason] : "";
  const settled = trade.settlement === "EXERCISED" ? `${base}, exercised` : base;
  return trade.reason ? `${settled}: ${trade.reason}` : settled;
}

export const roleText = (role: OrderRole): string => ROLES[role] ?? role;

export function orderStatusText(status: string): string {
  if (status === "UNKNOWN") return "No answer yet";
  if (status === "INTENT" || status === "SENT") return "Sending";
  return status.charAt(0) + status.slice(1).toLowerCase();
}

/** "18 Dec 2026 230": the contract without ticker and type. */
export function contractText(trade: Pick<Trade, "expiry" | "strike">): string {
  return `${expiryText(trade.expiry)} ${strikeText(trade.strike)}`;
}

export function strikeText(strike: string): string {
  return strike.includes(".") ? strike.replace(/\.?0+$/, "") : strike;
}

/** Whether a write of this trade has no answer from the broker yet. */
export function isUnknown(trade: Trade): boolean {
  return trade.status !== "CLOSED" && trade.orders.some((order) => order.status === "UNKNOWN");
}

/** The order nobody has an answer for. */
export const unknownOrder = (trade: Trade) => trade.orders.find((order) => order.status === "UNKNOWN");

/** Why asking cannot settle an unknown order, where the server says so. */
export function doubtOf(trade: Trade): string | null {
  return trade.orders.find((order) => order.status === "UNKNOWN" && order.doubt)?.doubt ?? null;
}

export type ShieldKind = "protected" | "waiting" | "naked" | "none";

function restingText(trade: Trade): string {
  if (trade.sl_price && trade.tp_price) return "Stop and target resting";
  return trade.sl_price ? "Stop resting" : "Target resting";
}

export function shieldOf(trade: Trade): { kind: ShieldKind; text: string } {
  if (isUnknown(trade)) return { kind: "waiting", text: "Asking the broker" };
  if (trade.protection === "NONE") return { kind: "none", text: trade.status === "CLOSED" ? "" : "No stop, no target" };
  if (trade.protection === "PROTECTED") return { kind: "protected", text: restingText(trade) };
  if (trade.protection === "SETTLING") return { kind: "waiting", text: "Settling after expiry" };
  if (trade.protection === "NAKED") return { kind: "naked", text: "NOT PROTECTED" };
  if (trade.status === "OPEN") return { kind: "waiting", text: "Placed once filled" };
  return { kind: "waiting", text: trade.status === "CLOSING" ? "Taken down to sell" : "Placing the bracket" };
}

const BARE_WORTH_SAYING_S = 2;

/** How long the position has been without every exit it asked for; null while it has them, or hardly began to miss them. */
export function bareSeconds(trade: Trade, now: number): number | null {
  if (trade.protection !== "NAKED" && trade.protection !== "PENDING") return null;
  const since = ageSeconds(trade.naked_since, now);
  if (since === null) return trade.protection === "NAKED" ? Math.floor(Number(trade.naked_s ?? 0)) || null : null;
  return trade.protection === "NAKED" || since >= BARE_WORTH_SAYING_S ? since : null;
}

/** What the row says below its badge: why a trade waits. Empty when there is nothing to wait for. */
export function waitText(trade: Trade): string {
  if (isUnknown(trade)) return "no clear answer from the broker; counts as fully exposed";
  if (trade.queued_for_open) return "your change runs at the open";
  if (trade.status === "OPEN" && trade.limit_price) return `limit ${price(trade.limit_price)}`;
  return "";
}

export interface Track {
  entry: number | null;
  now: number | null;
  stopAway: string;
  targetAway: string;
  hasStop: boolean;
  hasTarget: boolean;
}

/** Geometry of the stop-to-target rail; a missing end is drawn half or one and a half times the entry away. Null without exits. */
export function trackOf(trade: Trade): Track | null {
  const stop = parseDecimal(trade.sl_price);
  const target = parseDecimal(trade.tp_price);
  if (stop === null && target === null) return null;
  const now = parseDecimal(trade.current_price);
  const entry = parseDecimal(trade.entry_price);
  const anchor = entry ?? now ?? stop ?? target ?? 0n;
  const low = stop ?? anchor / 2n;
  const high = target ?? (anchor * 3n) / 2n;
  return {
    entry: entry === null ? null : position(entry, low, high),
    now: now === null ? null : position(now, low, high),
    stopAway: stop === null || now === null ? "" : percent(stop - now, now),
    targetAway: target === null || now === null ? "" : percent(target - now, now),
    hasStop: stop !== null,
    hasTarget: target !== null,
  };
}

export interface Totals {
  openPnl: bigint;
  atStops: bigint;
  atTargets: bigint;
  held: number;
  guarded: number;
  wanted: number;
  withoutTarget: number;
  /** Held without a stop that rests: their whole premium is counted. */
  withoutStop: number;
}

/** Sums over what is held now; a trade without a stop, or whose stop does not rest, can lose its whole premium. */
export function totalsOf(trades: readonly Trade[]): Totals {
  const sum: Totals = {
    openPnl: 0n,
    atStops: 0n,
    atTargets: 0n,
    held: 0,
    guarded: 0,
    wanted: 0,
    withoutTarget: 0,
    withoutStop: 0,
  };
  for (const trade of trades) {
    const entry = parseDecimal(trade.entry_price);
    if (trade.filled_qty === 0 || entry === null) continue;
    const target = parseDecimal(trade.tp_price);
    sum.held += 1;
    sum.openPnl += parseDecimal(trade.unrealized_pnl) ?? 0n;
    const stop = trade.protection === "NAKED" ? null : parseDecimal(trade.sl_price);
    if (stop === null) sum.withoutStop += 1;
    sum.atStops += times((stop ?? 0n) - entry, trade.filled_qty, trade.multiplier);
    if (target === null) sum.withoutTarget += 1;
    else sum.atTargets += times(target - entry, trade.filled_qty, trade.multiplier);
    if (trade.protection !== "NONE") sum.wanted += 1;
    if (trade.protection === "PROTECTED") sum.guarded += 1;
  }
  return sum;
}
