// Doing something to a trade: one key per intent, the same key for its retries, and the words for every kind of answer.

import { useRef, useState } from "react";
import type { Answer } from "../api/client";
import { newKey } from "../api/idempotency";
import { asProblem, type Problem } from "../api/problem";
import type { Trade } from "../api/types";
import { isUnknown } from "../format/trade";
import { learn, syncAlert } from "./positions";
import { toast } from "./toasts";

export const UNKNOWN_WORDS = "The broker has not answered yet. We are asking; nothing will be sent twice.";

/** What a 202 means to a user. */
export function waitingWords(trade: Trade): string {
  if (trade.queued_for_open)
    return `Stored for ${trade.ticker}: it runs when the market opens. The bracket stays until then.`;
  if (isUnknown(trade)) return UNKNOWN_WORDS;
  return `${trade.ticker}: the broker is working on it.`;
}

interface Intent {
  fingerprint: string;
  key: string;
}

type Send<Input> = (input: Input, key: string) => Promise<Answer<Trade>>;

export type Outcome =
  | { kind: "done"; status: number; trade: Trade }
  | { kind: "stale" }
  | { kind: "failed"; problem: Problem };

export interface TradeAction<Input> {
  busy: boolean;
  problem: Problem | null;
  run(input: Input): Promise<Outcome>;
}

/** Run an action on a trade. The input is the intent: the same input after no clear answer is sent with the same key. */
export function useTradeAction<Input>(send: Send<Input>): TradeAction<Input> {
  const intent = useRef<Intent | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  async function run(input: Input): Promise<Outcome> {
    const fingerprint = JSON.stringify(input);
    if (intent.current?.fingerprint !== fingerprint) intent.current = { fingerprint, key: newKey() };
    setBusy(true);
    setProblem(null);
    try {
      const { status, data } = await send(input, intent.current.key);
      intent.current = null;
      learn(data);
      return { kind: "done", status, trade: data };
    } catch (error) {
      const found = asProblem(error);
      if (!found.isRetriable) intent.current = null;
      if (found.code === "stale_version") {
        syncAlert();
        return { kind: "stale" };
      }
      setProblem(found);
      return { kind: "failed", problem: found };
    } finally {
      setBusy(false);
    }
  }

  return { busy, problem, run };
}

/** Say what a 202 to an action on a listed trade means; a 200 speaks for itself. */
export function sayIfWaiting(outcome: Outcome): void {
  if (outcome.kind === "done" && outcome.status === 202) toast(waitingWords(outcome.trade), "amber");
}
