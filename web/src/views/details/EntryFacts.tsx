// The facts of the entry and of the ending, only those that are known.

import type { Trade } from "../../api/types";
import { dollars, parseDecimal, price } from "../../format/decimal";
import { dayAndTime, exactly, heldText } from "../../format/time";

const PRECISION: Record<string, string> = {
  BROKER_FILL: "the broker's fill",
  BROKER_HISTORY: "the broker's history",
  OFFICIAL_CLOSE: "official close",
  ESTIMATED: "estimated",
};

const known = (value: unknown): value is string | number => value !== null && value !== undefined && value !== "";

function share(value: string | number | null | undefined): string {
  return known(value) ? `${(Number(value) * 100).toFixed(1)} %` : "";
}

function entryTerms(trade: Trade): string {
  if (trade.limit_price) return `Limit ${price(trade.limit_price)}`;
  return trade.entry_type ? "Market" : "";
}

function factsOf(trade: Trade): [string, string][] {
  const amount = (text: string | null) => dollars(parseDecimal(text), true);
  const greeks = [known(trade.delta_at_entry) ? Number(trade.delta_at_entry).toFixed(2) : "", share(trade.iv_at_entry)];
  return [
    ["Entry order", entryTerms(trade)],
    ["Entered", trade.entry_date ? `${dayAndTime(trade.entry_date)} ET` : ""],
    ["Fill price", price(trade.entry_price)],
    ["Strategy", trade.strategy ?? ""],
    ["Card score", known(trade.card_score) ? String(Number(trade.card_score)) : ""],
    ["AI", [trade.ai_verdict, known(trade.ai_score) ? String(Number(trade.ai_score)) : ""].filter(Boolean).join(", ")],
    ["Gate", trade.gate_verdict ?? ""],
    ["Delta, IV", greeks.filter(Boolean).join(", ")],
    ["Best so far", amount(trade.max_gain)],
    ["Worst so far", amount(trade.max_drawdown)],
    ["Exit price", price(trade.close_price)],
    ["Known from", PRECISION[trade.trigger_precision ?? ""] ?? ""],
    ["Held", heldText(trade.hold_duration_h)],
    ["Without every exit", Number(trade.naked_s) > 0 ? exactly(Number(trade.naked_s)) : ""],
    ["Overrides", trade.override_count > 0 ? String(trade.override_count) : ""],
    ["Account", trade.account_name ? `${trade.account_name} (${trade.account_id})` : trade.account_id],
  ];
}

export function EntryFacts({ trade }: { trade: Trade }) {
  const facts = factsOf(trade).filter(([, value]) => value !== "");
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
