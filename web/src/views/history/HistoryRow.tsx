import type { BrokerMode, Trade } from "../../api/types";
import { dollars, parseDecimal, price, signOf } from "../../format/decimal";
import { dayAndTime, heldText } from "../../format/time";
import { endedText } from "../../format/trade";
import { TradeDetails } from "../details/TradeDetails";
import { Badge } from "../positions/Badge";
import { Contract } from "../positions/Contract";

export const HISTORY_COLUMNS = 6;

function Result({ trade }: { trade: Trade }) {
  const pnl = parseDecimal(trade.realized_pnl);
  if (trade.filled_qty === 0 || pnl === null) return <span className="muted">none</span>;
  const share = trade.realized_pnl_pct === null ? "" : Number(trade.realized_pnl_pct).toFixed(1).replace("-", "−");
  return (
    <>
      <span className={`price ${signOf(pnl)}`}>{dollars(pnl, true)}</span>
      {share && (
        <span className="sub">
          {pnl > 0n ? "+" : ""}
          {share} %
        </span>
      )}
    </>
  );
}

interface HistoryRowProps {
  trade: Trade;
  mode: BrokerMode | null;
  expanded: boolean;
  onToggle: () => void;
}

/** One ended trade; its details slide down as they do for an open one. */
export function HistoryRow({ trade, mode, expanded, onToggle }: HistoryRowProps) {
  const held = heldText(trade.hold_duration_h);
  return (
    <>
      <tr
        className={expanded ? "row closed expanded" : "row closed"}
        data-trade={trade.id}
        data-reason={trade.close_reason}
        onClick={onToggle}
      >
        <td data-area="contract">
          <Contract trade={trade} mode={mode} expanded={expanded} onToggle={onToggle} />
        </td>
        <td data-area="status">
          <Badge trade={trade} />
        </td>
        <td className="number" data-area="price">
          {trade.filled_qty > 0 ? (
            `${price(trade.entry_price)} → ${price(trade.close_price) || "?"}`
          ) : (
            <span className="muted">never filled</span>
          )}
        </td>
        <td className="number" data-area="pnl">
          <Result trade={trade} />
        </td>
        <td data-area="reason">{endedText(trade)}</td>
        <td data-area="when">
          {dayAndTime(trade.close_date)}
          {held && trade.filled_qty > 0 && <span className="sub">held {held}</span>}
        </td>
      </tr>
      {expanded && (
        <tr className="details-row">
          <td className="details-cell" colSpan={HISTORY_COLUMNS}>
            <TradeDetails trade={trade} />
          </td>
        </tr>
      )}
    </>
  );
}
