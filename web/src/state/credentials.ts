// A token before it is stored: what is missing, what the broker said to it, and storing it.

import { useState } from "react";
import { type Trial, testCredentials } from "../api/credentials";
import { asProblem } from "../api/problem";
import type { BrokerMode } from "../api/types";
import { MODES } from "../format/mode";

export interface TokenDraft {
  accountId: string;
  name: string;
  token: string;
  typed: string;
}

export const EMPTY_TOKEN: TokenDraft = { accountId: "", name: "", token: "", typed: "" };

export type TokenProblems = Partial<Record<keyof TokenDraft, string>>;

/** Say what keeps a token from being tried. */
export function tokenProblems(draft: TokenDraft): TokenProblems {
  const problems: TokenProblems = {};
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(draft.accountId.trim()))
    problems.accountId = "The account's number at the broker: letters and digits.";
  if (!/^[!-~]{1,256}$/.test(draft.token.trim())) problems.token = "The access token, without blanks.";
  return problems;
}

export interface Verdict {
  good: boolean;
  words: string;
}

const OTHER: Partial<Record<BrokerMode, string>> = {
  TRADIER_SANDBOX: "LIVE",
  TRADIER_LIVE: "SANDBOX",
};

/** What a broker's refusal means here: a token of the other environment is the usual reason. */
export function refusalWords(mode: BrokerMode, code: string, message: string): string {
  const other = OTHER[mode];
  if (code !== "upstream_auth" || !other || message.includes(other)) return message;
  return `${message} Is it a ${other} token? ${MODES[mode].name} and ${other} tokens are not interchangeable.`;
}

/** Try a token, and keep what was said about it. */
export function useTrial() {
  const [busy, setBusy] = useState(false);
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  async function run(trial: Trial): Promise<void> {
    setBusy(true);
    setVerdict(null);
    try {
      const answer = await testCredentials(trial);
      const which = trial.token ? "this token" : "the stored token";
      const words = answer.detail ?? `The broker accepts ${which} for account ${answer.account_id}.`;
      setVerdict({ good: answer.ok, words });
    } catch (error) {
      const { code, message } = asProblem(error);
      setVerdict({ good: false, words: refusalWords(trial.broker_mode, code, message) });
    } finally {
      setBusy(false);
    }
  }
  return { busy, verdict, run, forget: () => setVerdict(null) };
}
