// While the kill switch is on, or what it began is not over: a live account of every position it is about.

import { useState } from "react";
import type { AccountLine, KillState } from "../../api/types";
import { isWorthShowing, type KillLine, LIST_WORDS, LISTS, linesOf, unfinished } from "../../format/kill";
import { nameOf } from "../../format/mode";
import { occText } from "../../format/occ";
import { useAccounts } from "../../state/accounts";
import { useKillSwitch } from "../../state/kill";
import { Since } from "../frame/Since";
import { ModeChip } from "./Band";
import { ReleaseDialog } from "./ReleaseDialog";

const SHOWN = 6;

function Counts({ state }: { state: KillState }) {
  return (
    <ul className="kill-counts">
      {LISTS.map((list) => {
        const count = state[list].length;
        const tone = count === 0 ? "zero" : list === "failed" ? "grave" : undefined;
        return (
          <li key={list} className={tone} data-list={list}>
            <b>{count}</b> {LIST_WORDS[list]}
          </li>
        );
      })}
    </ul>
  );
}

function Line({ line, accounts }: { line: KillLine; accounts: readonly AccountLine[] }) {
  const { list, row } = line;
  const name = nameOf(accounts, row.broker_mode, row.account_id) ?? row.account_id;
  const words = LIST_WORDS[list];
  return (
    <li data-kill={row.trade_id ?? row.occ_symbol}>
      <span>{words.charAt(0).toUpperCase() + words.slice(1)}</span>
      <span className="what">
        {occText(row.occ_symbol)} × {row.qty}
      </span>
      <span className="why">
        <ModeChip mode={row.broker_mode} /> {name} · {row.reason}
      </span>
    </li>
  );
}

function headline(state: KillState): string {
  if (!state.engaged) return "The kill switch is released; what it began is still being closed";
  return "Kill switch is on";
}

/** What is left to end, for eyes and for screen readers, which hear it when the number changes. */
function Progress({ state }: { state: KillState }) {
  const left = unfinished(state);
  return (
    <span role="status" className={left === 0 ? "over" : undefined}>
      {left === 0 ? "Nothing of yours is left to close." : `${left === 1 ? "1 trade" : `${left} trades`} to go.`}
    </span>
  );
}

export function KillPanel() {
  const { data: state } = useKillSwitch();
  const accounts = useAccounts();
  const [all, setAll] = useState(false);
  const [releasing, setReleasing] = useState(false);
  if (!isWorthShowing(state)) return null;
  const lines = linesOf(state);
  const shown = all ? lines : lines.slice(0, SHOWN);
  return (
    <section className="kill-panel" aria-label="Kill switch">
      <div className="lead">
        <h2>{headline(state)}</h2>
        <span>
          <Progress state={state} /> {state.engaged && "No new trade and no signal goes out, in any mode or account,"}{" "}
          {state.changed_at && <Since at={state.changed_at} />}
        </span>
        {state.engaged && (
          <button type="button" className="button" onClick={() => setReleasing(true)}>
            Release…
          </button>
        )}
      </div>
      <Counts state={state} />
      {lines.length > 0 && (
        <ul className="kill-list">
          {shown.map((line) => (
            <Line
              key={`${line.list} ${line.row.account_id} ${line.row.trade_id ?? line.row.occ_symbol}`}
              line={line}
              accounts={accounts.data ?? []}
            />
          ))}
        </ul>
      )}
      {lines.length > SHOWN && (
        <button type="button" className="button small" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Show fewer" : `Show all ${lines.length}`}
        </button>
      )}
      {state.omitted > 0 && <p>{state.omitted} more are not listed here.</p>}
      {releasing && <ReleaseDialog onDone={() => setReleasing(false)} />}
    </section>
  );
}
