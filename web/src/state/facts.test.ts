import { expect, it } from "vitest";
import { aTrade } from "./example";
import { alarmOf, pricesOf, tradeOf } from "./facts";

it("reads a trade under either name of its id", () => {
  const { id, ...rest } = aTrade({ id: "t-9" });
  expect(tradeOf(JSON.stringify({ ...rest, trade_id: id }))?.id).toBe("t-9");
  expect(tradeOf(JSON.stringify({ ...rest, id, trade_id: id }))).not.toHaveProperty("trade_id");
});

it("does not take half a trade for a trade", () => {
  const { orders: _orders, ...half } = aTrade();
  expect(tradeOf(JSON.stringify(half))).toBeNull();
  expect(tradeOf(JSON.stringify({ ...aTrade(), key_version: undefined }))).toBeNull();
  expect(tradeOf("not json")).toBeNull();
  expect(tradeOf("[]")).toBeNull();
});

it("reads ticks, and nothing from what is not one", () => {
  expect(pricesOf('{"prices":[{"trade_id":"a"}]}')).toHaveLength(1);
  expect(pricesOf("{}")).toEqual([]);
});

it("speaks up for critical incidents only", () => {
  expect(alarmOf('{"severity":"critical","text":"short 1 AAPL"}')).toBe("short 1 AAPL");
  expect(alarmOf('{"severity":"error","text":"no answer"}')).toBeNull();
});
