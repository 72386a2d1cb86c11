// The button that is always within reach, and the question before it ends everything.

import { useEffect, useState } from "react";
import type { BrokerMode, Trade } from "../../api/types";
import { EVERY_MODE, MODES } from "../../format/mode";
import { useKillSwitch, useTurning } from "../../state/kill";
import { Dialog, FormProblem } from "../frame/Dialog";
import { isTyped, TypedWord } from "../frame/TypedWord";
import { ReleaseDialog } from "./ReleaseDialog";

const WORD = "KILL";

/** "4 PAPER, 1 LIVE (real money)": what the page knows is open, by mode. */
export function openByMode(trades: readonly { broker_mode: BrokerMode }[]): string {
  return EVERY_MODE.map((mode): [BrokerMode, number] => [
    mode,
    trades.filter((trade) => trade.broker_mode === mode).length,
  ])
    .filter(([, count]) => count > 0)
    .map(([mode, count]) => `${count} ${MODES[mode].name}${mode === "TRADIER_LIVE" ? " (real money)" : ""}`)
    .join(", ");
}

function scope(trades: readonly Trade[]): string {
  if (trades.length === 0) return "No trade is open that this page knows of.";
  return `${trades.length === 1 ? "1 trade" : `${trades.length} trades`}: ${openByMode(trades)}.`;
}

function EngageDialog({ trades, onDone }: { trades: readonly Trade[]; onDone: () => void }) {
  const [typed, setTyped] = useState("");
  const { busy, problem, turn } = useTurning();
  const { data: state } = useKillSwitch();
  const isReady = isTyped(typed, WORD) && !busy;
  // The stream may tell that it is on before the answer comes; whatever tells first ends the question.
  useEffect(() => {
    if (state?.engaged) onDone();
  }, [state?.engaged, onDone]);
  return (
    <Dialog
      title="Close everything and stop trading?"
      wide
      onClose={onDone}
      onSubmit={() => isReady && void turn("engage")}
    >
      <p className="grave">
        <b>{scope(trades)}</b> Every mode and every account of yours, not only the one shown.
      </p>
      <ul className="points">
        <li>Working entries are cancelled, held positions are sold at market.</li>
        <li>Waiting signals are rejected. New trades and signals are refused until you release the switch.</li>
        <li>
          Each position keeps its stop and target until its own sale; while the market is closed, sales wait for the
          open.
        </li>
        <li>What Bookend did not place is left alone.</li>
      </ul>
      <TypedWord word={WORD} why="to confirm" value={typed} onChange={setTyped} first />
      <FormProblem>{problem}</FormProblem>
      <div className="buttons">
        <button type="button" className="button" onClick={onDone}>
          Keep trading
        </button>
        <button type="submit" className="button danger solid" disabled={!isReady}>
          {busy && <span className="spinner" aria-hidden="true" />}
          Close everything
        </button>
      </div>
    </Dialog>
  );
}

export function KillButton({ trades }: { trades: readonly Trade[] }) {
  const [asking, setAsking] = useState<"engage" | "release" | null>(null);
  const [done] = useState(() => () => setAsking(null));
  const kill = useKillSwitch();
  const engaged = kill.data?.engaged ?? false;
  return (
    <>
      <button
        type="button"
        className={engaged ? "kill engaged" : "kill"}
        onClick={() => setAsking(engaged ? "release" : "engage")}
      >
        {engaged ? "Kill switch is ON" : "Kill switch"}
      </button>
      {asking === "engage" && <EngageDialog trades={trades} onDone={done} />}
      {asking === "release" && <ReleaseDialog onDone={done} />}
    </>
  );
}
