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
  filledQty: string;
  type: string;
  price: string | null;
  status: string;
}

type Json = Record<string, unknown>;
const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? `${value}` : "");

/** Positions of which the server says that some are not ours; without its word none is shown. */
export function foreignPositions(account: Account): ForeignPosition[] {
  return account.positions.flatMap((position) => {
    const foreign = text((position as Json).foreign_qty);
    const quantity = parseDecimal(foreign);
    if (quantity === null || quantity === 0n) return [];
    return [{ symbol: position.symbol, quantity: foreign, avgPrice: position.avg_price }];
  });
}

function orderOf(order: Json): BrokerOrder {
  return {
    id: text(order.broker_order_id),
    symbol: text(order.occ_symbol) || text(order.symbol),
    side: text(order.side),
    qty: text(order.qty),
    filledQty: text(order.filled_qty),
    type: text(order.type),
    price: text(order.price) || text(order.stop) || text(order.limit_price) || null,
    status: text(order.status),
  };
}

/** Working orders of which the server says that they are not ours. */
export function foreignOrders(account: Account): BrokerOrder[] {
  return account.orders.filter((order) => order.is_ours === false).map(orderOf);
}
