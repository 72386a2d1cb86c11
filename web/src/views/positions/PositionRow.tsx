// One open trade: a table row on a wide screen, a card on a phone, its details sliding down below.

import { memo } from "react";
import type { BrokerMode, Trade } from "../../api/types";
import { price } from "../../format/decimal";
import { isUnknown } from "../../format/trade";
import { WithdrawButton } from "../details/QueuedNote";
import { TradeDetails } from "../details/TradeDetails";
import { Badge, Shield } from "./Badge";
import { CloseButton } from "./CloseButton";
import { Contract } from "./Contract";
import { LivePrice, OpenPnl } from "./Live";
import { TrackBar } from "./TrackBar";

export const COLUMNS = 8;

interface RowProps {
  trade: Trade;
  mode: BrokerMode | null;
  expanded: boolean;
  onToggle: (id: string) => void;
}

export const PositionRow = memo(function PositionRow({ trade, mode, expanded, onToggle }: RowProps) {
  const toggle = () => onToggle(trade.id);
  return (
    <>
      <tr
        className={expanded ? "row expanded" : "row"}
        data-trade={trade.id}
        data-status={trade.status}
        data-alarm={trade.protection === "NAKED" || undefined}
        data-unknown={isUnknown(trade) || undefined}
        onClick={toggle}
      >
        <td data-area="contract">
          <Contract trade={trade} mode={mode} expanded={expanded} onToggle={toggle} />
        </td>
        <td data-area="status">
          <Badge trade={trade} />
        </td>
        <td className="number" data-area="entry">
          {price(trade.entry_price)}
        </td>
        <td className="number" data-area="price">
          <LivePrice trade={trade} />
        </td>
        <td className="number" data-area="pnl">
          <OpenPnl trade={trade} />
        </td>
        <td data-area="track">
          <TrackBar trade={trade} />
        </td>
        <td data-area="shield">
          <Shield trade={trade} />
        </td>
        <td data-area="actions">
          <div className="row-actions">
            {trade.queued_for_open ? <WithdrawButton trade={trade} small /> : <CloseButton trade={trade} />}
          </div>
        </td>
      </tr>
      {expanded && (
        <tr className="details-row">
          <td className="details-cell" colSpan={COLUMNS}>
            <TradeDetails trade={trade} />
          </td>
        </tr>
      )}
    </>
  );
});
