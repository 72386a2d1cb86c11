// The second line: the tabs, how fresh the page is, and the way to a new trade.

import { type KeyboardEvent, useState } from "react";
import type { SystemStatus } from "../../api/types";
import { reloadAll } from "../../state/positions";
import { Synced, SyncNow } from "./SyncNow";
import { Toggle } from "./Toggle";

export type Tab = "open" | "history";

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
  /** When the feeds' ages were told, by this browser's clock. */
  feedsAt: number;
  autoRefresh: boolean;
  onAutoRefresh: (on: boolean) => void;
  onTab: (tab: Tab) => void;
  onNewTrade: () => void;
}

const TABS: readonly (readonly [Tab, string])[] = [
  ["open", "Open Positions"],
  ["history", "Trade History"],
];

/** The tab list, moved through with the arrow keys as the pattern asks. */
function Tabs({ tab, openCount, onTab }: Pick<BarProps, "tab" | "openCount" | "onTab">) {
  function move(event: KeyboardEvent<HTMLDivElement>) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const next = tab === "open" ? "history" : "open";
    onTab(next);
    document.getElementById(`tab-${next}`)?.focus();
  }
  return (
    <div className="tabs" role="tablist" aria-label="Portfolio" onKeyDown={move}>
      {TABS.map(([name, text]) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          className="tab"
          role="tab"
          aria-selected={name === tab}
          aria-controls="portfolio"
          tabIndex={name === tab ? 0 : -1}
          onClick={() => onTab(name)}
        >
          {text}
          {name === "open" && openCount !== null && <span className="count">{openCount}</span>}
        </button>
      ))}
    </div>
  );
}

export function Bar({ tab, openCount, feeds, feedsAt, autoRefresh, onAutoRefresh, onTab, onNewTrade }: BarProps) {
  return (
    <div className="bar">
      <Tabs tab={tab} openCount={openCount} onTab={onTab} />
      <span className="spring" />
      <Synced feeds={feeds} feedsAt={feedsAt} />
      <SyncNow />
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
