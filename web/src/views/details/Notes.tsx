// What a trader must know before anything else about this trade: what is unknown, missing, waiting, or taken over.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { getTrade } from "../../api/trades";
import type { Incident, Trade } from "../../api/types";
import { price } from "../../format/decimal";
import { withContracts } from "../../format/occ";
import { dayAndTime } from "../../format/time";
import { doubtOf, endedText, isUnknown } from "../../format/trade";
import { keys } from "../../state/queries";
import { QueuedNote, WithdrawButton } from "./QueuedNote";
import { ResolveDialog } from "./ResolveDialog";

function UnknownNote({ trade }: { trade: Trade }) {
  const [asking, setAsking] = useState(false);
  const doubt = doubtOf(trade);
  return (
    <div className="note with-action" data-note="unknown">
      <span>
        <b>The broker gave no clear answer.</b> An order of this trade may or may not be there. We are asking; nothing
        will be sent twice, and until it is settled the trade counts as fully exposed in your limits.
        <span className="sub">
          {doubt
            ? `It cannot be settled by asking: ${withContracts(doubt)}. Look at your broker's own list and say which order it is.`
            : "Most are settled by the broker's own lists within a minute. If you can see the order at your broker, you may name it."}
        </span>
      </span>
      <button type="button" className={doubt ? "button primary" : "button"} onClick={() => setAsking(true)}>
        Resolve…
      </button>
      {asking && <ResolveDialog trade={trade} onDone={() => setAsking(false)} />}
    </div>
  );
}

function RecoveredNote({ from }: { from: string }) {
  const before = useQuery({ queryKey: keys.trade(from), queryFn: () => getTrade(from) });
  const past = before.data
    ? `the trade that was over on ${dayAndTime(before.data.close_date)} (${endedText(before.data)})`
    : "an earlier trade";
  return (
    <p className="note" data-note="recovered">
      <b>Recovered.</b> A fill surfaced at the broker after {past}. It is kept as this trade of its own, with the stop
      and target you had asked for.
    </p>
  );
}

function waitsForABid(incidents: readonly Incident[]): boolean {
  return incidents.some((incident) => incident.kind === "no_bid" && !incident.ended_at);
}

function closingWords(trade: Trade, incidents: readonly Incident[]): string {
  if (waitsForABid(incidents)) {
    return "Nobody bids for this contract, so a market order would find no buyer. The sale rests at the least price and is renewed each session, until somebody bids, the contract's last trade, or you end it.";
  }
  const reason = trade.protection === "NONE" ? "" : "The exits are taken down first, and only then is it sold. ";
  return `This position is being closed. ${reason}If the sale fails, the rest is protected again.`;
}

interface NotesProps {
  trade: Trade;
  incidents: readonly Incident[];
}

export function Notes({ trade, incidents }: NotesProps) {
  return (
    <>
      {isUnknown(trade) && <UnknownNote trade={trade} />}
      {trade.protection === "NAKED" && (
        <p className="note bad" data-note="naked">
          <b>Not protected.</b> The {trade.filled_qty} held are not covered by every exit you asked for
          {trade.sl_price ? ` (stop ${price(trade.sl_price)})` : ""}. Bookend is putting the bracket back, or selling if
          it cannot. You need not wait: place the exits now, or close at market.
        </p>
      )}
      {trade.status === "CLOSING" && (
        <p className="note" data-note="closing">
          {closingWords(trade, incidents)} {waitsForABid(incidents) && <WithdrawButton trade={trade} small />}
        </p>
      )}
      {trade.queued_for_open && <QueuedNote trade={trade} />}
      {trade.recovered_from && <RecoveredNote from={trade.recovered_from} />}
      {trade.reason && trade.status !== "CLOSED" && <p className="note">{withContracts(trade.reason)}</p>}
    </>
  );
}
