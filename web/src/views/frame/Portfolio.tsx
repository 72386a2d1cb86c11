// The signed-in page: the mode's band, header, banners, tabs, the chosen view and the order ticket beside it.

import { useEffect, useState } from "react";
import { isLive, titleOf } from "../../format/mode";
import { useKillSwitch } from "../../state/kill";
import { loading, positions } from "../../state/positions";
import { useBanners, useFreshness, useIncidents, useListRetry, useSystemStatus } from "../../state/refresh";
import { go, useRoute } from "../../state/route";
import { useSettings, useSettingsChange } from "../../state/session";
import { useWaiting } from "../../state/signals";
import { useStore } from "../../state/store";
import { streamState } from "../../state/stream";
import { TradeHistory } from "../history/TradeHistory";
import { OpenPositions } from "../positions/OpenPositions";
import { Band } from "../safety/Band";
import { KillPanel } from "../safety/KillPanel";
import { KillButton } from "../safety/KillSwitch";
import { SettingsView } from "../settings/SettingsView";
import { Signals } from "../signals/Signals";
import { Ticket } from "../ticket/Ticket";
import { Banners } from "./Banners";
import { Bar } from "./Bar";
import { Header } from "./Header";
import { Incidents } from "./Incidents";

const FRAME = "#0a0e13";
const RED = "#c92f3d";

/** Say the mode in the browser's tab, and colour a phone's frame in LIVE, as long as somebody is signed in. */
function useTitle(title: string, live: boolean): void {
  useEffect(() => {
    const frame = document.querySelector<HTMLMetaElement>('meta[name="theme-color"]');
    document.title = title;
    if (frame) frame.content = live ? RED : FRAME;
    return () => {
      document.title = "Bookend";
      if (frame) frame.content = FRAME;
    };
  }, [title, live]);
}

interface MainProps {
  settings: ReturnType<typeof useSettings>;
}

/** The chosen view, with the ticket beside it while one is being written. */
function Main({ settings }: MainProps) {
  const { view, section } = useRoute();
  const [ticketOpen, setTicketOpen] = useState(false);
  const mode = settings.data?.broker_mode ?? null;
  const openTicket = () => setTicketOpen(true);
  return (
    <>
      <TabBar settings={settings} onNewTrade={openTicket} />
      <main className={ticketOpen ? "page with-ticket" : "page"}>
        {view === "settings" ? (
          <SettingsView section={section} settings={settings} />
        ) : (
          <div id="portfolio" role="tabpanel" aria-labelledby={`tab-${view}`}>
            {view === "history" && <TradeHistory mode={mode} />}
            {view === "signals" && <Signals settings={settings.data ?? null} />}
            {view === "open" && <OpenPositions mode={mode} onNewTrade={openTicket} />}
          </div>
        )}
        {ticketOpen && <Ticket settings={settings.data ?? null} onClose={() => setTicketOpen(false)} />}
      </main>
    </>
  );
}

function TabBar({ settings, onNewTrade }: MainProps & { onNewTrade: () => void }) {
  const { view } = useRoute();
  const change = useSettingsChange();
  const autoRefresh = settings.data?.auto_refresh ?? true;
  const status = useSystemStatus(autoRefresh);
  const { trades } = useStore(positions);
  const { loaded } = useStore(loading);
  const waiting = useWaiting();
  return (
    <Bar
      view={view}
      openCount={loaded ? trades.length : null}
      waitingCount={waiting.data?.length ?? 0}
      feeds={status.data?.feeds ?? []}
      feedsAt={status.dataUpdatedAt}
      autoRefresh={autoRefresh}
      onAutoRefresh={(on) => change.mutate({ auto_refresh: on })}
      onTab={go}
      onNewTrade={onNewTrade}
    />
  );
}

export function Portfolio({ username }: { username: string }) {
  const { view } = useRoute();
  const settings = useSettings();
  const change = useSettingsChange();
  const autoRefresh = settings.data?.auto_refresh ?? true;
  useFreshness(autoRefresh);
  useListRetry();
  const status = useSystemStatus(autoRefresh);
  const incidents = useIncidents();
  const stream = useStore(streamState);
  const { trades } = useStore(positions);
  const mode = settings.data?.broker_mode ?? null;
  const kill = useKillSwitch();
  const waiting = useWaiting();
  useTitle(titleOf(mode, waiting.data?.length ?? 0, kill.data?.engaged ?? false), isLive(mode));
  return (
    <div className="shell" data-mode={mode ?? undefined} data-view={view} data-killed={kill.data?.engaged || undefined}>
      <Band settings={settings.data ?? null} trades={trades}>
        <KillButton trades={trades} />
      </Band>
      <Header
        username={username}
        market={status.data?.market ?? null}
        stream={stream}
        autoRefresh={autoRefresh}
        sounds={settings.data?.sounds ?? true}
        onSounds={(sounds) => change.mutate({ sounds })}
      />
      <KillPanel />
      <Banners banners={useBanners(status)} market={status.data?.market ?? null} />
      <Incidents incidents={incidents.data ?? []} openTrades={new Set(trades.map((trade) => trade.id))} />
      <Main settings={settings} />
    </div>
  );
}
