import type { Trade } from "../../api/types";
import { duration } from "../../format/time";
import { badgeOf, bareSeconds, shieldOf, waitText } from "../../format/trade";
import { useNow } from "../../state/clock";

export function Badge({ trade }: { trade: Trade }) {
  const { kind, label } = badgeOf(trade);
  const waits = trade.status === "CLOSED" ? "" : waitText(trade);
  return (
    <>
      <span className={`badge ${kind}`}>{label}</span>
      {waits && <span className="sub waits">{waits}</span>}
    </>
  );
}

/** The seconds without every exit, ticking. */
function Bare({ trade }: { trade: Trade }) {
  const seconds = bareSeconds(trade, useNow());
  if (seconds === null) return null;
  return <span className="bare">for {duration(seconds)}</span>;
}

export function Shield({ trade }: { trade: Trade }) {
  const { kind, text } = shieldOf(trade);
  const isBare = trade.filled_qty > 0 && (trade.protection === "NAKED" || trade.protection === "PENDING");
  return (
    <span className={`shield ${kind}`} data-protection={trade.protection}>
      {text}
      {isBare && <Bare trade={trade} />}
    </span>
  );
}
