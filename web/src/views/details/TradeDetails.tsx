// What slides down under a row: the curve, the orders at the broker, the story, the facts of the entry, and the actions.

import { useQuery } from "@tanstack/react-query";
import { getCurve, getTimeline, getTrade, listIncidentsOf } from "../../api/trades";
import type { Trade } from "../../api/types";
import { keys } from "../../state/queries";
import { CloseButton } from "../positions/CloseButton";
import { AdjustForm } from "./AdjustForm";
import { Corrections } from "./Corrections";
import { EntryFacts } from "./EntryFacts";
import { Notes } from "./Notes";
import { OrdersTable } from "./OrdersTable";
import { PnlCurve } from "./PnlCurve";
import { Timeline } from "./Timeline";

const CURVE_EVERY_MS = 30_000;

/** The row's live figures over the detail's extra fields, unless the detail is the newer of the two. */
function merged(row: Trade, detail: Trade | undefined): Trade {
  if (!detail) return row;
  return detail.key_version > row.key_version ? { ...row, ...detail } : { ...detail, ...row };
}

function Actions({ trade }: { trade: Trade }) {
  if (trade.status === "CLOSED") return null;
  const isHeld = trade.status === "FILLED" || trade.status === "PARTIAL";
  return (
    <div className="details-actions">
      {isHeld && trade.protection !== "SETTLING" && (
        <AdjustForm key={`${trade.sl_price}/${trade.tp_price}`} trade={trade} />
      )}
      <span className="spring" />
      <CloseButton trade={trade} wide />
    </div>
  );
}

export function TradeDetails({ trade: row }: { trade: Trade }) {
  const key = keys.trade(row.id);
  const detail = useQuery({ queryKey: key, queryFn: () => getTrade(row.id) });
  const curve = useQuery({
    queryKey: [...key, "snapshots"],
    queryFn: () => getCurve(row.id),
    refetchInterval: row.status === "CLOSED" ? false : CURVE_EVERY_MS,
  });
  const timeline = useQuery({ queryKey: [...key, "timeline"], queryFn: () => getTimeline(row.id) });
  const found = useQuery({ queryKey: [...key, "incidents"], queryFn: () => listIncidentsOf(row.id) });
  const trade = merged(row, detail.data);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: only keeps the row from taking the click
    <section className="details" aria-label={`Details of ${trade.ticker}`} onClick={(event) => event.stopPropagation()}>
      <Notes trade={trade} incidents={found.data ?? []} />
      <div className="details-grid">
        <section>
          <h3>P&L since entry</h3>
          <PnlCurve points={curve.data} failed={curve.isError} />
        </section>
        <section>
          <h3>Orders at the broker</h3>
          <OrdersTable trade={trade} />
          <Corrections trade={trade} />
        </section>
        <section>
          <h3>At entry</h3>
          <EntryFacts trade={trade} />
        </section>
      </div>
      <section className="story">
        <Timeline events={timeline.data} incidents={found.data} failed={timeline.isError} />
      </section>
      <Actions trade={trade} />
    </section>
  );
}
