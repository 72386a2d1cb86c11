// The one way to real money: the word LIVE, typed.

import { useState } from "react";
import type { AccountLine, BrokerMode } from "../../api/types";
import { accountText, MODES } from "../../format/mode";
import { destinationOf, useSwitching } from "../../state/accounts";
import { Dialog, FormProblem } from "../frame/Dialog";
import { isTyped, TypedWord } from "../frame/TypedWord";

const WORD = "LIVE";

interface LiveDialogProps {
  line: AccountLine;
  from: BrokerMode;
  onDone: () => void;
}

export function LiveDialog({ line, from, onDone }: LiveDialogProps) {
  const [typed, setTyped] = useState("");
  const switching = useSwitching();
  const isReady = isTyped(typed, WORD) && !switching.busy;
  const account = accountText(line.account_id, line.account_name);
  async function submit() {
    if (isReady && (await switching.to(destinationOf(line), WORD))) onDone();
  }
  return (
    <Dialog
      title="Trade with real money?"
      mode="TRADIER_LIVE"
      account={account}
      onClose={onDone}
      onSubmit={() => void submit()}
    >
      <p>
        From now on new trades, yours and your bots', go to <b>{account}</b> and are paid with real money.
      </p>
      <ul className="points muted">
        <li>Signals wait for your approval: the signal mode becomes review.</li>
        <li>Trades open in {MODES[from].name} stay there and are watched as before.</li>
      </ul>
      <TypedWord word={WORD} why="to switch" value={typed} onChange={setTyped} first />
      <FormProblem>{switching.problem}</FormProblem>
      <div className="buttons">
        <button type="button" className="button" onClick={onDone}>
          Stay in {MODES[from].name}
        </button>
        <button type="submit" className="button danger solid" disabled={!isReady}>
          {switching.busy && <span className="spinner" aria-hidden="true" />}
          Switch to LIVE
        </button>
      </div>
    </Dialog>
  );
}
