// Broker accounts and their tokens. A token goes in and never comes back.

import { answer, data, http } from "./client";
import type { BrokerMode, CredentialsBody, CredentialsTest, StoredCredentials } from "./types";

export function storeCredentials(body: CredentialsBody): Promise<StoredCredentials> {
  return data(http.PUT("/api/settings/credentials", { body }));
}

export interface Trial {
  broker_mode: BrokerMode;
  account_id: string;
  /** The token to try; the stored one when left out. */
  token?: string;
}

/** Ask the broker whether a token opens the account; nothing is stored. */
export function testCredentials(body: Trial): Promise<CredentialsTest> {
  return data(http.POST("/api/settings/credentials/test", { body }));
}

/** Forget an account's token; refused while a trade of the account is open. */
export async function removeCredentials(broker_mode: BrokerMode, account_id: string): Promise<void> {
  const params = { path: { broker_mode, account_id } };
  await answer(http.DELETE("/api/settings/credentials/{broker_mode}/{account_id}", { params }));
}
