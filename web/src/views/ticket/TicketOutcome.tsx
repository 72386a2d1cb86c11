// The last step follows the placed trade until it is protected, refused, or at least known.

import { useQuery } from "@tanstack/react-query";
import { getTrade } from "../../api/trades";
import type { Trade } from "../../api/types";
import { price } from "../../format/decimal";
import { isUnknown, shieldOf } from "../../format/trade";
import { positions } from "../../state/positions";
import { keys } from "../../state/queries";
import { useStore } from "../../state/store";

interface Words {
  tone: "waiting" | "done" | "bad";
  title: string;
  text: string;
}

export function outcomeWords(trade: Trade, status: number): Words {
  const name = `${trade.qty} × ${trade.ticker}`;
  if (trade.status === "CLOSED")
    return { tone: "bad", title: "Not placed", text: trade.reason ?? "The order ended unfilled." };
  if (trade.status === "OPEN" && (status === 202 || isUnknown(trade))) {
    return {
      tone: "waiting",
      title: "The broker has not answered yet",
      text: "We are asking; nothing will be sent twice.",
    };
  }
  if (trade.status === "OPEN")
    return { tone: "waiting", title: "Order is working", text: `${name} waits at the broker to be filled.` };
  const filled = `Filled ${trade.filled_qty} of ${trade.qty} at ${price(trade.entry_price)}.`;
  if (trade.protection === "PROTECTED")
    return { tone: "done", title: "Filled and protected", text: `${filled} ${shieldOf(trade).text}.` };
  if (trade.protection === "NONE") return { tone: "done", title: "Filled", text: filled };
  return { tone: "waiting", title: "Filled", text: `${filled} ${shieldOf(trade).text}.` };
}

/** The newest word on the trade: the live list while it is open, its own row once it is not. */
function useLatest(placed: Trade, status: number): { trade: Trade; status: number } {
  const { trades } = useStore(positions);
  const live = trades.find((trade) => trade.id === placed.id);
  const asked = useQuery({ queryKey: keys.trade(placed.id), queryFn: () => getTrade(placed.id), initialData: placed });
  const newest = [placed, asked.data, live].reduce<Trade>(
    (best, next) => (next && next.key_version >= best.key_version ? next : best),
    placed,
  );
  return { trade: newest, status: newest.key_version > placed.key_version ? 200 : status };
}

interface TicketOutcomeProps {
  placed: Trade;
  status: number;
  onAgain: () => void;
  onClose: () => void;
}

export function TicketOutcome({ placed, status, onAgain, onClose }: TicketOutcomeProps) {
  const latest = useLatest(placed, status);
  const { tone, title, text } = outcomeWords(latest.trade, latest.status);
  return (
    <div className="body">
      <div className={`outcome ${tone}`} role="status">
        <h2>{title}</h2>
        <p>{text}</p>
        {tone === "waiting" && (
          <p className="muted">
            The trade is in Open Positions and shows what the broker says. You may leave this page.
          </p>
        )}
      </div>
      <div className="buttons even">
        <button type="button" className="button" onClick={onAgain}>
          Another trade
        </button>
        <button type="button" className="button primary" onClick={onClose}>
          Done
        </button>
      </div>
    </div>
  );
}
