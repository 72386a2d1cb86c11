// What lies in the accounts that Bookend did not place: shown so that nobody is surprised, never with anything to press.

import { useQueries, useQuery } from "@tanstack/react-query";
import { getAccount, listAccounts } from "../../api/account";
import type { Account, AccountLine } from "../../api/types";
import { price } from "../../format/decimal";
import { type BrokerOrder, type ForeignPosition, foreignOrders, foreignPositions } from "../../format/holdings";
import { accountText } from "../../format/mode";
import { occText } from "../../format/occ";
import { keys } from "../../state/queries";
import { ModeChip } from "../safety/Band";

const EVERY_MS = 30_000;

interface Held {
  line: AccountLine;
  position: ForeignPosition;
}

interface Working {
  line: AccountLine;
  order: BrokerOrder;
}

function useForeign(): { held: Held[]; working: Working[] } {
  const accounts = useQuery({ queryKey: keys.accounts, queryFn: listAccounts, staleTime: 60_000 });
  const lines = accounts.data ?? [];
  const read = useQueries({
    queries: lines.map(({ account_id }) => ({
      queryKey: keys.account(account_id),
      queryFn: () => getAccount(account_id),
      refetchInterval: EVERY_MS,
    })),
  });
  const known = read.flatMap((one, place): [AccountLine, Account][] => {
    const line = lines[place];
    return one.data && line ? [[line, one.data]] : [];
  });
  return {
    held: known.flatMap(([line, account]) => foreignPositions(account).map((position) => ({ line, position }))),
    working: known.flatMap(([line, account]) =>
      foreignOrders(account).flatMap((order) => (order.isOver ? [] : [{ line, order }])),
    ),
  };
}

function orderWords(order: BrokerOrder): string {
  const at = order.price ? ` at ${price(order.price)}` : "";
  return `${order.side.replaceAll("_", " ")} ${order.qty}${order.type ? `, ${order.type.replaceAll("_", " ")}` : ""}${at}`;
}

const quantityText = (quantity: string): string => quantity.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

/** Quantity, price and whose money it is: which mode, too, for accounts of all of them are listed. */
function Figures({ qty, at, line }: { qty: string; at: string; line: AccountLine }) {
  return (
    <>
      <td className="number">
        <span className="on-phone">Quantity </span>
        {qty}
      </td>
      <td className="number">
        <span className="on-phone">Price </span>
        {at}
      </td>
      <td className="muted">
        <ModeChip mode={line.broker_mode} /> {accountText(line.account_id, line.account_name)}
      </td>
    </>
  );
}

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
          {held.map(({ line, position }) => (
            <tr key={`${line.account_id} ${position.symbol}`} data-foreign={position.symbol}>
              <td data-area="contract">{occText(position.symbol)}</td>
              <td>Position</td>
              <Figures qty={quantityText(position.quantity)} at={price(position.avgPrice)} line={line} />
            </tr>
          ))}
          {working.map(({ line, order }) => (
            <tr key={`${line.account_id} ${order.id}`} data-foreign-order={order.id}>
              <td data-area="contract">{occText(order.symbol)}</td>
              <td>
                Order {order.id}: {orderWords(order)}, {order.status}
              </td>
              <Figures qty={order.qty} at={price(order.price)} line={line} />
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
