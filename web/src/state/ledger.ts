// The open trades as the page knows them, merged from lists, facts and price ticks that arrive in no promised order.
//
// 1. A trade is replaced only by one with a higher key_version.
// 2. A trade seen closed never comes back from an older list.
// 3. A list drops what it no longer names, except trades heard of after the list was asked for.
// 4. Marks (price, P&L, extremes) are the newest by last_updated, whatever brought them.

import type { PriceTick, Trade } from "../api/types";

interface Seen {
  keyVersion: number;
  closed: boolean;
  heardAt: number;
}

export interface Ledger {
  readonly trades: readonly Trade[];
  readonly seen: ReadonlyMap<string, Seen>;
  readonly beat: number;
}

export const EMPTY: Ledger = { trades: [], seen: new Map(), beat: 0 };

const MARKS = ["current_price", "price_source", "last_updated", "unrealized_pnl", "max_gain", "max_drawdown"] as const;

const timeOf = (iso: string | null | undefined): number => (iso ? Date.parse(iso) : 0);

/** Keep the newer marks of what was known when a trade's row is replaced. */
function withNewerMarks(next: Trade, known: Trade | undefined): Trade {
  if (!known || timeOf(next.last_updated) >= timeOf(known.last_updated)) return next;
  const kept = Object.fromEntries(MARKS.map((name) => [name, known[name]]));
  return { ...next, ...kept };
}

function chosen(incoming: Trade, known: Trade | undefined): Trade {
  if (!known || incoming.key_version > known.key_version) return withNewerMarks(incoming, known);
  return withNewerMarks(known, incoming);
}

/** Take over a full list that was asked for at beat `askedAt`. */
export function applyList(ledger: Ledger, list: readonly Trade[], askedAt: number): Ledger {
  const known = new Map(ledger.trades.map((trade) => [trade.id, trade]));
  const seen = new Map(ledger.seen);
  const named = new Set(list.map((trade) => trade.id));
  const younger = ledger.trades.filter((t) => !named.has(t.id) && (seen.get(t.id)?.heardAt ?? 0) > askedAt);
  const current = list.filter((trade) => {
    const past = seen.get(trade.id);
    return !past?.closed || trade.key_version > past.keyVersion;
  });
  const trades = [...younger, ...current.map((trade) => chosen(trade, known.get(trade.id)))];
  for (const trade of trades) {
    seen.set(trade.id, { keyVersion: trade.key_version, closed: false, heardAt: seen.get(trade.id)?.heardAt ?? 0 });
  }
  return { trades, seen, beat: ledger.beat + 1 };
}

/** Apply one trade from a fact or an answer; `changed` is false when it told nothing new. */
export function applyTrade(ledger: Ledger, incoming: Trade): { ledger: Ledger; changed: boolean } {
  const past = ledger.seen.get(incoming.id);
  if (past && incoming.key_version <= past.keyVersion) return { ledger, changed: false };
  const beat = ledger.beat + 1;
  const closed = incoming.status === "CLOSED";
  const seen = new Map(ledger.seen);
  seen.set(incoming.id, { keyVersion: incoming.key_version, closed, heardAt: beat });
  const known = ledger.trades.find((trade) => trade.id === incoming.id);
  return { ledger: { trades: placed(ledger.trades, incoming, known), seen, beat }, changed: true };
}

function placed(trades: readonly Trade[], incoming: Trade, known: Trade | undefined): Trade[] {
  if (incoming.status === "CLOSED") return trades.filter((trade) => trade.id !== incoming.id);
  if (!known) return [incoming, ...trades];
  const next = withNewerMarks({ ...known, ...incoming }, known);
  return trades.map((trade) => (trade.id === incoming.id ? next : trade));
}

/** Apply a batch of marks; rows without a newer mark keep their identity, so they are not drawn again. */
export function applyPrices(ledger: Ledger, ticks: readonly PriceTick[]): Ledger {
  const byId = new Map(ticks.map((tick) => [tick.trade_id, tick]));
  let changed = false;
  const trades = ledger.trades.map((trade) => {
    const tick = byId.get(trade.id);
    if (!tick || timeOf(tick.last_updated) <= timeOf(trade.last_updated)) return trade;
    changed = true;
    const { trade_id: _id, ...marks } = tick;
    return { ...trade, ...marks };
  });
  return changed ? { ...ledger, trades } : ledger;
}
