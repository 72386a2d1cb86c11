import { expect, it } from "vitest";
import type { Account } from "../api/types";
import { foreignOrders, foreignPositions } from "./holdings";

const position = {
  account_id: "VA1",
  symbol: "SPY261218C00620000",
  quantity: "3",
  avg_price: "4.2",
  market_value: null,
  delta: null,
  gamma: null,
  theta: null,
  vega: null,
  iv: null,
  dte: 20,
  instrument_type: "option",
  greeks_source: null,
  timestamp: null,
};
const account = (positions: object[], orders: Account["orders"] = []): Account => ({
  status: null,
  positions: positions as Account["positions"],
  orders,
  executions: [],
  synced_at: null,
});

it("shows only what the server says is foreign, and never guesses", () => {
  expect(foreignPositions(account([position]))).toEqual([]);
  expect(foreignPositions(account([{ ...position, foreign_qty: "0" }]))).toEqual([]);
  expect(foreignPositions(account([{ ...position, foreign_qty: "1" }]))).toEqual([
    { symbol: position.symbol, quantity: "1", avgPrice: "4.2" },
  ]);
});

it("lists the working orders that are not ours", () => {
  const ours = { broker_order_id: "1", is_ours: true };
  const unlabelled = { broker_order_id: "2" };
  const foreign = { broker_order_id: "3", is_ours: false, occ_symbol: position.symbol, side: "sell_to_close", qty: 1 };
  expect(foreignOrders(account([], [ours, unlabelled, foreign])).map((order) => order.id)).toEqual(["3"]);
});
