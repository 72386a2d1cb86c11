import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { aTrade } from "./example";
import { forgetPositions, learn, loading, positions, reload, syncAlert } from "./positions";
import { SYNC_ALERT, toasts } from "./toasts";

// The client takes its address from the page when it is made, which is when it is imported.
vi.hoisted(() => vi.stubGlobal("location", { origin: "http://bookend.test" }));

const played: string[] = [];
const words = (): string[] => toasts.get().map((toast) => toast.text);
const ended = (changes: Parameters<typeof aTrade>[0]) =>
  aTrade({ status: "CLOSED", key_version: 9, close_date: new Date().toISOString(), ...changes });

function serveList(...lists: ReturnType<typeof aTrade>[][]): ReturnType<typeof vi.fn> {
  const serve = vi.fn(async () => Response.json({ trades: lists.shift() ?? [], next_cursor: null }));
  vi.stubGlobal("fetch", serve);
  return serve;
}

beforeEach(() => {
  vi.useFakeTimers();
  played.length = 0;
  vi.stubGlobal(
    "Audio",
    class {
      constructor(address: string) {
        played.push(address);
      }
      play = () => Promise.resolve();
    },
  );
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  toasts.set([]);
  forgetPositions();
});

describe("an ending", () => {
  it("is told once, in the agreed words, with its sound", () => {
    const closed = ended({ close_reason: "MANUAL_CLOSE", realized_pnl: "20.00" });
    learn(closed);
    learn(closed);
    expect(words()).toEqual(["Closed AAPL"]);
    expect(played).toEqual(["/sounds/pop.wav"]);
  });

  it("is not told again when something of the ended trade is learned later", () => {
    learn(ended({ close_reason: "TP_HIT", realized_pnl: "210.00" }));
    learn(ended({ close_reason: "TP_HIT", realized_pnl: "209.30", key_version: 10 }));
    expect(words()).toEqual(["AAPL 230 CALL hit its target: +$210.00"]);
    expect(played).toEqual(["/sounds/cash_register.wav"]);
  });

  it("by target and by stop names the result", () => {
    learn(ended({ id: "a", close_reason: "TP_HIT", realized_pnl: "210.00" }));
    learn(ended({ id: "b", close_reason: "SL_HIT", realized_pnl: "-100.00" }));
    expect(words()).toEqual(["AAPL 230 CALL hit its target: +$210.00", "AAPL 230 CALL hit its stop: −$100.00"]);
    expect(played).toEqual(["/sounds/cash_register.wav", "/sounds/downer.wav"]);
  });

  it("long ago makes no noise when its fact is replayed", () => {
    learn(ended({ close_reason: "TP_HIT", realized_pnl: "210.00", close_date: "2026-01-02T15:00:00Z" }));
    expect(words()).toEqual([]);
    expect(played).toEqual([]);
  });
});

describe("a stale version", () => {
  it("is one amber toast, and the list is read again a second later", async () => {
    const serve = serveList([aTrade({ sl_price: "4.00" })]);
    syncAlert();
    expect(toasts.get()).toMatchObject([{ tone: "amber", text: SYNC_ALERT }]);
    await vi.advanceTimersByTimeAsync(999);
    expect(serve).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(2);
    expect(serve).toHaveBeenCalledOnce();
    expect(positions.get().trades[0]?.sl_price).toBe("4.00");
  });
});

describe("loading", () => {
  it("keeps what is shown when the list cannot be read", async () => {
    serveList([aTrade()]);
    await reload();
    vi.stubGlobal("fetch", async () =>
      Response.json({ code: "upstream_unavailable", detail: "database away" }, { status: 503 }),
    );
    await reload();
    expect(positions.get().trades).toHaveLength(1);
    expect(loading.get()).toMatchObject({ loaded: true, problem: { status: 503 } });
  });

  it("asks once more when it was asked for while running", async () => {
    const serve = serveList([], [aTrade()]);
    const first = reload();
    void reload();
    void reload();
    await first;
    await vi.runAllTimersAsync();
    expect(serve).toHaveBeenCalledTimes(2);
    expect(positions.get().trades).toHaveLength(1);
  });
});
