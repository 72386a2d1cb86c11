// Letting trades in again: what that does, and above all what it does not.

import { unfinished } from "../../format/kill";
import { useKillSwitch, useTurning } from "../../state/kill";
import { Dialog, FormProblem } from "../frame/Dialog";

export function ReleaseDialog({ onDone }: { onDone: () => void }) {
  const { data: state } = useKillSwitch();
  const { busy, problem, turn } = useTurning();
  const left = state ? unfinished(state) : 0;
  async function release() {
    if (await turn("release")) onDone();
  }
  return (
    <Dialog title="Release the kill switch?" onClose={onDone}>
      <p>
        New trades and signals are let in again. <b>Nothing is revived</b>: cancelled entries stay cancelled, rejected
        signals stay rejected, sold positions stay sold.
      </p>
      {left > 0 && (
        <p className="consequence">
          {left === 1 ? "One trade is" : `${left} trades are`} not over yet and will still be closed. A sale that waits
          for the open can be withdrawn once the switch is released.
        </p>
      )}
      <FormProblem>{problem}</FormProblem>
      <div className="buttons">
        <button type="button" className="button" data-first onClick={onDone}>
          Leave it on
        </button>
        <button type="button" className="button primary" disabled={busy} onClick={() => void release()}>
          {busy && <span className="spinner" aria-hidden="true" />}
          Release
        </button>
      </div>
    </Dialog>
  );
}
