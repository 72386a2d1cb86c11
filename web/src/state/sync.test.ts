import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { forgetPositions } from "./positions";
import { lastSyncedAt, learnProgress, startSync, sync } from "./sync";
import { toasts } from "./toasts";

vi.hoisted(() => vi.stubGlobal("location", { origin: "http://bookend.test" }));

const words = (): string[] => toasts.get().map((toast) => toast.text);
const tick = (step: string, account = "VA1") => learnProgress(JSON.stringify({ account_id: account, step, done: 1 }));

function serve(error: string | null = null): void {
  const line = { account_id: "VA1", broker_mode: "PAPER", synced_at: null, running: false, error };
  vi.stubGlobal(
    "fetch",
    vi.fn(async (call: Request) => {
      const path = new URL(call.url).pathname;
      if (path === "/api/sync") return Response.json({ accounts: ["VA1"] }, { status: 202 });
      if (path === "/api/sync/status") return Response.json({ accounts: [line] });
      return Response.json({ trades: [], next_cursor: null });
    }),
  );
}

beforeEach(() => {
  vi.useFakeTimers();
  toasts.set([]);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  forgetPositions();
  lastSyncedAt.set(null);
});

it("goes on until every account has told both steps, and says how far it is", async () => {
  serve();
  const running = startSync();
  await vi.advanceTimersByTimeAsync(10);
  expect(sync.get()).toEqual({ busy: true, done: 0, total: 2 });
  tick("orders");
  expect(sync.get()).toEqual({ busy: true, done: 1, total: 2 });
  expect(lastSyncedAt.get()).not.toBeNull();
  tick("orders", "VA9");
  expect(sync.get().done).toBe(1);
  tick("portfolio");
  await vi.advanceTimersByTimeAsync(1000);
  await running;
  expect(sync.get()).toEqual({ busy: false, done: 0, total: 0 });
  expect(words()).toEqual([]);
});

it("ends with the account's own words when the broker cannot be read", async () => {
  serve("the broker does not answer");
  const running = startSync();
  await vi.advanceTimersByTimeAsync(1100);
  await running;
  expect(sync.get().busy).toBe(false);
  expect(words()).toEqual(["Account VA1 could not be read: the broker does not answer"]);
});

it("does not wait for ever for ticks that never come", async () => {
  serve();
  const running = startSync();
  await vi.advanceTimersByTimeAsync(32_000);
  await running;
  expect(words()).toEqual(["The broker has not answered yet. What is shown may be old."]);
});

it("takes nothing from what is no tick", () => {
  learnProgress("not json");
  expect(lastSyncedAt.get()).toBeNull();
});
