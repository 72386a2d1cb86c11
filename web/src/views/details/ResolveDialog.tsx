// The question an unknown order leaves: which of the broker's orders is it, or is it none. Checked there before it counts.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { getAccount } from "../../api/account";
import { type Resolution, resolve } from "../../api/trades";
import type { Trade } from "../../api/types";
import { price } from "../../format/decimal";
import { type BrokerOrder, foreignOrders } from "../../format/holdings";
import { accountText } from "../../format/mode";
import { contractText, roleText, unknownOrder } from "../../format/trade";
import { useTradeAction } from "../../state/actions";
import { keys } from "../../state/queries";
import { toast } from "../../state/toasts";
import { Dialog, FormProblem } from "../frame/Dialog";
import { TextField } from "../frame/Field";

const NONE = "none";
const OTHER = "other";

function lineOf(order: BrokerOrder): string {
  const at = order.price ? ` at ${price(order.price)}` : "";
  const what = `${order.side.replaceAll("_", " ")} ${order.qty} ${order.type}${at}`.trim();
  return `Order ${order.id}: ${what}, ${order.status}`;
}

function consequence(choice: string, trade: Trade): string {
  const role = roleText(unknownOrder(trade)?.role ?? "ENTRY").toLowerCase();
  if (choice === "") return "Nothing is changed until you choose and the broker has confirmed it.";
  if (choice !== NONE) {
    const then =
      role === "entry" ? "What it has filled is protected at once." : "What it has filled counts for this trade.";
    return `The broker is asked for this order. If it fits contract, side and quantity, it becomes the ${role} order of this trade. ${then}`;
  }
  const then =
    role === "entry"
      ? "The trade then ends as never placed."
      : `A new ${role} order is then sent if one is still wanted.`;
  return `Bookend checks that your position does not contradict you. ${then} Should the order appear after all, it is cancelled, or protected if it has filled.`;
}

function useForeignOrders(trade: Trade) {
  const account = useQuery({
    queryKey: keys.account(trade.account_id),
    queryFn: () => getAccount(trade.account_id),
    staleTime: 0,
  });
  const all = account.data ? foreignOrders(account.data) : [];
  return { orders: all.filter((order) => order.symbol === trade.occ_symbol), isLoading: account.isPending };
}

interface OptionsProps {
  orders: readonly BrokerOrder[];
  isLoading: boolean;
  choice: string;
  onChoice: (choice: string) => void;
}

function Options({ orders, isLoading, choice, onChoice }: OptionsProps) {
  const options: [string, string][] = [
    ...orders.map((order): [string, string] => [order.id, lineOf(order)]),
    [OTHER, "Another order number that I see at my broker"],
    [NONE, "None: it never reached the broker"],
  ];
  return (
    <fieldset className="choices">
      <legend>Which of the broker's orders is it?</legend>
      {isLoading && <span className="skeleton" />}
      {!isLoading && orders.length === 0 && (
        <p className="muted">
          Our copy of the broker's list, which may be some seconds old, shows no unexplained order in this contract.
        </p>
      )}
      {options.map(([value, text]) => (
        <label key={value}>
          <input
            type="radio"
            name="resolution"
            value={value}
            checked={choice === value}
            onChange={() => onChoice(value)}
          />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function ResolveDialog({ trade, onDone }: { trade: Trade; onDone: () => void }) {
  const [choice, setChoice] = useState("");
  const [number, setNumber] = useState("");
  const { orders, isLoading } = useForeignOrders(trade);
  const action = useTradeAction(resolve);
  const named = choice === OTHER ? number.trim() : choice;
  const isReady = named !== "" && (choice === NONE || /^[A-Za-z0-9-]{1,40}$/.test(named));

  async function confirm() {
    const resolution: Resolution = { id: trade.id, broker_order_id: choice === NONE ? null : named };
    const outcome = await action.run(resolution);
    if (outcome.kind === "failed") return;
    if (outcome.kind === "done")
      toast(
        `${trade.ticker}: ${outcome.status === 202 ? "the broker is being asked" : "settled as you said"}`,
        "plain",
      );
    onDone();
  }
  return (
    <Dialog
      title={`What became of ${trade.ticker} ${contractText(trade)} ${trade.option_type}?`}
      mode={trade.broker_mode}
      account={accountText(trade.account_id, trade.account_name)}
      wide
      onClose={onDone}
    >
      <p className="muted">
        The {roleText(unknownOrder(trade)?.role ?? "ENTRY").toLowerCase()} order got no clear answer. What you say is
        checked at the broker before it counts.
      </p>
      <Options orders={orders} isLoading={isLoading} choice={choice} onChoice={setChoice} />
      {choice === OTHER && <TextField label="The broker's order number" value={number} onChange={setNumber} />}
      <p className="consequence" aria-live="polite">
        {consequence(choice, trade)}
      </p>
      <FormProblem>{action.problem?.message}</FormProblem>
      <div className="buttons">
        <button type="button" className="button" onClick={onDone}>
          Keep asking
        </button>
        <button
          type="button"
          className="button primary"
          disabled={!isReady || action.busy}
          onClick={() => void confirm()}
        >
          {action.busy && <span className="spinner" aria-hidden="true" />}
          {choice === NONE ? "It was never placed" : "It is this order"}
        </button>
      </div>
    </Dialog>
  );
}
