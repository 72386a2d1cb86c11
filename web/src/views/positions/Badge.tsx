import type { Trade } from "../../api/types";
import { badgeOf, shieldOf } from "../../format/trade";

export function Badge({ trade }: { trade: Trade }) {
  const { kind, label } = badgeOf(trade);
  return <span className={`badge ${kind}`}>{label}</span>;
}

export function Shield({ trade }: { trade: Trade }) {
  const { kind, text } = shieldOf(trade);
  return (
    <span className={`shield ${kind}`} data-protection={trade.protection}>
      {text}
    </span>
  );
}
