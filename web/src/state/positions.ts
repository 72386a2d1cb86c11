// The open positions of the page: one store that lists, facts, answers and ticks all go through, and what an ending says.

import { asProblem, type Problem } from "../api/problem";
import { listOpen } from "../api/trades";
import type { PriceTick, Trade } from "../api/types";
import { dollars, parseDecimal } from "../format/decimal";
import { strikeText } from "../format/trade";
import { play, soundOf } from "../sound/sounds";
import { applyList, applyPrices, applyTrade, EMPTY, type Ledger } from "./ledger";
import { keys, queryClient } from "./queries";
import { createStore } from "./store";
import { SYNC_ALERT, toast } from "./toasts";

export interface Loading {
  loaded: boolean;
  busy: boolean;
  problem: Problem | null;
}

const AT_REST: Loading = { loaded: false, busy: false, problem: null };
const FRESH_ENDING_MS = 120_000;
const STALE_REFRESH_MS = 1000;

export const positions = createStore<Ledger>(EMPTY);
export const loading = createStore<Loading>(AT_REST);
/** When the server last told us anything, by this browser's clock; null before the first word. */
export const heardAt = createStore<number | null>(null);

export const heard = (): void => heardAt.set(Date.now());

let running: Promise<void> | null = null;
let again = false;

/** Load the list of open trades; a call while one runs asks once more after it. */
export function reload(): Promise<void> {
  if (running) {
    again = true;
    return running;
  }
  running = loadOnce().finally(() => {
    running = null;
    if (again) {
      again = false;
      void reload();
    }
  });
  return running;
}

async function loadOnce(): Promise<void> {
  const askedAt = positions.get().beat;
  loading.set({ ...loading.get(), busy: true });
  try {
    const list = await listOpen();
    positions.set(applyList(positions.get(), list, askedAt));
    loading.set({ loaded: true, busy: false, problem: null });
    heard();
  } catch (error) {
    loading.set({ ...loading.get(), busy: false, problem: asProblem(error) });
  }
}

/** Reload lists, the details on screen and the system's state. */
export async function reloadAll(): Promise<void> {
  await Promise.all([
    reload(),
    queryClient.invalidateQueries({ queryKey: keys.history }),
    queryClient.invalidateQueries({ queryKey: keys.status }),
    queryClient.invalidateQueries({ queryKey: keys.incidents }),
    queryClient.invalidateQueries({ queryKey: ["trade"] }),
    queryClient.invalidateQueries({ queryKey: keys.accounts }),
    queryClient.invalidateQueries({ queryKey: keys.kill }),
    queryClient.invalidateQueries({ queryKey: ["signals"] }),
    queryClient.invalidateQueries({ queryKey: ["account"] }),
  ]);
}

/** Take in one trade from a fact or an answer and say what it means if it has just ended. */
export function learn(trade: Trade): void {
  const wasOver = positions.get().seen.get(trade.id)?.closed ?? false;
  const { ledger, changed } = applyTrade(positions.get(), trade);
  heard();
  if (!changed) return;
  positions.set(ledger);
  void queryClient.invalidateQueries({ queryKey: keys.trade(trade.id) });
  if (trade.status !== "CLOSED") return;
  void queryClient.invalidateQueries({ queryKey: keys.history });
  if (!wasOver && trade.close_date && Date.now() - Date.parse(trade.close_date) < FRESH_ENDING_MS) announce(trade);
}

export function learnPrices(ticks: readonly PriceTick[]): void {
  positions.set(applyPrices(positions.get(), ticks));
  heard();
}

function announce(trade: Trade): void {
  const name = `${trade.ticker} ${strikeText(trade.strike)} ${trade.option_type}`;
  const result = dollars(parseDecimal(trade.realized_pnl), true);
  play(soundOf(trade));
  if (trade.close_reason === "MANUAL_CLOSE") toast(`Closed ${trade.ticker}`, "plain");
  else if (trade.close_reason === "TP_HIT") toast(`${name} hit its target: ${result}`, "good");
  else if (trade.close_reason === "SL_HIT") toast(`${name} hit its stop: ${result}`, "bad");
  else if (trade.close_reason === "REJECTED") toast(`${name} was refused: ${trade.reason ?? "no reason given"}`, "bad");
  else if (trade.close_reason === "CANCELLED") toast(`${name} was cancelled`, "plain");
  else toast(`${name} is over${result ? `: ${result}` : ""}`, "plain");
}

/** Answer a stale version: say so in amber, and read the list again a second later. */
export function syncAlert(): void {
  toast(SYNC_ALERT, "amber");
  setTimeout(() => void reloadAll(), STALE_REFRESH_MS);
}

export function forgetPositions(): void {
  positions.set(EMPTY);
  loading.set(AT_REST);
  heardAt.set(null);
}
