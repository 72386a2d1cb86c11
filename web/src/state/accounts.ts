// The accounts of the signed-in user and which of them new trades go to. A switch is shown once it is true, never before.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { listAccounts } from "../api/account";
import { asProblem } from "../api/problem";
import { putSettings } from "../api/session";
import type { AccountLine, BrokerMode } from "../api/types";
import { accountText, MODES } from "../format/mode";
import { keys, queryClient } from "./queries";
import { toast } from "./toasts";

export const useAccounts = () => useQuery({ queryKey: keys.accounts, queryFn: listAccounts, staleTime: 60_000 });

/** Where new trades shall go. Without an account, the mode's first one is taken. */
export interface Destination {
  broker_mode: BrokerMode;
  account_id?: string;
}

export function destinationOf(line: AccountLine): Destination {
  return { broker_mode: line.broker_mode, account_id: line.account_id };
}

interface Switching {
  busy: boolean;
  problem: string | null;
  /** Send new trades there. True once it is so. `confirm` is the typed word that LIVE needs. */
  to: (destination: Destination, confirm?: string) => Promise<boolean>;
}

export function useSwitching(): Switching {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  async function to(destination: Destination, confirm?: string): Promise<boolean> {
    setBusy(true);
    setProblem(null);
    try {
      const settings = await putSettings({ ...destination, ...(confirm ? { confirm } : {}) });
      queryClient.setQueryData(keys.settings, settings);
      const name = queryClient
        .getQueryData<AccountLine[]>(keys.accounts)
        ?.find((line) => line.account_id === settings.account_id)?.account_name;
      const where = `${MODES[settings.broker_mode].name}, ${accountText(settings.account_id, name)}`;
      toast(`New trades now go to ${where}.`, settings.broker_mode === "TRADIER_LIVE" ? "amber" : "plain");
      return true;
    } catch (error) {
      setProblem(asProblem(error).message);
      return false;
    } finally {
      setBusy(false);
    }
  }
  return { busy, problem, to };
}

const LOOK_EVERY_MS = 700;
const LOOKS = 10;

/** Ask for the list until it has, or no longer has, an account: it is another service's, and follows a moment later. */
export async function untilListed(accountId: string, listed: boolean): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    const lines = await queryClient.fetchQuery({ queryKey: keys.accounts, queryFn: listAccounts, staleTime: 0 });
    if (lines.some((line) => line.account_id === accountId) === listed) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
