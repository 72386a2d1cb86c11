// The moving figures of a row: the price with its age, and the P&L.

import type { Trade } from "../../api/types";
import { dollars, parseDecimal, percent, price, signOf, times } from "../../format/decimal";
import { ageSeconds, ageText } from "../../format/time";
import { useNow } from "../../state/clock";

export function LivePrice({ trade }: { trade: Trade }) {
  const now = useNow();
  if (trade.current_price === null) return <span className="muted">no price yet</span>;
  return (
    <>
      <span className="price">{price(trade.current_price)}</span>
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
