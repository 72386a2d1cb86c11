import { sightingOf, withdraw } from "../../api/trades";
import type { Trade } from "../../api/types";
import { useTradeAction } from "../../state/actions";

/** A close or adjust that waits for the open, and the way to take it back. */
export function QueuedNote({ trade }: { trade: Trade }) {
  const action = useTradeAction(withdraw);
  return (
    <div className="note queued">
      <span>Your change is stored and runs when the market opens. The bracket stays until then.</span>
      <button
        type="button"
        className="button small"
        disabled={action.busy}
        onClick={() => void action.run(sightingOf(trade))}
      >
        Withdraw
      </button>
      {action.problem && <span role="alert">{action.problem.message}</span>}
    </div>
  );
}
