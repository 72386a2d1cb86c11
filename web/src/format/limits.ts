// How much of each limit a trade would use: words and the two lengths of a gauge. Drawing only; the server decides.

import type { LimitUse, TradeCheck } from "../api/types";
import { labelOf } from "../state/preferences";
import { dollars, parseDecimal, position } from "./decimal";
import { duration } from "./time";

type Unit = "usd" | "percent" | "count" | "seconds" | "minutes";

const UNITS: Record<string, Unit> = {
  max_positions: "count",
  max_contracts: "count",
  max_premium: "usd",
  buying_power: "usd",
  heat_limit_pct: "percent",
  daily_loss_limit: "usd",
  max_spread_pct: "percent",
  collar_pct: "percent",
  max_quote_age_s: "seconds",
  no_entry_before_expiry_min: "minutes",
};

/** Limits of the market's quote and clock: worth a line only where they are near. */
const OF_THE_MARKET = new Set(["max_spread_pct", "collar_pct", "max_quote_age_s"]);
/** A limit that is a least, not a most: it is worth a line only where it refuses. */
const A_LEAST = new Set(["no_entry_before_expiry_min"]);
const NAMES: Record<string, string> = { buying_power: "Buying power", short_position: "Short position" };
const NEAR = 80;

export const limitName = (limit: string): string => NAMES[limit] ?? labelOf(limit);

function written(value: string | null, unit: Unit | undefined): string {
  if (value === null) return "not known";
  if (unit === "usd") return dollars(parseDecimal(value)) || value;
  if (unit === "percent") return `${value} %`;
  if (unit === "seconds") return duration(Number(value));
  if (unit === "minutes") return duration(60 * Number(value));
  return value;
}

export interface Gauge {
  limit: string;
  name: string;
  words: string;
  tone: "fine" | "near" | "exceeded";
  /** Lengths in percent of the whole gauge; together at most 100. */
  used: number;
  added: number;
}

function wordsOf(use: LimitUse): string {
  const unit = UNITS[use.limit];
  const after = written(use.would_be, unit);
  if (A_LEAST.has(use.limit)) return `${after} left, at least ${written(use.value, unit)}`;
  const before = use.used === null ? "" : `${written(use.used, unit)} → `;
  return `${before}${after} of ${written(use.value, unit)}`;
}

/** The gauge of one limit; null for one that is not set or says nothing worth a line. */
export function gaugeOf(use: LimitUse): Gauge | null {
  if (use.value === null) return null;
  const most = parseDecimal(use.value);
  const before = parseDecimal(use.used) ?? 0n;
  const after = parseDecimal(use.would_be);
  const common = { limit: use.limit, name: limitName(use.limit), words: wordsOf(use) };
  if (most === null || after === null) {
    return use.exceeded ? { ...common, tone: "exceeded", used: 0, added: 100 } : null;
  }
  if (A_LEAST.has(use.limit)) return use.exceeded ? { ...common, tone: "exceeded", used: 0, added: 100 } : null;
  const whole = after > most ? after : most;
  const used = whole === 0n ? 0 : position(before, 0n, whole);
  const share = whole === 0n ? 100 : position(after, 0n, whole);
  const isNear = share >= NEAR;
  if (OF_THE_MARKET.has(use.limit) && !use.exceeded && !isNear) return null;
  const tone = use.exceeded ? "exceeded" : isNear ? "near" : "fine";
  return { ...common, tone, used, added: Math.max(0, share - used) };
}

/** Every gauge worth showing, what refuses first. */
export function gaugesOf(check: TradeCheck): Gauge[] {
  const gauges = check.limits.map(gaugeOf).filter((gauge) => gauge !== null);
  return [...gauges.filter((gauge) => gauge.tone === "exceeded"), ...gauges.filter((g) => g.tone !== "exceeded")];
}

/** A refusal with the limit called what the settings call it. */
export function inWords(detail: string): string {
  const [, name = "", rest = ""] = /^(\w+)( is .*)$/s.exec(detail) ?? [];
  const words = name ? `${limitName(name)}${rest}` : detail;
  const first = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
