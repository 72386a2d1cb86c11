// Sync now: one reading of every account at the broker, followed by its ticks and, where the stream is away, by asking.

import { getSyncStatus, syncNow } from "../api/account";
import { asProblem } from "../api/problem";
import { reloadAll } from "./positions";
import { createStore } from "./store";
import { toast } from "./toasts";

const STEPS = ["orders", "portfolio"] as const;
const ASK_EVERY_MS = 1000;
const PATIENCE_MS = 30_000;

export interface Sync {
  busy: boolean;
  /** Steps done and to be done over all accounts. */
  done: number;
  total: number;
}

const AT_REST: Sync = { busy: false, done: 0, total: 0 };

export const sync = createStore<Sync>(AT_REST);
/** When a sync last ended well, by this browser's clock. */
export const lastSyncedAt = createStore<number | null>(null);

let waiting = new Set<string>();

/** Take in what a tick says: one step of one account is done. */
export function learnProgress(text: string): void {
  let tick: { account_id?: unknown; step?: unknown };
  try {
    tick = JSON.parse(text) as typeof tick;
  } catch {
    return;
  }
  if (tick.step === "orders") lastSyncedAt.set(Date.now());
  if (!waiting.delete(`${tick.account_id} ${tick.step}`)) return;
  const { busy, total } = sync.get();
  sync.set({ busy, total, done: total - waiting.size });
}

/** Read all accounts at the broker now. Raises nothing: what went wrong becomes a message. */
export async function startSync(): Promise<void> {
  if (sync.get().busy) return;
  const begun = Date.now();
  sync.set({ busy: true, done: 0, total: 0 });
  try {
    const accounts = await syncNow();
    waiting = new Set(accounts.flatMap((account) => STEPS.map((step) => `${account} ${step}`)));
    sync.set({ busy: true, done: 0, total: waiting.size });
    await settled(begun);
    await reloadAll();
  } catch (error) {
    toast(`Not synced. ${asProblem(error).message}`, "bad");
  } finally {
    waiting.clear();
    sync.set(AT_REST);
  }
}

async function settled(begun: number): Promise<void> {
  while (waiting.size > 0) {
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    if (waiting.size === 0) return;
    const lines = await getSyncStatus();
    const failed = lines.find((line) => line.error !== null);
    if (failed) {
      toast(`Account ${failed.account_id} could not be read: ${failed.error}`, "bad");
      return;
    }
    if (Date.now() - begun > PATIENCE_MS) {
      toast("The broker has not answered yet. What is shown may be old.", "amber");
      return;
    }
  }
}
