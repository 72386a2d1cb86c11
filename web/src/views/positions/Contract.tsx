// How a contract is named everywhere: ticker and quantity, then expiry, strike and type. Text only, whatever it holds.

import type { BrokerMode, Trade } from "../../api/types";
import { contractText } from "../../format/trade";
import { ModeChip } from "../safety/Band";

interface ContractProps {
  trade: Trade;
  mode: BrokerMode | null;
  expanded: boolean;
  onToggle: () => void;
}

export function Contract({ trade, mode, expanded, onToggle }: ContractProps) {
  const held =
    trade.filled_qty > 0 && trade.filled_qty < trade.qty ? `${trade.filled_qty} of ${trade.qty}` : `${trade.qty}`;
  return (
    <button
      type="button"
      className="contract"
      aria-expanded={expanded}
      aria-label={`${trade.ticker} ${contractText(trade)} ${trade.option_type}, details`}
      onClick={(event) => {
        event.stopPropagation();
        onToggle();
      }}
    >
      <span className="caret" aria-hidden="true">
        ▸
      </span>
      <span>
        <b>{trade.ticker}</b> <span className="muted">× {held}</span>
        {trade.broker_mode !== mode && " "}
        {trade.broker_mode !== mode && <ModeChip mode={trade.broker_mode} />}
        <span className="sub">
          {contractText(trade)} <span className={`side ${trade.option_type.toLowerCase()}`}>{trade.option_type}</span>
        </span>
      </span>
    </button>
  );
}
