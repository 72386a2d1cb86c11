// What all held trades come to: P&L now, at every stop, at every target, and how many are protected.

import type { Trade } from "../../api/types";
import { dollars, signOf } from "../../format/decimal";
import { totalsOf } from "../../format/trade";

function guardNote(held: number, guarded: number, wanted: number): string {
  if (guarded < wanted) return `${wanted - guarded} not protected`;
  return wanted < held ? `${held - wanted} asked for none` : "";
}

export function Summary({ trades }: { trades: readonly Trade[] }) {
  const sum = totalsOf(trades);
  return (
    <dl className="summary" aria-label="Totals">
      <div>
        <dt>Open P&L</dt>
        <dd className={signOf(sum.openPnl)}>{dollars(sum.openPnl, true)}</dd>
      </div>
      <div>
        <dt>If every stop is hit</dt>
        <dd className={signOf(sum.atStops)}>
          {dollars(sum.atStops, true)}
          {sum.withoutStop > 0 && <span className="sub">{sum.withoutStop} without a resting stop: all of it</span>}
        </dd>
      </div>
      <div>
        <dt>If every target is hit</dt>
        <dd className={signOf(sum.atTargets)}>
          {dollars(sum.atTargets, true)}
          {sum.withoutTarget > 0 && <span className="sub">{sum.withoutTarget} without a target</span>}
        </dd>
      </div>
      <div>
        <dt>Protected</dt>
        <dd>
          {sum.guarded} of {sum.held}
          <span className="sub">{guardNote(sum.held, sum.guarded, sum.wanted)}</span>
        </dd>
      </div>
    </dl>
  );
}
