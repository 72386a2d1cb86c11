import { describe, expect, it } from "vitest";
import { aSignal } from "../state/exampleSignal";
import { byUrgency, driftOf, entryText, orderOf, signalOf, signalText, timeLeft, withSignal } from "./signal";

describe("how far the price has gone", () => {
  it("is measured from what the bot saw to what the entry would cost now", () => {
    expect(driftOf(aSignal())).toEqual({ words: "+2.5 % since, at most 5 %", isTooFar: false });
    const dearer = aSignal({ quote: { bid: "4.10", ask: "4.21", mid: "4.15", age_s: 1 } });
    expect(driftOf(dearer)).toEqual({ words: "+5.3 % since, at most 5 %", isTooFar: true });
  });

  it("allows exactly the slippage that was named", () => {
    const edge = aSignal({ quote: { bid: "4.10", ask: "4.20", mid: "4.15", age_s: 1 } });
    expect(driftOf(edge)?.isTooFar).toBe(false);
  });

  it("takes a limit below the ask for the cost", () => {
    const limited = aSignal({ entry: { type: "limit", limit_price: "4.05" } });
    expect(driftOf(limited)?.words).toBe("+1.3 % since, at most 5 %");
    expect(entryText(limited)).toBe("Limit 4.05");
  });

  it("is not told without a quote or without what the bot saw", () => {
    expect(driftOf(aSignal({ quote: null }))).toBeNull();
    expect(driftOf(aSignal({ ref_price: null }))).toBeNull();
    expect(driftOf(aSignal({ max_slippage_pct: null }))).toEqual({ words: "+2.5 % since", isTooFar: false });
  });
});

it("counts down, warns in the last half minute and says when the time is over", () => {
  const at = (second: number) => Date.parse("2026-11-20T15:07:10Z") - second * 1000;
  expect(timeLeft(aSignal(), at(192))).toEqual({ words: "expires in 3 min 12 s", isLate: false, isOver: false });
  expect(timeLeft(aSignal(), at(18))).toEqual({ words: "expires in 18 s", isLate: true, isOver: false });
  expect(timeLeft(aSignal(), at(0))).toMatchObject({ isOver: true });
  expect(timeLeft(aSignal({ expires_at: null }), at(0))).toMatchObject({ isOver: false });
});

describe("the list of those that wait", () => {
  it("takes a new one, keeps a quote, and lets a decided one go", () => {
    const list = withSignal([], aSignal());
    const placing = withSignal(list, aSignal({ state: "placing", key_version: 2, quote: null }));
    expect(placing.map((one) => [one.state, one.quote?.ask])).toEqual([["placing", "4.10"]]);
    expect(withSignal(placing, aSignal({ state: "accepted", key_version: 3 }))).toEqual([]);
  });

  it("does not go back to an older word", () => {
    const list = [aSignal({ state: "placing", key_version: 2 })];
    expect(withSignal(list, aSignal({ key_version: 1 }))[0]?.state).toBe("placing");
  });

  it("puts the one that ends first at the top", () => {
    const late = aSignal({ id: "b", expires_at: "2026-11-20T15:03:00Z" });
    expect(byUrgency([aSignal(), aSignal({ id: "c", expires_at: null }), late]).map((one) => one.id)).toEqual([
      "b",
      "s-1",
      "c",
    ]);
  });
});

it("asks about the very order that the signal would become, in its own mode and account", () => {
  expect(orderOf(aSignal({ entry: { type: "limit", limit_price: "4.05" } }))).toEqual({
    account_id: "VA00000001",
    broker_mode: "PAPER",
    ticker: "AAPL",
    option_type: "CALL",
    strike: "230",
    expiry: "2026-12-18",
    qty: 2,
    entry: { type: "limit", limit_price: "4.05", duration: "day" },
    sl_price: "3.20",
    tp_price: "6.30",
  });
  expect(orderOf(aSignal({ strike: null }))).toBeNull();
});

it("names a signal by what could be read of it", () => {
  expect(signalText(aSignal())).toBe("AAPL 18 Dec 2026 230 CALL × 2");
  expect(signalText(aSignal({ ticker: null, expiry: null, strike: null, option_type: null, qty: null }))).toBe(
    "unreadable signal",
  );
});

it("takes only a whole signal from the stream", () => {
  const { quote: _quote, ...flat } = aSignal();
  expect(signalOf(JSON.stringify(flat))).toMatchObject({ id: "s-1", quote: null });
  expect(signalOf('{"id":"s-1"}')).toBeNull();
  expect(signalOf("[")).toBeNull();
});
