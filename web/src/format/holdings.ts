// What an account holds and has working beside our trades, read from the cached account without guessing.

import type { Account } from "../api/types";
import { parseDecimal } from "./decimal";

/** A position, or the part of one, that Bookend did not open. */
export interface ForeignPosition {
  symbol: string;
  quantity: string;
  avgPrice: string | null;
}

/** An order at the broker as the account's cache tells it. */
export interface BrokerOrder {
  id: string;
  symbol: string;
  side: string;
  qty: string;
  type: string;
  price: string | null;
  status: string;
  /** Whether it can no longer execute. */
  isOver: boolean;
}

/** The broker's own words, which are not those of our orders. */
const OVER = new Set(["filled", "canceled", "cancelled", "rejected", "expired", "error"]);

/** Positions of which the server says that some are not ours.
 *
 *  1. What is missing of ours is no foreign position: alarms tell of it. A short that is all somebody else's is one.
 *  2. A position read before the contract's last fill says nothing yet: it may be the one that was just sold.
 */
export function foreignPositions(account: Account): ForeignPosition[] {
  return account.positions.flatMap((position) => {
    const foreign = parseDecimal(position.foreign_qty);
    if (foreign === null || foreign === 0n || isOlderThanItsFills(account, position)) return [];
    if (foreign < 0n && foreign !== parseDecimal(position.quantity)) return [];
    return [{ symbol: position.symbol, quantity: position.foreign_qty, avgPrice: position.avg_price }];
  });
}

function isOlderThanItsFills(account: Account, position: Account["positions"][number]): boolean {
  const readAt = position.timestamp ?? account.synced_at;
  if (readAt === null) return false;
  return account.executions.some(
    (fill) => fill.symbol === position.symbol && Date.parse(fill.execution_time) > Date.parse(readAt),
  );
}

function orderOf(order: Account["orders"][number]): BrokerOrder {
  return {
    id: order.broker_order_id ?? "",
    symbol: order.occ_symbol ?? order.symbol ?? "",
    side: order.side ?? "",
    qty: `${order.qty}`,
    type: order.type ?? "",
    price: order.price ?? order.stop ?? null,
    status: order.status === "open" ? "working" : order.status.replaceAll("_", " "),
    isOver: OVER.has(order.status.toLowerCase()),
  };
}

/** Orders of which the server says that they are not ours, those of the session that are over among them. */
export function foreignOrders(account: Account): BrokerOrder[] {
  return account.orders.filter((order) => !order.is_ours).map(orderOf);
}
