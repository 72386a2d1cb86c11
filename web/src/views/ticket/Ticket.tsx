// The order ticket: fill in, review, and what became of it. One idempotency key is made when the review opens.

import { useEffect, useState } from "react";
import { newKey } from "../../api/idempotency";
import type { BrokerMode, ChainOption, Settings, Trade } from "../../api/types";
import { bodyOf, type Draft, EMPTY_DRAFT, nearestStrike, problemsOf } from "../../state/draft";
import { type TicketMarket, useTicketMarket } from "../../state/ticket";
import { TicketForm } from "./TicketForm";
import { TicketOutcome } from "./TicketOutcome";
import { TicketReview } from "./TicketReview";

/** Which money the order was reviewed for. It goes nowhere else: the request names the account. */
export interface Money {
  mode: BrokerMode;
  accountId: string | null;
}

export interface Review {
  draft: Draft;
  quote: ChainOption;
  quotedAt: string;
  key: string;
  money: Money;
}

type Step = { name: "form" } | { name: "review"; review: Review } | { name: "outcome"; trade: Trade; status: number };

const TITLES: Record<Step["name"], string> = { form: "New trade", review: "Review", outcome: "Order" };

/** Choose the first expiry and the strike nearest the money until the user chooses. */
function useDefaults(draft: Draft, market: TicketMarket, onChange: (change: Partial<Draft>) => void): void {
  const { expirations, options, chain, quote } = market;
  useEffect(() => {
    const first = expirations[0];
    if (first && !expirations.includes(draft.expiry)) onChange({ expiry: first });
  }, [expirations, draft.expiry, onChange]);
  useEffect(() => {
    if (options.length > 0 && !quote) onChange({ strike: nearestStrike(options, chain?.underlying_price ?? null) });
  }, [options, quote, chain, onChange]);
}

function useDraft() {
  const [draft, setDraft] = useState<Draft>(EMPTY_DRAFT);
  const [change] = useState(() => (part: Partial<Draft>) => setDraft((known) => ({ ...known, ...part })));
  const market = useTicketMarket(draft);
  useDefaults(draft, market, change);
  return { draft, change, market, reset: () => setDraft(EMPTY_DRAFT) };
}

interface TicketProps {
  settings: Settings | null;
  onClose: () => void;
}

export function Ticket({ settings, onClose }: TicketProps) {
  const { draft, change, market, reset } = useDraft();
  const [step, setStep] = useState<Step>({ name: "form" });
  const [tried, setTried] = useState(false);

  function review() {
    setTried(true);
    const { quote, chain } = market;
    if (!settings || !quote || !chain || Object.keys(problemsOf(draft, quote)).length > 0) return;
    const money: Money = { mode: settings.broker_mode, accountId: settings.account_id };
    setStep({ name: "review", review: { draft, quote, quotedAt: chain.as_of, key: newKey(), money } });
  }

  function startOver() {
    reset();
    setTried(false);
    setStep({ name: "form" });
  }
  return (
    <aside className="ticket" aria-label="Order ticket" onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <header>
        <h2>{TITLES[step.name]}</h2>
        <button type="button" className="button plain icon" aria-label="Close the ticket" onClick={onClose}>
          ✕
        </button>
      </header>
      {step.name === "form" && !settings && (
        <p className="form-problem" role="alert">
          Which money this would cost is not known: your settings could not be read. Nothing can be placed until then.
        </p>
      )}
      {step.name === "form" && (
        <TicketForm draft={draft} market={market} tried={tried} onChange={change} onReview={review} />
      )}
      {step.name === "review" && (
        <TicketReview
          review={step.review}
          body={bodyOf(step.review.draft, step.review.money.mode, step.review.money.accountId)}
          settings={settings}
          onBack={() => setStep({ name: "form" })}
          onAnswer={(trade, status) => setStep({ name: "outcome", trade, status })}
        />
      )}
      {step.name === "outcome" && (
        <TicketOutcome placed={step.trade} status={step.status} onAgain={startOver} onClose={onClose} />
      )}
    </aside>
  );
}
