import { describe, expect, it } from "vitest";
import type { ChainOption } from "../api/types";
import { dollars, parseDecimal } from "../format/decimal";
import { bodyOf, type Draft, EMPTY_DRAFT, exitAt, nearestStrike, problemsOf, reckon, rewardToRisk } from "./draft";

const quote: ChainOption = {
  occ_symbol: "AAPL261218C00230000",
  option_type: "CALL",
  strike: "230",
  bid: "4.15",
  ask: "4.25",
  mid: "4.20",
  delta: "0.46",
  gamma: null,
  theta: null,
  vega: null,
  iv: "0.31",
  volume: 10,
  open_interest: 100,
};
const draft = (changes: Partial<Draft> = {}): Draft => ({
  ...EMPTY_DRAFT,
  ticker: "AAPL",
  expiry: "2026-12-18",
  strike: "230",
  qty: "2",
  stop: "3.20",
  target: "6.30",
  ...changes,
});

describe("a draft's problems", () => {
  it("are none for a complete draft, exits or not", () => {
    expect(problemsOf(draft(), quote)).toEqual({});
    expect(problemsOf(draft({ stop: "", target: "" }), quote)).toEqual({});
  });

  it("name the price that was found", () => {
    expect(problemsOf(draft({ stop: "4.25" }), quote).stop).toBe("Must be below the entry 4.25.");
    expect(problemsOf(draft({ stop: "4.20" }), quote).stop).toBe("Must be below the bid 4.15.");
    expect(problemsOf(draft({ target: "4.25" }), quote).target).toBe("Must be above the entry 4.25.");
  });

  it("measure exits against the limit when there is one", () => {
    const limited = draft({ entry: "limit", limit: "3.00", stop: "3.20" });
    expect(problemsOf(limited, quote).stop).toBe("Must be below the entry 3.00.");
    expect(problemsOf(draft({ entry: "limit", limit: "0" }), quote).limit).toBeDefined();
  });

  it("refuse quantities that are not whole contracts", () => {
    for (const qty of ["0", "", "1.5", "-1", "1e2", "two"]) expect(problemsOf(draft({ qty }), quote).qty).toBeDefined();
  });

  it("refuse a market order nobody offers, and a missing contract", () => {
    expect(problemsOf(draft(), { ...quote, ask: "0" }).strike).toBe("Nobody offers this contract now.");
    expect(problemsOf(draft(), undefined).strike).toBe("Choose a strike.");
  });
});

describe("the review", () => {
  it("reckons cost, loss and gain exactly", () => {
    const sum = reckon(draft(), quote);
    expect(sum && [dollars(sum.cost), dollars(sum.lossAtStop, true), dollars(sum.gainAtTarget, true)]).toEqual([
      "$850.00",
      "−$210.00",
      "+$410.00",
    ]);
    expect(sum && rewardToRisk(sum)).toBe("1.95 : 1");
  });

  it("has no ratio without both exits", () => {
    const sum = reckon(draft({ stop: "" }), quote);
    expect(sum && rewardToRisk(sum)).toBe("");
  });
});

it("sends only what was asked for", () => {
  expect(bodyOf(draft({ stop: "" }), "PAPER", "VA00000001")).toEqual({
    broker_mode: "PAPER",
    account_id: "VA00000001",
    ticker: "AAPL",
    option_type: "CALL",
    strike: "230",
    expiry: "2026-12-18",
    qty: 2,
    entry: { type: "market", duration: "day" },
    tp_price: "6.30",
  });
  expect(bodyOf(draft({ entry: "limit", limit: "4.1" }), "PAPER", null).entry).toEqual({
    type: "limit",
    limit_price: "4.10",
    duration: "day",
  });
});

it("starts at the strike nearest the underlying", () => {
  const strikes = ["220", "230", "240"].map((strike) => ({ ...quote, strike }));
  expect(nearestStrike(strikes, "228.41")).toBe("230");
  expect(nearestStrike(strikes, null)).toBe("230");
  expect(nearestStrike([], "228.41")).toBe("");
});

it("offers exits on the tick, never at nothing", () => {
  const entry = parseDecimal("4.25") ?? 0n;
  expect([exitAt(entry, -30), exitAt(entry, 50)]).toEqual(["3.00", "6.40"]);
  expect(exitAt(parseDecimal("0.06") ?? 0n, -50)).toBe("0.05");
});
