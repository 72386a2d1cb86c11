// What lies in the accounts that Bookend did not place: shown so that nobody is surprised, never with anything to press.

import { useQueries, useQuery } from "@tanstack/react-query";
import { getAccount, listAccounts } from "../../api/account";
import type { Account } from "../../api/types";
import { price } from "../../format/decimal";
import { type BrokerOrder, type ForeignPosition, foreignOrders, foreignPositions } from "../../format/holdings";
import { occText } from "../../format/occ";
import { keys } from "../../state/queries";

const EVERY_MS = 30_000;

interface Held {
  accountId: string;
  position: ForeignPosition;
}

interface Working {
  accountId: string;
  order: BrokerOrder;
}

function useForeign(): { held: Held[]; working: Working[] } {
  const accounts = useQuery({ queryKey: keys.accounts, queryFn: listAccounts, staleTime: 60_000 });
  const ids = (accounts.data ?? []).map((line) => line.account_id);
  const read = useQueries({
    queries: ids.map((id) => ({
      queryKey: keys.account(id),
      queryFn: () => getAccount(id),
      refetchInterval: EVERY_MS,
    })),
  });
  const known = read.flatMap((one, place) => (one.data ? [[ids[place] ?? "", one.data] as [string, Account]] : []));
  return {
    held: known.flatMap(([accountId, account]) =>
      foreignPositions(account).map((position) => ({ accountId, position })),
    ),
    working: known.flatMap(([accountId, account]) =>
      foreignOrders(account).flatMap((order) => (order.isOver ? [] : [{ accountId, order }])),
    ),
  };
}

function orderWords(order: BrokerOrder): string {
  const at = order.price ? ` at ${price(order.price)}` : "";
  return `${order.side.replaceAll("_", " ")} ${order.qty}${order.type ? `, ${order.type.replaceAll("_", " ")}` : ""}${at}`;
}

const quantityText = (quantity: string): string => quantity.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

export function Foreign() {
  const { held, working } = useForeign();
  if (held.length + working.length === 0) return null;
  return (
    <section className="foreign" aria-label="Not placed by Bookend">
      <h2>
        Not placed by Bookend{" "}
        <span className="sub">Seen at your broker. Bookend watches these and never touches them.</span>
      </h2>
      <table className="trades plain-rows" aria-label="Not placed by Bookend">
        <thead>
          <tr>
            <th>Contract</th>
            <th>What</th>
            <th className="number">Quantity</th>
            <th className="number">Price</th>
            <th>Account</th>
          </tr>
        </thead>
        <tbody>
          {held.map(({ accountId, position }) => (
            <tr key={`${accountId} ${position.symbol}`} data-foreign={position.symbol}>
              <td data-area="contract">{occText(position.symbol)}</td>
              <td>Position</td>
              <td className="number">{quantityText(position.quantity)}</td>
              <td className="number">{price(position.avgPrice)}</td>
              <td className="muted">{accountId}</td>
            </tr>
          ))}
          {working.map(({ accountId, order }) => (
            <tr key={`${accountId} ${order.id}`} data-foreign-order={order.id}>
              <td data-area="contract">{occText(order.symbol)}</td>
              <td>
                Order {order.id}: {orderWords(order)}, {order.status}
              </td>
              <td className="number">{order.qty}</td>
              <td className="number">{price(order.price)}</td>
              <td className="muted">{accountId}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
