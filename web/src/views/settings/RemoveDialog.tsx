// Taking an account's token away: what that ends, asked once. The server refuses while a trade of it is open.

import { useState } from "react";
import { removeCredentials } from "../../api/credentials";
import { asProblem } from "../../api/problem";
import type { AccountLine } from "../../api/types";
import { accountText } from "../../format/mode";
import { untilListed } from "../../state/accounts";
import { keys, queryClient } from "../../state/queries";
import { toast } from "../../state/toasts";
import { Dialog, FormProblem } from "../frame/Dialog";

export function RemoveDialog({ line, onDone }: { line: AccountLine; onDone: () => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const account = accountText(line.account_id, line.account_name);
  async function remove() {
    setBusy(true);
    setProblem(null);
    try {
      await removeCredentials(line.broker_mode, line.account_id);
      await Promise.all([
        untilListed(line.account_id, false),
        queryClient.invalidateQueries({ queryKey: keys.settings }),
      ]);
      toast(`Account ${line.account_id} removed`, "plain");
      onDone();
    } catch (error) {
      setProblem(asProblem(error).message);
      setBusy(false);
    }
  }
  return (
    <Dialog title="Remove this account?" mode={line.broker_mode} account={account} onClose={onDone}>
      <p>
        Bookend forgets its token and no longer reads or trades it. The account itself stays as it is at the broker.
      </p>
      <p className="muted">
        Its past trades stay in your history. While a trade of it is open, the token can only be renewed.
      </p>
      <FormProblem>{problem}</FormProblem>
      <div className="buttons">
        <button type="button" className="button" data-first onClick={onDone}>
          Keep it
        </button>
        <button type="button" className="button danger solid" disabled={busy} onClick={() => void remove()}>
          {busy && <span className="spinner" aria-hidden="true" />}
          Remove
        </button>
      </div>
    </Dialog>
  );
}
