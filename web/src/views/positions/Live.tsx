// The moving figures of a row: the price with its age, and the P&L.

import { useState } from "react";
import type { Trade } from "../../api/types";
import { dollars, parseDecimal, percent, price, signOf, times } from "../../format/decimal";
import { ageSeconds, ageText } from "../../format/time";
import { useNow } from "../../state/clock";

/** Which way the price last moved while this row was on the page. */
function useTrend(text: string | null): string {
  const [seen, setSeen] = useState({ text, trend: "" });
  if (seen.text !== text) {
    const before = parseDecimal(seen.text);
    const now = parseDecimal(text);
    const moved = before !== null && now !== null && before !== now;
    setSeen({ text, trend: moved ? (now > before ? "ticked-up" : "ticked-down") : "" });
  }
  return seen.trend;
}

export function LivePrice({ trade }: { trade: Trade }) {
  const now = useNow();
  const trend = useTrend(trade.current_price);
  if (trade.current_price === null) return <span className="muted">no price yet</span>;
  return (
    <>
      <span key={trade.current_price} className={`price ${trend}`}>
        {price(trade.current_price)}
      </span>
      <span className="sub" title={trade.price_source ? `Source: ${trade.price_source}` : undefined}>
        {ageText(ageSeconds(trade.last_updated, now))}
      </span>
    </>
  );
}

export function OpenPnl({ trade }: { trade: Trade }) {
  const pnl = parseDecimal(trade.unrealized_pnl);
  const entry = parseDecimal(trade.entry_price);
  if (pnl === null || trade.filled_qty === 0) return null;
  const paid = entry === null ? null : times(entry, trade.filled_qty, trade.multiplier);
  return (
    <>
      <span className={`price ${signOf(pnl)}`}>{dollars(pnl, true)}</span>
      <span className="sub">{percent(pnl, paid)}</span>
    </>
  );
}
