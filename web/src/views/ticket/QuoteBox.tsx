import type { ChainOption } from "../../api/types";
import { parseDecimal, percent, price } from "../../format/decimal";
import { ageSeconds, duration } from "../../format/time";
import { useNow } from "../../state/clock";

const OLD_S = 60;

export function QuoteAge({ asOf, source }: { asOf: string; source: string }) {
  const age = ageSeconds(asOf, useNow());
  if (age === null) return null;
  return (
    <span className={age > OLD_S ? "age stale" : "age"}>
      Quote {duration(age)} old, from {source}
    </span>
  );
}

/** Bid, ask and spread of the contract, with the quote's own age. */
export function QuoteBox({ quote, asOf, source }: { quote: ChainOption; asOf: string; source: string }) {
  const bid = parseDecimal(quote.bid);
  const ask = parseDecimal(quote.ask);
  const mid = bid !== null && ask !== null ? (bid + ask) / 2n : null;
  const spread = bid !== null && ask !== null ? percent(ask - bid, mid, false) : "";
  return (
    <dl className="quote" aria-label="Quote">
      <div>
        <dt>Bid</dt>
        <dd>{price(quote.bid) || "–"}</dd>
      </div>
      <div>
        <dt>Ask</dt>
        <dd>{price(quote.ask) || "–"}</dd>
      </div>
      <div>
        <dt>Spread</dt>
        <dd>{spread || "–"}</dd>
      </div>
      <QuoteAge asOf={asOf} source={source} />
    </dl>
  );
}
