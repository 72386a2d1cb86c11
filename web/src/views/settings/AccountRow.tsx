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
import { RemoveDialog } from "./RemoveDialog";
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

type Asking = "renew" | "remove" | "live" | null;

interface TokenButtonsProps {
  name: string;
  onAsk: (what: Asking) => void;
}

/** What can be done with a token; the paper account's is Bookend's own and needs none of it. */
function TokenButtons({ name, onAsk }: TokenButtonsProps) {
  return (
    <>
      <button
        type="button"
        className="button small"
        aria-label={`Renew the token of ${name}`}
        onClick={() => onAsk("renew")}
      >
        Renew token
      </button>
      <button
        type="button"
        className="button small danger"
        aria-label={`Remove ${name}`}
        onClick={() => onAsk("remove")}
      >
        Remove
      </button>
    </>
  );
}

interface AccountRowProps {
  line: AccountLine;
  inUse: boolean;
  current: BrokerMode;
}

export function AccountRow({ line, inUse, current }: AccountRowProps) {
  const [asking, setAsking] = useState<Asking>(null);
  const switching = useSwitching();
  const trial = useTrial();
  const { account_id, broker_mode } = line;
  const said = switching.problem ? { good: false, words: switching.problem } : trial.verdict;
  const name = line.account_name ?? account_id;
  const done = () => setAsking(null);
  function use() {
    if (isLive(broker_mode) && !isLive(current)) setAsking("live");
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
        {broker_mode !== "PAPER" && asking !== "renew" && <TokenButtons name={name} onAsk={setAsking} />}
      </div>
      {said && (
        <p className={said.good ? "said good" : "said bad"} role="status">
          {said.words}
        </p>
      )}
      {asking === "renew" && <TokenForm mode={broker_mode} renewed={line} onDone={done} />}
      {asking === "remove" && <RemoveDialog line={line} onDone={done} />}
      {asking === "live" && <LiveDialog line={line} from={current} onDone={done} />}
    </div>
  );
}
