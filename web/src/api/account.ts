// The broker accounts as our own cache has them, and reading them anew.

import { data, http } from "./client";
import type { Account, AccountLine, SyncStatus } from "./types";

export async function listAccounts(): Promise<AccountLine[]> {
  return (await data(http.GET("/api/accounts"))).accounts;
}

export function getAccount(accountId: string): Promise<Account> {
  return data(http.GET("/api/account", { params: { query: { account_id: accountId } } }));
}

/** Have every account read at the broker now; answers which. */
export async function syncNow(): Promise<string[]> {
  return (await data(http.POST("/api/sync"))).accounts;
}

export async function getSyncStatus(): Promise<SyncStatus["accounts"]> {
  return (await data(http.GET("/api/sync/status"))).accounts;
}
