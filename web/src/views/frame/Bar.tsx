// The second line: the tabs, how fresh the page is, and the way to a new trade.

import { useState } from "react";
import type { SystemStatus } from "../../api/types";
import { ageText, duration } from "../../format/time";
import { useNow } from "../../state/clock";
import { heardAt, reloadAll } from "../../state/positions";
import { useStore } from "../../state/store";
import { Toggle } from "./Toggle";

export type Tab = "open" | "history";
const STALE_S = 60;

function Synced({ feeds }: { feeds: SystemStatus["feeds"] }) {
  const now = useNow();
  const at = useStore(heardAt);
  if (at === null) return <span className="synced">Not synced yet</span>;
  const age = Math.max(0, Math.floor((now - at) / 1000));
  const told = feeds.map(
    (feed) => `${feed.name}: ${feed.age_s === null ? "nothing yet" : `${duration(Number(feed.age_s))} old`}`,
  );
  return (
    <span className={age > STALE_S ? "synced stale" : "synced"} title={told.join("\n")}>
      Synced {ageText(age)}
    </span>
  );
}

function RefreshButton() {
  const [busy, setBusy] = useState(false);
  const refresh = () => {
    setBusy(true);
    void reloadAll().finally(() => setBusy(false));
  };
  return (
    <button type="button" className="button small" disabled={busy} onClick={refresh}>
      {busy && <span className="spinner" aria-hidden="true" />}
      Refresh all
    </button>
  );
}

interface BarProps {
  tab: Tab;
  openCount: number | null;
  feeds: SystemStatus["feeds"];
  autoRefresh: boolean;
  onAutoRefresh: (on: boolean) => void;
  onTab: (tab: Tab) => void;
  onNewTrade: () => void;
}

export function Bar({ tab, openCount, feeds, autoRefresh, onAutoRefresh, onTab, onNewTrade }: BarProps) {
  return (
    <div className="bar">
      <div className="tabs" role="tablist" aria-label="Portfolio">
        <button type="button" className="tab" role="tab" aria-selected={tab === "open"} onClick={() => onTab("open")}>
          Open Positions
          {openCount !== null && <span className="count">{openCount}</span>}
        </button>
        <button
          type="button"
          className="tab"
          role="tab"
          aria-selected={tab === "history"}
          onClick={() => onTab("history")}
        >
          Trade History
        </button>
      </div>
      <span className="spring" />
      <Synced feeds={feeds} />
      <RefreshButton />
      <Toggle
        label="Auto-refresh"
        on={autoRefresh}
        title="Ask again every few seconds while the live stream is away"
        onChange={onAutoRefresh}
      />
      <button type="button" className="button primary new-trade" onClick={onNewTrade}>
        New trade
      </button>
    </div>
  );
}
