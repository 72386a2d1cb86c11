// Open alarms across the page, the gravest first, each with its seconds; the loud ones are read out once.

import { useState } from "react";
import type { Incident } from "../../api/types";
import { byLoudness, isLoud, meaningOf } from "../../format/incident";
import { withContracts } from "../../format/occ";
import { showTrade } from "../../state/expanded";
import { Since } from "./Since";

const SHOWN = 3;
const TONE: Record<Incident["severity"], string> = {
  info: "info",
  warning: "warning",
  error: "error",
  critical: "error",
};

function Alarm({ incident, openTrades }: { incident: Incident; openTrades: ReadonlySet<string> }) {
  const { trade_id: tradeId } = incident;
  const meaning = meaningOf(incident);
  return (
    <li className={`banner alarm ${TONE[incident.severity]} ${incident.severity}`} data-incident={incident.kind}>
      <b className="severity">{incident.severity}</b>
      <span>
        {withContracts(incident.text)}
        {meaning && <span className="meaning">. {meaning}</span>}
      </span>
      <Since at={incident.opened_at} />
      {tradeId && openTrades.has(tradeId) && (
        <button type="button" className="button small" onClick={() => showTrade(tradeId)}>
          Show trade
        </button>
      )}
    </li>
  );
}

interface IncidentsProps {
  incidents: readonly Incident[];
  openTrades: ReadonlySet<string>;
}

export function Incidents({ incidents, openTrades }: IncidentsProps) {
  const [all, setAll] = useState(false);
  const sorted = byLoudness(incidents);
  const shown = all ? sorted : sorted.slice(0, SHOWN);
  const rest = sorted.length - SHOWN;
  return (
    <section aria-label="Alarms">
      <div className="visually-hidden" role="alert">
        {sorted.filter(isLoud).map((incident) => (
          <p key={incident.id}>{withContracts(incident.text)}</p>
        ))}
      </div>
      <ul className="banners">
        {shown.map((incident) => (
          <Alarm key={incident.id} incident={incident} openTrades={openTrades} />
        ))}
      </ul>
      {rest > 0 && (
        <button type="button" className="more-alarms" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Show the gravest only" : `${rest} more ${rest === 1 ? "alarm" : "alarms"}`}
        </button>
      )}
    </section>
  );
}
