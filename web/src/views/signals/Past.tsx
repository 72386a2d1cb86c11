// What became of the last signals, and why.

import type { Signal } from "../../api/types";
import { inWords } from "../../format/limits";
import { signalText } from "../../format/signal";
import { clockTime } from "../../format/time";
import { showTrade } from "../../state/expanded";
import { useDecided } from "../../state/signals";

const VERDICTS: Partial<Record<Signal["state"], string>> = {
  accepted: "Became a trade",
  rejected: "Rejected",
  expired: "Its time was over",
};

function PastRow({ signal }: { signal: Signal }) {
  const { trade_id: tradeId } = signal;
  const at = signal.decided_at ?? signal.received_at;
  return (
    <tr data-signal={signal.id}>
      <td>
        <time dateTime={at}>{clockTime(at)} ET</time>
      </td>
      <td>{signalText(signal)}</td>
      <td className="muted">{signal.bot}</td>
      <td>
        <span className={`verdict ${signal.state}`}>{VERDICTS[signal.state]}</span>
        {signal.reason && <span className="sub">{inWords(signal.reason)}</span>}
      </td>
      <td className="act">
        {tradeId && signal.state === "accepted" && (
          <button type="button" className="button small" onClick={() => showTrade(tradeId)}>
            Show trade
          </button>
        )}
      </td>
    </tr>
  );
}

export function Past() {
  const decided = useDecided();
  if (!decided.data || decided.data.length === 0) return null;
  return (
    <section className="signals-past" aria-label="Decided lately">
      <h2>Decided lately</h2>
      <table className="plain-table" aria-label="Decided lately">
        <tbody>
          {decided.data.map((signal) => (
            <PastRow key={signal.id} signal={signal} />
          ))}
        </tbody>
      </table>
    </section>
  );
}
