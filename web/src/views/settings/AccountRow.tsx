// One broker account: what it is worth, and what can be done with it and its token.

import { useState } from "react";
import type { AccountLine, BrokerMode } from "../../api/types";
import { dollars, parseDecimal } from "../../format/decimal";
import { isLive } from "../../format/mode";
import { ageSeconds, ageText } from "../../format/time";
import { destinationOf, useSwitching } from "../../state/accounts";
import { useNow } from "../../state/clock";
import { useTrial } from "../../state/credentials";
import { LiveDialog } from "../safety/LiveDialog";
import { TokenForm } from "./TokenForm";

function Figures({ line }: { line: AccountLine }) {
  const now = useNow();
  const { status } = line;
  if (!status) return <div className="figures">Not read at the broker yet</div>;
  const figures = [
    `Equity ${dollars(parseDecimal(status.net_liquidation)) || "not told"}`,
    `buying power ${dollars(parseDecimal(status.buying_power)) || "not told"}`,
    line.synced_at ? `read ${ageText(ageSeconds(line.synced_at, now))}` : "",
  ];
  return <div className="figures">{figures.filter(Boolean).join(" · ")}</div>;
}

interface AccountRowProps {
  line: AccountLine;
  inUse: boolean;
  current: BrokerMode;
}

export function AccountRow({ line, inUse, current }: AccountRowProps) {
  const [renewing, setRenewing] = useState(false);
  const [goingLive, setGoingLive] = useState(false);
  const switching = useSwitching();
  const trial = useTrial();
  const { account_id, broker_mode } = line;
  const said = switching.problem ? { good: false, words: switching.problem } : trial.verdict;
  const name = line.account_name ?? account_id;
  function use() {
    if (isLive(broker_mode) && !isLive(current)) setGoingLive(true);
    else void switching.to(destinationOf(line));
  }
  return (
    <div className="account-line" data-account={account_id}>
      <div className="who">
        <b>{name}</b> {line.account_name && <span className="mono">{account_id}</span>}{" "}
        {inUse && <span className="in-use">new trades go here</span>}
        <Figures line={line} />
      </div>
      <div className="buttons">
        {!inUse && (
          <button type="button" className="button small" disabled={switching.busy} onClick={use}>
            {isLive(broker_mode) ? "Trade with real money…" : "Use for new trades"}
          </button>
        )}
        <button
          type="button"
          className="button small"
          disabled={trial.busy}
          aria-label={`Test ${name}`}
          onClick={() => void trial.run({ broker_mode, account_id })}
        >
          {trial.busy && <span className="spinner" aria-hidden="true" />}
          Test
        </button>
        {broker_mode !== "PAPER" && !renewing && (
          <button
            type="button"
            className="button small"
            aria-label={`Renew the token of ${name}`}
            onClick={() => setRenewing(true)}
          >
            Renew token
          </button>
        )}
      </div>
      {said && (
        <p className={said.good ? "said good" : "said bad"} role="status">
          {said.words}
        </p>
      )}
      {renewing && <TokenForm mode={broker_mode} renewed={line} onDone={() => setRenewing(false)} />}
      {goingLive && <LiveDialog line={line} from={current} onDone={() => setGoingLive(false)} />}
    </div>
  );
}
