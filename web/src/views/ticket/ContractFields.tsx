import type { ChainOption, OptionType } from "../../api/types";
import { price } from "../../format/decimal";
import { daysText, daysTo, expiryText } from "../../format/time";
import { strikeText } from "../../format/trade";
import { useNow } from "../../state/clock";
import { Choice, SelectField, TextField } from "../frame/Field";
import type { StepProps } from "./TicketForm";

const TYPES = [
  ["CALL", "Call"],
  ["PUT", "Put"],
] as const satisfies readonly (readonly [OptionType, string])[];

function strikeLine(option: ChainOption): string {
  const sides = `${price(option.bid) || "–"} / ${price(option.ask) || "–"}`;
  const delta = option.delta === null ? "" : ` · Δ ${Number(option.delta).toFixed(2)}`;
  return `${strikeText(option.strike)} · ${sides}${delta}`;
}

function ExpiryField({ draft, market, problems, onChange }: StepProps) {
  const now = useNow();
  return (
    <SelectField
      label="Expiry"
      value={draft.expiry}
      onChange={(expiry) => onChange({ expiry, strike: "" })}
      disabled={market.expirations.length === 0}
      problem={problems.expiry}
    >
      {market.expirations.length === 0 && <option value="">{market.expirationsBusy ? "Loading…" : "–"}</option>}
      {market.expirations.map((expiry) => (
        <option key={expiry} value={expiry}>
          {expiryText(expiry)} ({daysText(daysTo(expiry, now))})
        </option>
      ))}
    </SelectField>
  );
}

/** Ticker, expiry, type and strike, each choice narrowing the next. */
export function ContractFields(step: StepProps) {
  const { draft, market, problems, onChange } = step;
  const underlying = market.chain?.underlying_price;
  return (
    <>
      <div className="pair ticker">
        <TextField
          label="Ticker"
          value={draft.ticker}
          onChange={(text) => onChange({ ticker: text.trim().toUpperCase(), expiry: "", strike: "" })}
          autoComplete="off"
          autoFocus
          spellCheck={false}
          placeholder="AAPL"
          problem={market.tickerProblem ?? problems.ticker}
        />
        <ExpiryField {...step} />
      </div>
      <Choice
        label="Type"
        value={draft.optionType}
        options={TYPES}
        onChange={(optionType) => onChange({ optionType })}
      />
      <SelectField
        label="Strike, bid / ask"
        value={market.quote?.strike ?? ""}
        onChange={(strike) => onChange({ strike })}
        disabled={market.options.length === 0}
        problem={market.chainProblem ?? problems.strike}
        hint={underlying ? `${draft.ticker} trades at ${price(underlying)}` : undefined}
      >
        {market.options.length === 0 && <option value="">{market.chainBusy ? "Loading the chain…" : "–"}</option>}
        {market.options.map((option) => (
          <option key={option.occ_symbol} value={option.strike}>
            {strikeLine(option)}
          </option>
        ))}
      </SelectField>
    </>
  );
}
