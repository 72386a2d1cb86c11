// The live stream: one EventSource per signed-in page, opened again with a growing pause when the browser gives up on it.
//
// The browser itself resumes a broken stream with Last-Event-ID; a stream we open anew cannot, so its start reloads the lists.

import { alarmOf, pricesOf, TRADE_FACTS, tradeOf, tradeOfIncident } from "./facts";
import { learnKill } from "./kill";
import { heard, learn, learnPrices, reload, reloadAll } from "./positions";
import { keys, queryClient } from "./queries";
import { learnSignal } from "./signals";
import { createStore } from "./store";
import { learnProgress } from "./sync";
import { toast } from "./toasts";

export type StreamState = "connecting" | "live" | "lost";

export const streamState = createStore<StreamState>("connecting");

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15_000;

let source: EventSource | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
let pause = FIRST_PAUSE_MS;

function onTradeFact(event: MessageEvent<string>): void {
  const trade = tradeOf(event.data);
  if (trade) learn(trade);
  else void reload();
}

function onUnprotected(event: MessageEvent<string>): void {
  const trade = tradeOf(event.data);
  if (trade?.protection === "NAKED") toast(`${trade.ticker} is not protected: its stop or target is missing`, "bad");
}

/** One service tells its own banners only; the whole picture is the status, asked again. */
function onBanners(): void {
  heard();
  void queryClient.invalidateQueries({ queryKey: keys.status });
}

function onAlarm(event: MessageEvent<string>): void {
  const words = alarmOf(event.data);
  if (words) toast(words, "bad");
}

/** An alarm changes the bar, and the story of the trade it is about. */
function onIncident(event: MessageEvent<string>): void {
  void queryClient.invalidateQueries({ queryKey: keys.incidents });
  const trade = tradeOfIncident(event.data);
  if (trade) void queryClient.invalidateQueries({ queryKey: keys.trade(trade) });
}

function onSynced(text: string): void {
  heard();
  learnProgress(text);
  void queryClient.invalidateQueries({ queryKey: ["account"] });
}

function listen(stream: EventSource): void {
  const on = (name: string, listener: (event: MessageEvent<string>) => void) => stream.addEventListener(name, listener);
  for (const name of TRADE_FACTS) on(name, onTradeFact);
  on("trade_unprotected", onUnprotected);
  on("prices", (event) => learnPrices(pricesOf(event.data)));
  on("banner", onBanners);
  on("sync_progress", (event) => onSynced(event.data));
  on("incident_opened", onAlarm);
  on("incident_opened", onIncident);
  on("incident_ended", onIncident);
  on("resync", () => void reloadAll());
  on("settings_changed", () => void queryClient.invalidateQueries({ queryKey: keys.settings }));
  for (const name of ["signal_queued", "signal_accepted", "signal_rejected"])
    on(name, (event) => learnSignal(event.data));
  on("kill_switch_changed", (event) => learnKill(event.data));
}

export function openStream(): void {
  closeStream();
  streamState.set("connecting");
  let isNew = true;
  const stream = new EventSource("/api/stream");
  source = stream;
  listen(stream);
  stream.onopen = () => {
    pause = FIRST_PAUSE_MS;
    streamState.set("live");
    heard();
    if (isNew) void reloadAll();
    isNew = false;
  };
  stream.onerror = () => {
    streamState.set("lost");
    if (stream.readyState !== EventSource.CLOSED) return;
    timer = setTimeout(openStream, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  };
}

export function closeStream(): void {
  clearTimeout(timer);
  source?.close();
  source = null;
}
