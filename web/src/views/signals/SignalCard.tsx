// One signal that waits: what it would buy, with which money, at what price now, what it takes, and the two answers.

import { useState } from "react";
import type { Signal } from "../../api/types";
import { price } from "../../format/decimal";
import { accountText, isLive, MODES, nameOf } from "../../format/mode";
import { driftOf, entryText, orderOf, timeLeft } from "../../format/signal";
import { clockTime, duration, expiryText } from "../../format/time";
import { strikeText } from "../../format/trade";
import { useAccounts } from "../../state/accounts";
import { useNow } from "../../state/clock";
import { useDeciding } from "../../state/signals";
import { ModeChip } from "../safety/Band";
import { LimitsUse, useTradeCheck } from "../safety/LimitsUse";

const OLD_S = 60;

function Head({ signal }: { signal: Signal }) {
  const accounts = useAccounts();
  const name = nameOf(accounts.data, signal.broker_mode, signal.account_id);
  const from = [signal.bot, signal.strategy, `came ${clockTime(signal.received_at)} ET`].filter(Boolean).join(" · ");
  return (
    <div>
      <h2>
        {signal.ticker} <span className="muted">× {signal.qty}</span>{" "}
        {signal.broker_mode && <ModeChip mode={signal.broker_mode} />}
      </h2>
      <p>
        {signal.expiry && expiryText(signal.expiry)} {signal.strike && strikeText(signal.strike)}{" "}
        {signal.option_type && <span className={`side ${signal.option_type.toLowerCase()}`}>{signal.option_type}</span>}
      </p>
      <p className="from">{from}</p>
      <p className="from">Account {accountText(signal.account_id, name)}</p>
    </div>
  );
}

function PriceNow({ signal, askedAt }: { signal: Signal; askedAt: number }) {
  const now = useNow();
  const { quote } = signal;
  if (!quote) return <span className="warn">not known</span>;
  const age = quote.age_s === null ? null : quote.age_s + Math.max(0, (now - askedAt) / 1000);
  return (
    <>
      {price(quote.bid)} / {price(quote.ask)}{" "}
      <span className={age === null || age > OLD_S ? "age stale" : "age"}>
        {age === null ? "of unknown age" : `${duration(age)} old`}
      </span>
    </>
  );
}

function Figures({ signal, askedAt }: { signal: Signal; askedAt: number }) {
  const drift = driftOf(signal);
  return (
    <dl>
      <div>
        <dt>Bid / ask now</dt>
        <dd>
          <PriceNow signal={signal} askedAt={askedAt} />
        </dd>
      </div>
      <div>
        <dt>The bot saw</dt>
        <dd>
          {price(signal.ref_price) || "not said"}{" "}
          {drift && <span className={drift.isTooFar ? "age down" : "age"}>{drift.words}</span>}
        </dd>
      </div>
      <div>
        <dt>Entry</dt>
        <dd>{entryText(signal)}</dd>
      </div>
      <div>
        <dt>Stop / target</dt>
        <dd>
          {signal.sl_price ? price(signal.sl_price) : <span className="warn">none</span>} /{" "}
          {signal.tp_price ? price(signal.tp_price) : "none"}
        </dd>
      </div>
    </dl>
  );
}

/** Asked at once for the first few, on request for the others: each costs the broker questions. */
function Limits({ signal, atOnce }: { signal: Signal; atOnce: boolean }) {
  const [wanted, setWanted] = useState(atOnce);
  const check = useTradeCheck(orderOf(signal), wanted);
  if (wanted) return <LimitsUse check={check} />;
  return (
    <button type="button" className="button small" onClick={() => setWanted(true)}>
      What does it take of my limits?
    </button>
  );
}

function Decide({ signal }: { signal: Signal }) {
  const { busy, problem, decide } = useDeciding(signal);
  const left = timeLeft(signal, useNow());
  const isPlacing = signal.state === "placing" || busy === "approve";
  const live = isLive(signal.broker_mode);
  return (
    <div className="decide">
      <button
        type="button"
        className="button approve"
        disabled={busy !== null || isPlacing || left.isOver}
        onClick={() => void decide("approve")}
      >
        {isPlacing && <span className="spinner" aria-hidden="true" />}
        {isPlacing ? "Placing" : live ? "Approve with real money" : "Approve"}
      </button>
      <button
        type="button"
        className="button"
        disabled={busy !== null || isPlacing}
        onClick={() => void decide("reject")}
      >
        {busy === "reject" && <span className="spinner" aria-hidden="true" />}
        Reject
      </button>
      <p className="left">{isPlacing ? "" : left.words}</p>
      {problem && (
        <p className="form-problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

interface SignalCardProps {
  signal: Signal;
  /** When its quote was asked for, by this browser's clock. */
  askedAt: number;
  atOnce: boolean;
}

export function SignalCard({ signal, askedAt, atOnce }: SignalCardProps) {
  const { isLate } = timeLeft(signal, useNow());
  const mode = signal.broker_mode;
  return (
    <article
      className={isLate ? "signal-card late" : "signal-card"}
      data-signal={signal.id}
      data-mode={mode ?? undefined}
      aria-label={`Signal ${signal.ticker ?? ""} of ${signal.bot}`}
    >
      {mode && isLive(mode) && (
        <p className="mode-line" data-mode={mode}>
          <b>{MODES[mode].name}</b> {MODES[mode].money}
        </p>
      )}
      <Head signal={signal} />
      <Figures signal={signal} askedAt={askedAt} />
      <div>
        <Limits signal={signal} atOnce={atOnce} />
      </div>
      <Decide signal={signal} />
    </article>
  );
}
