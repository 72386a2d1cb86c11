// The second step: what it is, costs, can lose and can gain, in which money. Its key is sent with every try.

import { useState } from "react";
import { asProblem, type Problem } from "../../api/problem";
import { place } from "../../api/trades";
import type { PlaceBody, Settings, Trade } from "../../api/types";
import { dollars, price } from "../../format/decimal";
import { inWords } from "../../format/limits";
import { accountText, isLive, MODES, nameOf } from "../../format/mode";
import { ageSeconds, duration, expiryText } from "../../format/time";
import { strikeText } from "../../format/trade";
import { useAccounts } from "../../state/accounts";
import { useNow } from "../../state/clock";
import { reckon, rewardToRisk } from "../../state/draft";
import { learn } from "../../state/positions";
import { LimitsUse, useTradeCheck } from "../safety/LimitsUse";
import type { Money, Review } from "./Ticket";

const OLD_S = 60;

function Sums({ review }: { review: Review }) {
  const { draft, quote } = review;
  const sum = reckon(draft, quote);
  if (!sum) return null;
  const ratio = rewardToRisk(sum);
  const entry =
    draft.entry === "limit" ? `Limit ${price(draft.limit)}, good for the day` : `Market, about ${price(quote.ask)}`;
  return (
    <dl className="review">
      <div className="headline">
        <dt>Buy to open</dt>
        <dd>
          {draft.qty} × {draft.ticker} {expiryText(draft.expiry)} {strikeText(draft.strike)} {draft.optionType}
        </dd>
      </div>
      <div>
        <dt>Entry</dt>
        <dd>{entry}</dd>
      </div>
      <div>
        <dt>Cost</dt>
        <dd>{dollars(sum.cost)}</dd>
      </div>
      <div>
        <dt>{sum.lossAtStop === null ? "Loss without a stop, at most" : `Loss at stop ${price(draft.stop)}`}</dt>
        <dd className="down">{dollars(sum.lossAtStop ?? -sum.cost, true)}</dd>
      </div>
      <div>
        <dt>{sum.gainAtTarget === null ? "Gain" : `Gain at target ${price(draft.target)}`}</dt>
        <dd className={sum.gainAtTarget === null ? "muted" : "gain"}>
          {sum.gainAtTarget === null ? "no target" : dollars(sum.gainAtTarget, true)}
        </dd>
      </div>
      {ratio && (
        <div>
          <dt>Reward to risk</dt>
          <dd>{ratio}</dd>
        </div>
      )}
    </dl>
  );
}

function ModeLine({ money }: { money: Money }) {
  const accounts = useAccounts();
  const name = nameOf(accounts.data, money.mode, money.accountId);
  const words = MODES[money.mode];
  const sentence = `${words.money.charAt(0).toUpperCase()}${words.money.slice(1)}`;
  return (
    <p className="mode-line" data-mode={money.mode}>
      <b>{words.name}</b> {sentence},{" "}
      {money.accountId ? `account ${accountText(money.accountId, name)}` : "no account chosen"}
    </p>
  );
}

/** Whether the settings have gone to other money since the order was reviewed. */
const isElsewhere = (money: Money, settings: Settings | null): boolean =>
  settings === null || settings.broker_mode !== money.mode || settings.account_id !== money.accountId;

function QuoteWarning({ quotedAt }: { quotedAt: string }) {
  const age = ageSeconds(quotedAt, useNow());
  if (age === null || age <= OLD_S) return null;
  return <p className="form-problem">The quote is {duration(age)} old. Go back for a fresh one.</p>;
}

const placeWord = (money: Money): string => (isLive(money.mode) ? "Place with real money" : "Place order");

function exitsText(body: PlaceBody): string {
  if (body.sl_price && body.tp_price)
    return "Stop and target are placed at the broker as one OCO group once the entry has filled.";
  if (body.sl_price) return "The stop is placed at the broker once the entry has filled. There is no target.";
  if (body.tp_price) return "The target is placed at the broker once the entry has filled. There is no stop.";
  return "No stop and no target: nothing will protect this position.";
}

/** Send the reviewed order; a retry after no clear answer carries the same key and cannot buy twice. */
function usePlacing(body: PlaceBody, key: string, onAnswer: (trade: Trade, status: number) => void) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  async function send() {
    setBusy(true);
    setProblem(null);
    try {
      const { status, data } = await place(body, key);
      learn(data);
      onAnswer(data, status);
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  }
  return { busy, problem, send };
}

interface TicketReviewProps {
  review: Review;
  body: PlaceBody;
  settings: Settings | null;
  onBack: () => void;
  onAnswer: (trade: Trade, status: number) => void;
}

export function TicketReview({ review, body, settings, onBack, onAnswer }: TicketReviewProps) {
  const { busy, problem, send } = usePlacing(body, review.key, onAnswer);
  const { money } = review;
  const isMoved = isElsewhere(money, settings);
  const check = useTradeCheck(body);
  const isRefused = Boolean(check.data?.refusal);
  const canSend = (problem === null || problem.isRetriable) && !isMoved && !isRefused;
  return (
    <div className="body">
      <Sums review={review} />
      <p className={body.sl_price ? "muted" : "warn"}>{exitsText(body)}</p>
      {isMoved && (
        <p className="form-problem" role="alert">
          New trades go to another account now. Nothing was sent: go back and review the order for it.
        </p>
      )}
      <h3>What it takes of your limits</h3>
      <LimitsUse check={check} />
      {problem === null && <QuoteWarning quotedAt={review.quotedAt} />}
      {problem && (
        <p className="form-problem" role="alert">
          {inWords(problem.message)}
          {problem.isRetriable && " Trying again is safe: this order is never placed twice."}
        </p>
      )}
      <div className="foot">
        <ModeLine money={money} />
        <div className="buttons">
          <button type="button" className="button" disabled={busy} onClick={onBack}>
            Back
          </button>
          <button type="button" className="button primary" disabled={busy || !canSend} onClick={() => void send()}>
            {busy && <span className="spinner" aria-hidden="true" />}
            {problem?.isRetriable ? "Try again" : placeWord(money)}
          </button>
        </div>
      </div>
    </div>
  );
}
