// The approval queue as the page knows it: moved by the stream, asked again for fresh quotes while somebody looks.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Answer } from "../api/client";
import { asProblem } from "../api/problem";
import { approveSignal, listSignals, rejectSignal } from "../api/signals";
import type { Signal } from "../api/types";
import { isDecided, signalOf, signalText, withSignal } from "../format/signal";
import { keys, queryClient } from "./queries";
import { routeOf } from "./route";
import { toast } from "./toasts";

const QUOTES_MS = 10_000;
const PAST = 12;
/** The topic of the messages that a signal waits. */
export const SIGNALS = "signals";

/** Those that wait, each with its contract's price; asked again every few seconds while `isWatched`. */
export const useWaiting = (isWatched = false) =>
  useQuery({
    queryKey: keys.waiting,
    queryFn: () => listSignals("pending"),
    refetchInterval: (query) => isWatched && (query.state.data?.length ?? 1) > 0 && QUOTES_MS,
  });

/** The newest ones that are decided. */
export const useDecided = () =>
  useQuery({
    queryKey: keys.decided,
    queryFn: async () => (await listSignals()).filter(isDecided).slice(0, PAST),
  });

function take(signal: Signal): void {
  queryClient.setQueryData<Signal[]>(keys.waiting, (list) => list && withSignal(list, signal));
  if (isDecided(signal)) void queryClient.invalidateQueries({ queryKey: keys.decided });
}

/** Take in what the stream says of one signal. */
export function learnSignal(text: string): void {
  const signal = signalOf(text);
  if (!signal) {
    void queryClient.invalidateQueries({ queryKey: ["signals"] });
    return;
  }
  take(signal);
  if (signal.state !== "pending") return;
  void queryClient.invalidateQueries({ queryKey: keys.waiting });
  if (routeOf(window.location.hash).view !== "signals")
    toast(`${signal.bot}: ${signalText(signal)} waits for your approval`, "amber", SIGNALS);
}

type Choice = "approve" | "reject";

const SEND: Record<Choice, (id: string) => Promise<Answer<Signal>>> = {
  approve: approveSignal,
  reject: rejectSignal,
};

/** Decide one signal. A second tap while the first is under way does nothing; one after no answer is safe. */
export function useDeciding(signal: Signal) {
  const [busy, setBusy] = useState<Choice | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  async function decide(choice: Choice): Promise<void> {
    if (busy) return;
    setBusy(choice);
    setProblem(null);
    try {
      const { data } = await SEND[choice](signal.id);
      take(data);
      if (data.state === "accepted") toast(`${signalText(signal)}: the order is placed`, "good");
      if (data.state === "rejected") toast(`${signalText(signal)}: rejected`, "plain");
    } catch (error) {
      const found = asProblem(error);
      if (found.isRetriable) setProblem(`${found.message} Trying again is safe: a signal is decided once.`);
      else toast(`${signalText(signal)}: not placed. ${found.message}`, "bad");
      void queryClient.invalidateQueries({ queryKey: ["signals"] });
    } finally {
      setBusy(null);
    }
  }
  return { busy, problem, decide };
}
