// The order ticket before it is an order: what is wrong with it, what it would cost, lose and gain, and its request body.

import type { BrokerMode, ChainOption, OptionType, PlaceBody } from "../api/types";
import { parseDecimal, plain, times } from "../format/decimal";

export interface Draft {
  ticker: string;
  expiry: string;
  optionType: OptionType;
  strike: string;
  qty: string;
  entry: "market" | "limit";
  limit: string;
  stop: string;
  target: string;
}

export type DraftField = "ticker" | "expiry" | "strike" | "qty" | "limit" | "stop" | "target";
export type DraftProblems = Partial<Record<DraftField, string>>;

export const EMPTY_DRAFT: Draft = {
  ticker: "",
  expiry: "",
  optionType: "CALL",
  strike: "",
  qty: "1",
  entry: "market",
  limit: "",
  stop: "",
  target: "",
};

export const CONTRACT_SIZE = 100;

/** The price per share that the entry is reckoned at: the limit, or what a market order pays. */
export function entryPrice(draft: Draft, quote: ChainOption | undefined): bigint | null {
  return parseDecimal(draft.entry === "limit" ? draft.limit : quote?.ask);
}

/** Say what keeps the draft from being reviewed, field by field; empty when nothing does. */
export function problemsOf(draft: Draft, quote: ChainOption | undefined): DraftProblems {
  const problems: DraftProblems = {};
  if (!draft.ticker) problems.ticker = "Which ticker?";
  if (!draft.expiry) problems.expiry = "Choose an expiry.";
  if (!quote) problems.strike = "Choose a strike.";
  else if (draft.entry === "market" && (parseDecimal(quote.ask) ?? 0n) <= 0n)
    problems.strike = "Nobody offers this contract now.";
  if (!/^\d+$/.test(draft.qty.trim()) || Number(draft.qty) < 1) problems.qty = "A whole number, at least 1.";
  const entry = entryPrice(draft, quote);
  if (draft.entry === "limit" && (entry === null || entry <= 0n)) problems.limit = "A price above 0.";
  return { ...problems, ...exitProblems(draft, quote, entry) };
}

function exitProblems(draft: Draft, quote: ChainOption | undefined, entry: bigint | null): DraftProblems {
  const problems: DraftProblems = {};
  const stop = parseDecimal(draft.stop);
  const target = parseDecimal(draft.target);
  if (draft.stop.trim()) {
    const bid = parseDecimal(quote?.bid);
    if (stop === null || stop <= 0n) problems.stop = "A price above 0, or empty.";
    else if (entry !== null && stop >= entry) problems.stop = `Must be below the entry ${plain(entry)}.`;
    else if (bid !== null && stop >= bid) problems.stop = `Must be below the bid ${plain(bid)}.`;
  }
  if (draft.target.trim()) {
    if (target === null || target <= 0n) problems.target = "A price above 0, or empty.";
    else if (entry !== null && target <= entry) problems.target = `Must be above the entry ${plain(entry)}.`;
  }
  return problems;
}

export interface Reckoning {
  entry: bigint;
  cost: bigint;
  lossAtStop: bigint | null;
  gainAtTarget: bigint | null;
}

/** What the draft costs and can lose and gain, before fees. Units: millionths of a dollar. */
export function reckon(draft: Draft, quote: ChainOption | undefined): Reckoning | null {
  const entry = entryPrice(draft, quote);
  if (entry === null) return null;
  const qty = Number(draft.qty);
  const stop = parseDecimal(draft.stop);
  const target = parseDecimal(draft.target);
  return {
    entry,
    cost: times(entry, qty, CONTRACT_SIZE),
    lossAtStop: stop === null ? null : times(stop - entry, qty, CONTRACT_SIZE),
    gainAtTarget: target === null ? null : times(target - entry, qty, CONTRACT_SIZE),
  };
}

const NICKEL = 50_000n;

/** An exit some percent away from the entry, on a tick that every class accepts, as text for its field. */
export function exitAt(entry: bigint, percent: number): string {
  const wanted = (entry * BigInt(100 + percent)) / 100n;
  const ticks = (wanted + NICKEL / 2n) / NICKEL;
  return plain((ticks > 0n ? ticks : 1n) * NICKEL);
}

/** "1.95 : 1", gain at the target for each dollar lost at the stop; empty without both. */
export function rewardToRisk(sum: Reckoning): string {
  const { lossAtStop, gainAtTarget } = sum;
  if (lossAtStop === null || gainAtTarget === null || lossAtStop >= 0n) return "";
  const hundredths = (gainAtTarget * 100n) / -lossAtStop;
  return `${hundredths / 100n}.${(hundredths % 100n).toString().padStart(2, "0")} : 1`;
}

/** The request. It names the mode and account that were shown, so that a switch elsewhere cannot send it to other money. */
export function bodyOf(draft: Draft, mode: BrokerMode, accountId: string | null): PlaceBody {
  const stop = parseDecimal(draft.stop);
  const target = parseDecimal(draft.target);
  const limit = parseDecimal(draft.limit);
  return {
    broker_mode: mode,
    ...(accountId ? { account_id: accountId } : {}),
    ticker: draft.ticker,
    option_type: draft.optionType,
    strike: draft.strike,
    expiry: draft.expiry,
    qty: Number(draft.qty),
    entry:
      draft.entry === "limit" && limit !== null
        ? { type: "limit", limit_price: plain(limit), duration: "day" }
        : { type: "market", duration: "day" },
    ...(stop === null ? {} : { sl_price: plain(stop) }),
    ...(target === null ? {} : { tp_price: plain(target) }),
  };
}

/** The strike nearest the underlying's price among one type's options; the middle one without a price. */
export function nearestStrike(options: readonly ChainOption[], underlying: string | null): string {
  const at = parseDecimal(underlying);
  if (at === null) return options[Math.floor(options.length / 2)]?.strike ?? "";
  const distance = (option: ChainOption): bigint => {
    const gap = (parseDecimal(option.strike) ?? 0n) - at;
    return gap < 0n ? -gap : gap;
  };
  return (
    options.reduce<ChainOption | null>((best, next) => (best && distance(best) <= distance(next) ? best : next), null)
      ?.strike ?? ""
  );
}
