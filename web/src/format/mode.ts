// Which money it is, in words: the same three everywhere, so that LIVE is never read as anything else.

import type { AccountLine, BrokerMode } from "../api/types";

export const MODES: Record<BrokerMode, { name: string; money: string }> = {
  PAPER: { name: "PAPER", money: "simulated money" },
  TRADIER_SANDBOX: { name: "SANDBOX", money: "Tradier test money" },
  TRADIER_LIVE: { name: "LIVE", money: "real money" },
};

export const EVERY_MODE = Object.keys(MODES) as readonly BrokerMode[];

export const isLive = (mode: BrokerMode | null | undefined): boolean => mode === "TRADIER_LIVE";

/** "Main · 6YA53920": an account by its user's name for it and its number. */
export function accountText(id: string | null | undefined, name: string | null | undefined): string {
  if (!id) return "no account chosen";
  return name && name !== id ? `${name} · ${id}` : id;
}

/** A user's own name for an account. By mode too: two brokers may number theirs alike. */
export function nameOf(
  lines: readonly AccountLine[] | undefined,
  mode: BrokerMode | null | undefined,
  id: string | null | undefined,
): string | null | undefined {
  return lines?.find((line) => line.broker_mode === mode && line.account_id === id)?.account_name;
}

/** What the browser's tab says: the money first, since tabs are narrow. */
export function titleOf(mode: BrokerMode | null, waiting: number, killed: boolean): string {
  const parts = [killed ? "KILL SWITCH ON" : "", mode ? MODES[mode].name : "", waiting > 0 ? `(${waiting})` : ""];
  return [...parts.filter(Boolean), "Bookend"].join(" · ");
}

/** How many open trades lie in another mode than the page's, said where they could be forgotten; empty when none do. */
export function elsewhereText(mode: BrokerMode | null, trades: readonly { broker_mode: BrokerMode }[]): string {
  const counts = EVERY_MODE.filter((one) => one !== mode).map((one): [BrokerMode, number] => [
    one,
    trades.filter((trade) => trade.broker_mode === one).length,
  ]);
  const said = counts.filter(([, count]) => count > 0).map(([one, count]) => `${count} ${MODES[one].name}`);
  if (said.length === 0) return "";
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  return `${said.join(" and ")} ${total === 1 ? "trade is" : "trades are"} open too`;
}

/** One mode's accounts as the lists show them, by name. */
export function accountsOf(mode: BrokerMode, accounts: readonly AccountLine[]): AccountLine[] {
  return accounts
    .filter((line) => line.broker_mode === mode)
    .sort((left, right) =>
      (left.account_name ?? left.account_id).localeCompare(right.account_name ?? right.account_id),
    );
}

export interface ModeGroup<T> {
  mode: BrokerMode;
  trades: readonly T[];
}

/** Trades by the money they are of, the page's own first: sums of different money are never added up. */
export function byMode<T extends { broker_mode: BrokerMode }>(
  mode: BrokerMode | null,
  trades: readonly T[],
): ModeGroup<T>[] {
  const order = [...EVERY_MODE].sort((left, right) => Number(right === mode) - Number(left === mode));
  return order
    .map((one) => ({ mode: one, trades: trades.filter((trade) => trade.broker_mode === one) }))
    .filter((group) => group.trades.length > 0);
}
