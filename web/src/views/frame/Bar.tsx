// The second line: the tabs, how fresh the page is, and the way to a new trade.

import { type KeyboardEvent, useState } from "react";
import type { SystemStatus } from "../../api/types";
import { reloadAll } from "../../state/positions";
import type { View } from "../../state/route";
import { Synced, SyncNow } from "./SyncNow";
import { Toggle } from "./Toggle";

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

export type Tab = Exclude<View, "settings">;

interface BarProps {
  view: View;
  openCount: number | null;
  waitingCount: number;
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
  ["signals", "Signals"],
  ["history", "Trade History"],
];

/** The tab that takes the focus when tabbing through; the first while none is shown. */
const focusable = (view: View): Tab => (view === "settings" ? "open" : view);

/** The tab list, moved through with the arrow keys as the pattern asks. */
function Tabs({
  view,
  openCount,
  waitingCount,
  onTab,
}: Pick<BarProps, "view" | "openCount" | "waitingCount" | "onTab">) {
  function move(event: KeyboardEvent<HTMLDivElement>) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const step = event.key === "ArrowRight" ? 1 : -1;
    const at = TABS.findIndex(([name]) => name === focusable(view));
    const next = TABS[(at + step + TABS.length) % TABS.length]?.[0] ?? "open";
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
          aria-selected={name === view}
          aria-controls="portfolio"
          tabIndex={name === focusable(view) ? 0 : -1}
          onClick={() => onTab(name)}
        >
          {text} {name === "open" && openCount !== null && <span className="count">{openCount}</span>}
          {name === "signals" && waitingCount > 0 && (
            <span className="count waiting">
              {waitingCount}
              <span className="visually-hidden"> waiting for your approval</span>
            </span>
          )}
        </button>
      ))}
    </div>
  );
}

export function Bar(bar: BarProps) {
  const { view, openCount, waitingCount, feeds, feedsAt, autoRefresh, onAutoRefresh, onTab, onNewTrade } = bar;
  return (
    <div className="bar">
      <Tabs view={view} openCount={openCount} waitingCount={waitingCount} onTab={onTab} />
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
