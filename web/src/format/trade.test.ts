import { describe, expect, it } from "vitest";
import { aTrade } from "../state/example";
import { dollars } from "./decimal";
import {
  badgeOf,
  bareSeconds,
  doubtOf,
  endedText,
  isUnknown,
  shieldOf,
  strikeText,
  totalsOf,
  trackOf,
  waitText,
} from "./trade";

const order = { role: "ENTRY", tag: "bk-1", broker_order_id: null, qty: 1, filled_qty: 0, avg_price: null } as const;

describe("badges", () => {
  it("calls a working entry Pending and a held trade Open", () => {
    expect(badgeOf(aTrade({ status: "OPEN" }))).toEqual({ kind: "pending", label: "Pending" });
    expect(badgeOf(aTrade({ status: "FILLED" }))).toEqual({ kind: "open", label: "Open" });
  });

  it("calls an ended trade by its result", () => {
    const ended = { status: "CLOSED", close_reason: "TP_HIT" } as const;
    expect(badgeOf(aTrade({ ...ended, realized_pnl: "210.00" })).kind).toBe("win");
    expect(badgeOf(aTrade({ ...ended, close_reason: "SL_HIT", realized_pnl: "-1.00" })).kind).toBe("loss");
    expect(badgeOf(aTrade({ ...ended, close_reason: "EXPIRED_OTM", realized_pnl: "-420.00" })).label).toBe("Expired");
  });

  it("does not call a trade that never filled a loss", () => {
    const refused = aTrade({ status: "CLOSED", close_reason: "REJECTED", filled_qty: 0, reason: "no buying power" });
    expect(badgeOf(refused)).toEqual({ kind: "expired", label: "Refused" });
    expect(endedText(refused)).toBe("Refused: no buying power");
  });
});

describe("protection", () => {
  it("names only the exits that were asked for", () => {
    expect(shieldOf(aTrade({ protection: "PROTECTED" })).text).toBe("Stop and target resting");
    expect(shieldOf(aTrade({ protection: "PROTECTED", tp_price: null })).text).toBe("Stop resting");
  });

  it("shouts when a position is naked and says for how long", () => {
    const naked = aTrade({ protection: "NAKED", naked_s: "40", naked_since: "2026-11-20T15:00:00Z" });
    expect(shieldOf(naked)).toEqual({ kind: "naked", text: "NOT PROTECTED" });
    expect(bareSeconds(naked, Date.parse("2026-11-20T15:00:12.400Z"))).toBe(12);
    expect(bareSeconds({ ...naked, naked_since: null }, 0)).toBe(40);
  });

  it("counts the seconds while a bracket is placed only once they are worth saying", () => {
    const placing = aTrade({ protection: "PENDING", naked_since: "2026-11-20T15:00:00Z" });
    expect(bareSeconds(placing, Date.parse("2026-11-20T15:00:01Z"))).toBeNull();
    expect(bareSeconds(placing, Date.parse("2026-11-20T15:00:03Z"))).toBe(3);
    expect(bareSeconds(aTrade(), 0)).toBeNull();
  });

  it("says an unanswered write before anything else", () => {
    const unknown = aTrade({ protection: "PROTECTED", orders: [{ ...order, status: "UNKNOWN" }] });
    expect(isUnknown(unknown)).toBe(true);
    expect(shieldOf(unknown).text).toBe("Asking the broker");
    expect(badgeOf(unknown)).toEqual({ kind: "pending", label: "Unknown" });
    expect(waitText(unknown)).toContain("fully exposed");
  });

  it("tells why asking cannot settle an order, of the unknown one only", () => {
    const settled = { ...order, status: "FILLED", doubt: "old" } as const;
    const open = { ...order, status: "UNKNOWN", doubt: "sent before midnight" } as const;
    expect(doubtOf(aTrade({ orders: [settled, open] }))).toBe("sent before midnight");
    expect(doubtOf(aTrade({ orders: [settled] }))).toBeNull();
  });

  it("says what a trade waits for", () => {
    expect(waitText(aTrade({ status: "OPEN", limit_price: "4.1" }))).toBe("limit 4.10");
    expect(waitText(aTrade({ queued_for_open: true }))).toBe("your change runs at the open");
    expect(waitText(aTrade())).toBe("");
  });
});

describe("track", () => {
  it("places entry and price between stop and target", () => {
    const track = trackOf(aTrade({ sl_price: "3.00", tp_price: "7.00", entry_price: "4.00", current_price: "5.00" }));
    expect(track).toMatchObject({ entry: 25, now: 50, stopAway: "−40.0 %", targetAway: "+40.0 %" });
  });

  it("draws nothing for a trade without exits", () => {
    expect(trackOf(aTrade({ sl_price: null, tp_price: null }))).toBeNull();
  });
});

describe("track of a trade that has not filled", () => {
  it("shows where the exits will be, and no entry", () => {
    const track = trackOf(aTrade({ entry_price: null, current_price: null }));
    expect(track).toMatchObject({ entry: null, now: null, stopAway: "", hasStop: true, hasTarget: true });
  });
});

describe("totals", () => {
  it("counts the whole premium where there is no stop, and leaves unfilled trades out", () => {
    const trades = [
      aTrade({ entry_price: "4.00", sl_price: "3.00", filled_qty: 2, unrealized_pnl: "50.00" }),
      aTrade({ entry_price: "2.00", sl_price: null, filled_qty: 1, protection: "NONE", unrealized_pnl: "-10.00" }),
      aTrade({ status: "OPEN", filled_qty: 0, entry_price: null }),
    ];
    const totals = totalsOf(trades);
    expect(dollars(totals.atStops)).toBe("−$400.00");
    expect(dollars(totals.openPnl, true)).toBe("+$40.00");
    expect(totals).toMatchObject({ held: 2, guarded: 1, wanted: 1, withoutStop: 1 });
  });

  it("counts the whole premium of a position whose stop does not rest", () => {
    const totals = totalsOf([aTrade({ entry_price: "4.00", sl_price: "3.00", protection: "NAKED" })]);
    expect(dollars(totals.atStops)).toBe("−$400.00");
    expect(totals.withoutStop).toBe(1);
  });
});

it("drops a strike's empty places only", () => {
  expect([strikeText("230.000"), strikeText("230"), strikeText("227.50")]).toEqual(["230", "230", "227.5"]);
});
