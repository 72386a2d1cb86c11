// The question before a position is sold. The trade may change while it is open: the version of the moment is what is sent.

import { close, sightingOf } from "../../api/trades";
import type { Trade } from "../../api/types";
import { dollars, parseDecimal, price } from "../../format/decimal";
import { accountText } from "../../format/mode";
import { contractText } from "../../format/trade";
import { sayIfWaiting, useTradeAction } from "../../state/actions";
import { Dialog, FormProblem } from "../frame/Dialog";

function consequence(trade: Trade): string {
  const count = `${trade.filled_qty} ${trade.filled_qty === 1 ? "contract is" : "contracts are"}`;
  const first = trade.protection === "NONE" ? "" : "Stop and target are cancelled first, then ";
  const pnl = dollars(parseDecimal(trade.unrealized_pnl), true);
  const now =
    trade.current_price === null ? "" : ` At the last price ${price(trade.current_price)} that is about ${pnl}.`;
  return `${first}${first ? count : count.charAt(0).toUpperCase() + count.slice(1)} sold.${now}`;
}

export function CloseDialog({ trade, onDone }: { trade: Trade; onDone: () => void }) {
  const action = useTradeAction(close);

  async function confirm() {
    const outcome = await action.run(sightingOf(trade));
    sayIfWaiting(outcome);
    if (outcome.kind !== "failed") onDone();
  }
  return (
    <Dialog
      title={`Close ${trade.ticker} ${contractText(trade)} ${trade.option_type}`}
      mode={trade.broker_mode}
      account={accountText(trade.account_id, trade.account_name)}
      onClose={onDone}
    >
      <p>Are you sure you want to close {trade.ticker} at market price?</p>
      <p className="muted">{consequence(trade)}</p>
      <FormProblem>{action.problem?.message}</FormProblem>
      <div className="buttons">
        <button type="button" className="button" onClick={onDone}>
          Keep it
        </button>
        <button type="button" className="button danger solid" disabled={action.busy} onClick={() => void confirm()}>
          {action.busy && <span className="spinner" aria-hidden="true" />}
          Close at market
        </button>
      </div>
    </Dialog>
  );
}
