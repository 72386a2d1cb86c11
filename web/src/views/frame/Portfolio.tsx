// The signed-in page: header, banners, tabs, the chosen view and the order ticket beside it.

import { useState, useSyncExternalStore } from "react";
import { loading, positions } from "../../state/positions";
import { useBanners, useFreshness, useIncidents, useListRetry, useSystemStatus } from "../../state/refresh";
import { useSettings, useSettingsChange } from "../../state/session";
import { useStore } from "../../state/store";
import { streamState } from "../../state/stream";
import { TradeHistory } from "../history/TradeHistory";
import { OpenPositions } from "../positions/OpenPositions";
import { Ticket } from "../ticket/Ticket";
import { Banners } from "./Banners";
import { Bar, type Tab } from "./Bar";
import { Header } from "./Header";
import { Incidents } from "./Incidents";

function subscribeToHash(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}

/** The tab lives in the address, so that reload and the back button keep it. */
function useTab(): [Tab, (tab: Tab) => void] {
  const hash = useSyncExternalStore(subscribeToHash, () => window.location.hash);
  return [
    hash === "#history" ? "history" : "open",
    (tab) => {
      window.location.hash = tab;
    },
  ];
}

export function Portfolio({ username }: { username: string }) {
  const [tab, setTab] = useTab();
  const [ticketOpen, setTicketOpen] = useState(false);
  const settings = useSettings();
  const change = useSettingsChange();
  const autoRefresh = settings.data?.auto_refresh ?? true;
  useFreshness(autoRefresh);
  useListRetry();
  const status = useSystemStatus(autoRefresh);
  const incidents = useIncidents();
  const stream = useStore(streamState);
  const { trades } = useStore(positions);
  const { loaded } = useStore(loading);
  const mode = settings.data?.broker_mode ?? null;
  return (
    <div className="shell" data-mode={mode ?? "PAPER"}>
      <Header
        username={username}
        mode={mode}
        market={status.data?.market ?? null}
        stream={stream}
        autoRefresh={autoRefresh}
        sounds={settings.data?.sounds ?? true}
        onSounds={(sounds) => change.mutate({ sounds })}
      />
      <Banners banners={useBanners(status)} market={status.data?.market ?? null} />
      <Incidents incidents={incidents.data ?? []} openTrades={new Set(trades.map((trade) => trade.id))} />
      <Bar
        tab={tab}
        openCount={loaded ? trades.length : null}
        feeds={status.data?.feeds ?? []}
        feedsAt={status.dataUpdatedAt}
        autoRefresh={autoRefresh}
        onAutoRefresh={(on) => change.mutate({ auto_refresh: on })}
        onTab={setTab}
        onNewTrade={() => setTicketOpen(true)}
      />
      <main className={ticketOpen ? "page with-ticket" : "page"}>
        <div id="portfolio" role="tabpanel" aria-labelledby={`tab-${tab}`}>
          {tab === "open" ? (
            <OpenPositions mode={mode} onNewTrade={() => setTicketOpen(true)} />
          ) : (
            <TradeHistory mode={mode} />
          )}
        </div>
        {ticketOpen && <Ticket settings={settings.data ?? null} onClose={() => setTicketOpen(false)} />}
      </main>
    </div>
  );
}
