// Ending a trade: a pending entry is cancelled at once, a held position is sold after one question.

import { type MouseEvent, useState } from "react";
import { close, sightingOf } from "../../api/trades";
import type { Trade } from "../../api/types";
import { sayIfWaiting, useTradeAction } from "../../state/actions";
import { toast } from "../../state/toasts";
import { CloseDialog } from "./CloseDialog";

interface CloseButtonProps {
  trade: Trade;
  wide?: boolean;
}

export function CloseButton({ trade, wide = false }: CloseButtonProps) {
  const [asking, setAsking] = useState(false);
  const action = useTradeAction(close);
  const isPending = trade.status === "OPEN";
  const size = wide ? "button danger" : "button small danger";

  async function cancel() {
    const outcome = await action.run(sightingOf(trade));
    sayIfWaiting(outcome);
    if (outcome.kind === "failed") toast(`Not cancelled. ${outcome.problem.message}`, "bad");
  }

  function click(event: MouseEvent) {
    event.stopPropagation();
    if (isPending) void cancel();
    else setAsking(true);
  }
  const word = isPending ? "Cancel" : wide ? "Close at market" : "Close";
  return (
    <>
      <button
        type="button"
        className={size}
        disabled={action.busy || trade.status === "CLOSING" || trade.protection === "SETTLING"}
        aria-label={`${word} ${trade.ticker}`}
        onClick={click}
      >
        {(action.busy || trade.status === "CLOSING") && <span className="spinner" aria-hidden="true" />}
        {trade.status === "CLOSING" ? "Closing" : word}
      </button>
      {asking && <CloseDialog trade={trade} onDone={() => setAsking(false)} />}
    </>
  );
}
