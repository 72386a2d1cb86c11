import { describe, expect, it } from "vitest";
import { aTrade } from "./example";
import { applyList, applyPrices, applyTrade, EMPTY, type Ledger } from "./ledger";

const holding = (...trades: ReturnType<typeof aTrade>[]): Ledger => applyList(EMPTY, trades, 0);
const ids = (ledger: Ledger): string[] => ledger.trades.map((trade) => trade.id);

describe("facts", () => {
  it("apply only with a higher key_version", () => {
    const start = holding(aTrade({ key_version: 5, status: "FILLED" }));
    const same = applyTrade(start, aTrade({ key_version: 5, status: "OPEN" }));
    expect(same.changed).toBe(false);
    expect(same.ledger.trades[0]?.status).toBe("FILLED");
    const newer = applyTrade(start, aTrade({ key_version: 6, status: "CLOSING" }));
    expect(newer.ledger.trades[0]?.status).toBe("CLOSING");
  });

  it("put a new trade on top and take a closed one away", () => {
    const start = holding(aTrade({ id: "a" }));
    const two = applyTrade(start, aTrade({ id: "b", key_version: 1 })).ledger;
    expect(ids(two)).toEqual(["b", "a"]);
    expect(ids(applyTrade(two, aTrade({ id: "a", key_version: 9, status: "CLOSED" })).ledger)).toEqual(["b"]);
  });

  it("keep the newer mark when a fact carries an older one", () => {
    const start = holding(aTrade({ last_updated: "2026-11-20T15:06:00Z", current_price: "5.00" }));
    const fact = aTrade({
      key_version: 6,
      last_updated: "2026-11-20T15:01:00Z",
      current_price: "4.00",
      sl_price: "4.10",
    });
    expect(applyTrade(start, fact).ledger.trades[0]).toMatchObject({ current_price: "5.00", sl_price: "4.10" });
  });
});

describe("lists", () => {
  it("never bring a closed trade back", () => {
    const closed = applyTrade(holding(aTrade({ key_version: 5 })), aTrade({ key_version: 6, status: "CLOSED" })).ledger;
    expect(ids(applyList(closed, [aTrade({ key_version: 5 })], closed.beat))).toEqual([]);
  });

  it("do not undo a fact that arrived while they were on their way", () => {
    const start = holding(aTrade({ id: "a", key_version: 5 }));
    const askedAt = start.beat;
    const during = applyTrade(
      applyTrade(start, aTrade({ id: "a", key_version: 7, sl_price: "4.00" })).ledger,
      aTrade({ id: "new" }),
    );
    const after = applyList(during.ledger, [aTrade({ id: "a", key_version: 5, sl_price: "3.20" })], askedAt);
    expect(ids(after)).toEqual(["new", "a"]);
    expect(after.trades.find((trade) => trade.id === "a")?.sl_price).toBe("4.00");
  });

  it("drop a trade that ended while nobody told us", () => {
    const start = holding(aTrade({ id: "a" }), aTrade({ id: "b" }));
    expect(ids(applyList(start, [aTrade({ id: "b" })], start.beat))).toEqual(["b"]);
  });
});

describe("prices", () => {
  const tick = {
    trade_id: "t-1",
    current_price: "4.90",
    unrealized_pnl: "70.00",
    price_source: "orats",
    max_gain: null,
    max_drawdown: null,
  };

  it("newest wins", () => {
    const start = holding(aTrade({ last_updated: "2026-11-20T15:05:00Z" }));
    const newer = applyPrices(start, [{ ...tick, last_updated: "2026-11-20T15:05:40Z" }]);
    expect(newer.trades[0]).toMatchObject({ current_price: "4.90", unrealized_pnl: "70.00", id: "t-1" });
    expect(applyPrices(newer, [{ ...tick, current_price: "1.00", last_updated: "2026-11-20T15:05:10Z" }])).toBe(newer);
  });

  it("leave the rows they do not name as they are", () => {
    const start = holding(aTrade({ id: "t-1" }), aTrade({ id: "t-2" }));
    const after = applyPrices(start, [{ ...tick, last_updated: "2026-11-20T15:05:40Z" }]);
    expect(after.trades[1]).toBe(start.trades[1]);
  });
});
