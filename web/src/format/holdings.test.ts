import { expect, it } from "vitest";
import type { Account } from "../api/types";
import { foreignOrders, foreignPositions } from "./holdings";

const AT = "2026-11-20T15:00:00Z";
const SPY = "SPY261218C00620000";
const position = { symbol: SPY, quantity: "3", avg_price: "4.2", timestamp: AT };
const fill = { symbol: SPY, execution_time: "2026-11-20T15:00:01Z" };
const account = (positions: object[], orders: object[] = [], executions: object[] = []): Account =>
  ({ status: null, positions, orders, executions, synced_at: AT }) as unknown as Account;
const foreignIn = (...changes: object[]) =>
  foreignPositions(account(changes.map((change) => ({ ...position, ...change })))).map((found) => found.quantity);

it("shows only what the server says is foreign", () => {
  expect(foreignIn({ foreign_qty: "0" }, { foreign_qty: "1" })).toEqual(["1"]);
});

it("shows a short that is somebody else's, and no shortfall of ours", () => {
  expect(foreignIn({ quantity: "-2", foreign_qty: "-2" }, { quantity: "1", foreign_qty: "-1" })).toEqual(["-2"]);
});

it("says nothing of a position that was read before the contract's last fill", () => {
  const foreign = { ...position, foreign_qty: "3" };
  expect(foreignPositions(account([foreign], [], [fill]))).toEqual([]);
  expect(foreignPositions(account([foreign], [], [{ ...fill, execution_time: AT }]))).toHaveLength(1);
});

it("lists the orders that are not ours, and which of them are over", () => {
  const ours = { broker_order_id: "1", is_ours: true, status: "WORKING" };
  const working = { broker_order_id: "3", is_ours: false, occ_symbol: SPY, status: "open" };
  const over = { ...working, broker_order_id: "4", status: "canceled" };
  const found = foreignOrders(account([], [ours, working, over]));
  expect(found.map((order) => [order.id, order.status, order.isOver])).toEqual([
    ["3", "working", false],
    ["4", "canceled", true],
  ]);
});
