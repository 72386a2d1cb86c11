// The broker accounts of each mode: which there are, what they are worth, whether their token works.

import { useState } from "react";
import { asProblem } from "../../api/problem";
import type { AccountLine, BrokerMode, Settings } from "../../api/types";
import { accountsOf, EVERY_MODE, isLive, MODES } from "../../format/mode";
import { useAccounts } from "../../state/accounts";
import { LoadFailed, RowSkeletons } from "../frame/States";
import { ModeChip } from "../safety/Band";
import { AccountRow } from "./AccountRow";
import { TokenForm } from "./TokenForm";

const EMPTY_WORDS: Record<BrokerMode, string> = {
  PAPER: "Bookend makes your paper account as soon as its simulator answers.",
  TRADIER_SANDBOX: "No account is connected. A sandbox token comes from your broker's developer page.",
  TRADIER_LIVE: "No account is connected. Nothing can cost real money.",
};

interface ModeCardProps {
  mode: BrokerMode;
  accounts: readonly AccountLine[];
  settings: Settings;
}

function ModeCard({ mode, accounts, settings }: ModeCardProps) {
  const [adding, setAdding] = useState(false);
  const lines = accountsOf(mode, accounts);
  const isInUse = (line: AccountLine) => settings.broker_mode === mode && settings.account_id === line.account_id;
  return (
    <section className="card" aria-label={`${MODES[mode].name} accounts`}>
      <div className="card-head">
        <h2>
          <ModeChip mode={mode} /> {MODES[mode].money}
        </h2>
        {mode !== "PAPER" && !adding && (
          <button type="button" className="button small" onClick={() => setAdding(true)}>
            Connect an account
          </button>
        )}
      </div>
      {lines.length === 0 && !adding && <p className="lead">{EMPTY_WORDS[mode]}</p>}
      {lines.map((line) => (
        <AccountRow key={line.account_id} line={line} inUse={isInUse(line)} current={settings.broker_mode} />
      ))}
      {adding && (
        <>
          <p className="lead">
            {isLive(mode)
              ? "Trades in this account are paid with real money. Storing the token does not switch to it."
              : "Storing a token does not switch to its account."}
          </p>
          <TokenForm mode={mode} renewed={null} onDone={() => setAdding(false)} />
        </>
      )}
    </section>
  );
}

export function Accounts({ settings }: { settings: Settings }) {
  const accounts = useAccounts();
  if (accounts.isError)
    return (
      <LoadFailed what="Your accounts" problem={asProblem(accounts.error)} onRetry={() => void accounts.refetch()} />
    );
  if (!accounts.data) return <RowSkeletons columns={1} />;
  return (
    <>
      {EVERY_MODE.map((mode) => (
        <ModeCard key={mode} mode={mode} accounts={accounts.data} settings={settings} />
      ))}
    </>
  );
}
