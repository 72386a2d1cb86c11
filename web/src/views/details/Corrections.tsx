// What was learned about a trade's money after its facts were locked: fees, exercise, the broker's own corrections.

import type { Trade } from "../../api/types";
import { dollars, parseDecimal, signOf } from "../../format/decimal";
import { withContracts } from "../../format/occ";
import { dayAndTime } from "../../format/time";

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? `${value}` : "");

export function Corrections({ trade }: { trade: Trade }) {
  const corrections = trade.corrections ?? [];
  if (corrections.length === 0) return null;
  const result = parseDecimal(trade.realized_pnl);
  return (
    <section data-section="corrections">
      <h3>Learned later</h3>
      <ul className="corrections">
        {corrections.map((correction) => {
          const amount = parseDecimal(text(correction.amount_usd));
          return (
            <li key={text(correction.id)}>
              <span>
                {withContracts(text(correction.text))}
                <span className="sub">{dayAndTime(text(correction.created_at))} ET</span>
              </span>
              <b className={signOf(amount)}>{dollars(amount, true)}</b>
            </li>
          );
        })}
      </ul>
      {result !== null && (
        <p className="muted">
          Included in the result of <b className={signOf(result)}>{dollars(result, true)}</b>.
        </p>
      )}
    </section>
  );
}
