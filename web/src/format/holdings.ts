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

type Json = Record<string, unknown>;
const OVER = new Set(["FILLED", "CANCELLED", "REJECTED", "EXPIRED"]);
const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? `${value}` : "");

/** Positions of which the server says that some are not ours; without its word none is shown.
 *
 *  1. What is missing of ours is no foreign position: alarms tell of it. A short that is all somebody else's is one.
 *  2. A position read before the contract's last fill says nothing yet: it may be the one that was just sold.
 */
export function foreignPositions(account: Account): ForeignPosition[] {
  return account.positions.flatMap((position) => {
    const told = text((position as Json).foreign_qty);
    const foreign = parseDecimal(told);
    if (foreign === null || foreign === 0n || isOlderThanItsFills(account, position)) return [];
    if (foreign < 0n && foreign !== parseDecimal(position.quantity)) return [];
    return [{ symbol: position.symbol, quantity: told, avgPrice: position.avg_price }];
  });
}

function isOlderThanItsFills(account: Account, position: Account["positions"][number]): boolean {
  const readAt = position.timestamp ?? account.synced_at;
  if (readAt === null) return false;
  return account.executions.some(
    (fill) => fill.symbol === position.symbol && Date.parse(fill.execution_time) > Date.parse(readAt),
  );
}

function orderOf(order: Json): BrokerOrder {
  return {
    id: text(order.broker_order_id),
    symbol: text(order.occ_symbol) || text(order.symbol),
    side: text(order.side),
    qty: text(order.qty),
    type: text(order.type),
    price: text(order.price) || text(order.stop) || null,
    status: text(order.status),
    isOver: OVER.has(text(order.status)),
  };
}

/** Orders of which the server says that they are not ours, those of the session that are over among them. */
export function foreignOrders(account: Account): BrokerOrder[] {
  return account.orders.filter((order) => order.is_ours === false).map(orderOf);
}
