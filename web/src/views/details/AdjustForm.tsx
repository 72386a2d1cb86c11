// Moving stop and target of a held trade: only what changed is sent, with the version the user saw.

import { type FormEvent, useState } from "react";
import { type Adjustment, adjust, sightingOf } from "../../api/trades";
import type { Trade } from "../../api/types";
import { parseDecimal, plain, price } from "../../format/decimal";
import { sayIfWaiting, useTradeAction } from "../../state/actions";
import { toast } from "../../state/toasts";
import { TextField } from "../frame/Field";

/** What is asked for: prices that moved, and where no exit rests the same prices once more. */
function changeOf(trade: Trade, stop: string, target: string): Adjustment | null {
  const sl = parseDecimal(stop);
  const tp = parseDecimal(target);
  const movedStop = sl !== null && sl !== parseDecimal(trade.sl_price);
  const movedTarget = tp !== null && tp !== parseDecimal(trade.tp_price);
  const isNaked = trade.protection === "NAKED";
  if (!movedStop && !movedTarget && !isNaked) return null;
  return {
    ...sightingOf(trade),
    ...(sl !== null && (movedStop || isNaked) ? { new_sl: plain(sl) } : {}),
    ...(tp !== null && (movedTarget || isNaked) ? { new_tp: plain(tp) } : {}),
  };
}

function faultOf(text: string): string | undefined {
  if (!text.trim()) return undefined;
  const value = parseDecimal(text);
  return value === null || value <= 0n ? "A price above 0." : undefined;
}

export function AdjustForm({ trade }: { trade: Trade }) {
  const [stop, setStop] = useState(price(trade.sl_price));
  const [target, setTarget] = useState(price(trade.tp_price));
  const action = useTradeAction(adjust);
  const change = changeOf(trade, stop, target);
  const faults = { stop: faultOf(stop), target: faultOf(target) };

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (!change || faults.stop || faults.target) return;
    const outcome = await action.run(change);
    sayIfWaiting(outcome);
    if (outcome.kind !== "done" || outcome.status === 202) return;
    toast(
      `${trade.ticker}: stop ${price(outcome.trade.sl_price) || "none"}, target ${price(outcome.trade.tp_price) || "none"}`,
      "good",
    );
  }
  return (
    <form className="adjust" onSubmit={(event) => void submit(event)} aria-label={`Adjust ${trade.ticker}`}>
      <TextField label="Stop" value={stop} onChange={setStop} inputMode="decimal" problem={faults.stop} />
      <TextField label="Target" value={target} onChange={setTarget} inputMode="decimal" problem={faults.target} />
      <button type="submit" className="button" disabled={!change || action.busy}>
        {action.busy && <span className="spinner" aria-hidden="true" />}
        {trade.protection === "NAKED" ? "Place the exits now" : "Move stop and target"}
      </button>
      {action.problem && (
        <p className="form-problem" role="alert">
          {action.problem.message}
        </p>
      )}
    </form>
  );
}
