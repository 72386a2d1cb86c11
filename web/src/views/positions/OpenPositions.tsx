// The first tab: totals, then every trade that is not over.

import type { BrokerMode, Trade } from "../../api/types";
import { byMode, MODES, type ModeGroup } from "../../format/mode";
import { expanded, toggleExpanded } from "../../state/expanded";
import { loading, positions, reload } from "../../state/positions";
import { useStore } from "../../state/store";
import { Empty, LoadFailed, RowSkeletons } from "../frame/States";
import { ModeChip } from "../safety/Band";
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

interface GroupProps {
  group: ModeGroup<Trade>;
  mode: BrokerMode | null;
  /** Whether there is nothing but this, so that it needs no heading of its own. */
  isAlone: boolean;
}

/** The trades of one kind of money, with sums of their own. */
function Group({ group, mode, isAlone }: GroupProps) {
  const open = useStore(expanded);
  const words = MODES[group.mode];
  const name = group.mode === mode ? "Open positions" : `Open positions, ${words.name}`;
  return (
    <section className="mode-group" aria-label={`${words.name} trades`}>
      {!isAlone && (
        <h2>
          <ModeChip mode={group.mode} /> {words.money}
        </h2>
      )}
      <Summary trades={group.trades} />
      <table className="trades" aria-label={name}>
        <Head />
        <tbody>
          {group.trades.map((trade) => (
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
    </section>
  );
}

interface OpenPositionsProps {
  mode: BrokerMode | null;
  onNewTrade: () => void;
}

export function OpenPositions({ mode, onNewTrade }: OpenPositionsProps) {
  const { trades } = useStore(positions);
  const { loaded, problem } = useStore(loading);
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
  const groups = byMode(mode, trades);
  const isAlone = groups.length === 1 && groups[0]?.mode === mode;
  return (
    <>
      {problem && (
        <p className="form-problem" role="alert">
          The list could not be refreshed and may be old. {problem.message}
        </p>
      )}
      {groups.map((group) => (
        <Group key={group.mode} group={group} mode={mode} isAlone={isAlone} />
      ))}
      <Foreign />
    </>
  );
}
