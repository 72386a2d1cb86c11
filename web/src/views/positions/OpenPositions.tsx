// The first tab: totals, then every trade that is not over.

import type { BrokerMode } from "../../api/types";
import { expanded, toggleExpanded } from "../../state/expanded";
import { loading, positions, reload } from "../../state/positions";
import { useStore } from "../../state/store";
import { Empty, LoadFailed, RowSkeletons } from "../frame/States";
import { Foreign } from "./Foreign";
import { COLUMNS, PositionRow } from "./PositionRow";
import { Summary } from "./Summary";

function Head() {
  return (
    <thead>
      <tr>
        <th>Contract</th>
        <th>Status</th>
        <th className="number">Entry</th>
        <th className="number">Price</th>
        <th className="number">P&L</th>
        <th>Stop to target</th>
        <th>Protection</th>
        <th>
          <span className="visually-hidden">Actions</span>
        </th>
      </tr>
    </thead>
  );
}

interface OpenPositionsProps {
  mode: BrokerMode | null;
  onNewTrade: () => void;
}

export function OpenPositions({ mode, onNewTrade }: OpenPositionsProps) {
  const { trades } = useStore(positions);
  const { loaded, problem } = useStore(loading);
  const open = useStore(expanded);
  if (!loaded) {
    if (problem) return <LoadFailed what="Open positions" problem={problem} onRetry={() => void reload()} />;
    return <RowSkeletons columns={COLUMNS} />;
  }
  if (trades.length === 0) {
    return (
      <>
        <Empty title="No open positions">
          <p>
            Place a trade with a stop and a target; both rest at the broker and are watched until the trade is over.
          </p>
          <button type="button" className="button primary" onClick={onNewTrade}>
            New trade
          </button>
        </Empty>
        <Foreign />
      </>
    );
  }
  return (
    <>
      {problem && (
        <p className="form-problem" role="alert">
          The list could not be refreshed and may be old. {problem.message}
        </p>
      )}
      <Summary trades={trades} />
      <table className="trades" aria-label="Open positions">
        <Head />
        <tbody>
          {trades.map((trade) => (
            <PositionRow
              key={trade.id}
              trade={trade}
              mode={mode}
              expanded={trade.id === open}
              onToggle={toggleExpanded}
            />
          ))}
        </tbody>
      </table>
      <Foreign />
    </>
  );
}
