import type { MouseEvent } from "react";
import { sightingOf, withdraw } from "../../api/trades";
import type { Trade } from "../../api/types";
import { useTradeAction } from "../../state/actions";
import { toast } from "../../state/toasts";

/** Take back the close or adjust that waits for the open. */
export function WithdrawButton({ trade, small = false }: { trade: Trade; small?: boolean }) {
  const action = useTradeAction(withdraw);
  async function click(event: MouseEvent) {
    event.stopPropagation();
    const outcome = await action.run(sightingOf(trade));
    if (outcome.kind === "failed") toast(`Not withdrawn. ${outcome.problem.message}`, "bad");
    else if (outcome.kind === "done") toast(`${trade.ticker}: withdrawn, the position stays`, "plain");
  }
  return (
    <button
      type="button"
      className={small ? "button small" : "button"}
      disabled={action.busy}
      aria-label={`Withdraw ${trade.ticker}`}
      onClick={(event) => void click(event)}
    >
      {action.busy && <span className="spinner" aria-hidden="true" />}
      Withdraw
    </button>
  );
}

/** A close or adjust that waits for the open, and the way to take it back. */
export function QueuedNote({ trade }: { trade: Trade }) {
  return (
    <div className="note with-action" data-note="queued">
      <span>
        <b>Waiting for the open.</b> Your change is stored and runs a minute after the market opens. Until then the
        bracket stays as it is.
      </span>
      <WithdrawButton trade={trade} />
    </div>
  );
}
