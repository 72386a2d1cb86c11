// The first step: which contract, how many, how to get in, where to get out.

import type { FormEvent } from "react";
import { parseDecimal, percent } from "../../format/decimal";
import { type Draft, type DraftProblems, entryPrice, exitAt, problemsOf } from "../../state/draft";
import type { TicketMarket } from "../../state/ticket";
import { Choice, TextField } from "../frame/Field";
import { ContractFields } from "./ContractFields";
import { QuoteBox } from "./QuoteBox";

const ENTRIES = [
  ["market", "Market"],
  ["limit", "Limit"],
] as const;

export interface StepProps {
  draft: Draft;
  market: TicketMarket;
  problems: DraftProblems;
  onChange: (change: Partial<Draft>) => void;
}

function distance(text: string, entry: bigint | null, from: string): string {
  const value = parseDecimal(text);
  return value === null || entry === null ? "Empty: none" : `${percent(value - entry, entry)} from the ${from}`;
}

function EntryFields({ draft, problems, onChange }: StepProps) {
  return (
    <>
      <div className="pair">
        <TextField
          label="Contracts"
          value={draft.qty}
          onChange={(qty) => onChange({ qty })}
          inputMode="numeric"
          problem={problems.qty}
        />
        <Choice label="Entry" value={draft.entry} options={ENTRIES} onChange={(entry) => onChange({ entry })} />
      </div>
      {draft.entry === "limit" && (
        <TextField
          label="Limit price"
          value={draft.limit}
          onChange={(limit) => onChange({ limit })}
          inputMode="decimal"
          problem={problems.limit}
          hint="Good for the day"
        />
      )}
    </>
  );
}

const STOPS = [-20, -30, -50];
const TARGETS = [25, 50, 100];

interface PresetsProps {
  name: string;
  percents: readonly number[];
  entry: bigint | null;
  onChoose: (price: string) => void;
}

/** Usual distances, one click each. */
function Presets({ name, percents, entry, onChoose }: PresetsProps) {
  if (entry === null || entry <= 0n) return null;
  return (
    <span className="presets">
      {percents.map((share) => (
        <button
          key={share}
          type="button"
          aria-label={`${name} ${share} percent`}
          onClick={() => onChoose(exitAt(entry, share))}
        >
          {share > 0 ? `+${share}` : `−${-share}`} %
        </button>
      ))}
    </span>
  );
}

function ExitFields({ draft, market, problems, onChange }: StepProps) {
  const entry = entryPrice(draft, market.quote);
  const from = draft.entry === "limit" ? "limit" : "ask";
  return (
    <div className="pair">
      <div>
        <TextField
          label="Stop"
          value={draft.stop}
          onChange={(stop) => onChange({ stop })}
          inputMode="decimal"
          problem={problems.stop}
          hint={distance(draft.stop, entry, from)}
        />
        <Presets name="Stop" percents={STOPS} entry={entry} onChoose={(stop) => onChange({ stop })} />
      </div>
      <div>
        <TextField
          label="Target"
          value={draft.target}
          onChange={(target) => onChange({ target })}
          inputMode="decimal"
          problem={problems.target}
          hint={distance(draft.target, entry, from)}
        />
        <Presets name="Target" percents={TARGETS} entry={entry} onChoose={(target) => onChange({ target })} />
      </div>
    </div>
  );
}

/** Problems of empty fields wait until the user has asked for the review; wrong prices show at once. */
function shownProblems(draft: Draft, market: TicketMarket, tried: boolean): DraftProblems {
  const all = problemsOf(draft, market.quote);
  if (tried) return all;
  const { stop, target } = all;
  return market.quote ? { ...(stop ? { stop } : {}), ...(target ? { target } : {}) } : {};
}

interface TicketFormProps {
  draft: Draft;
  market: TicketMarket;
  tried: boolean;
  onChange: (change: Partial<Draft>) => void;
  onReview: () => void;
}

export function TicketForm({ draft, market, tried, onChange, onReview }: TicketFormProps) {
  const step: StepProps = { draft, market, onChange, problems: shownProblems(draft, market, tried) };
  function submit(event: FormEvent) {
    event.preventDefault();
    onReview();
  }
  return (
    <form className="body" onSubmit={submit} noValidate>
      <ContractFields {...step} />
      {market.quote && market.chain && (
        <QuoteBox quote={market.quote} asOf={market.chain.as_of} source={market.chain.source} />
      )}
      <EntryFields {...step} />
      <ExitFields {...step} />
      <div className="buttons single">
        <button type="submit" className="button primary">
          Review order
        </button>
      </div>
    </form>
  );
}
