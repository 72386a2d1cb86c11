// The kill switch as the page knows it: told by the stream, asked again while anything of it is under way.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { asProblem } from "../api/problem";
import { getKillSwitch, turnKillSwitch } from "../api/safety";
import type { KillState } from "../api/types";
import { isWorthShowing, killStateOf, unfinished } from "../format/kill";
import { keys, queryClient } from "./queries";

const MOVING_MS = 4000;
const ENGAGED_MS = 30_000;

function pace(state: KillState | undefined): number | false {
  if (!isWorthShowing(state)) return false;
  return unfinished(state) > 0 ? MOVING_MS : ENGAGED_MS;
}

export const useKillSwitch = () =>
  useQuery({ queryKey: keys.kill, queryFn: getKillSwitch, refetchInterval: (query) => pace(query.state.data) });

/** Whether the switch has been turned again since; what the stream says may come after a newer answer. */
function isOlder(state: KillState): boolean {
  const known = queryClient.getQueryData<KillState>(keys.kill)?.changed_at;
  return Boolean(known && state.changed_at && Date.parse(state.changed_at) < Date.parse(known));
}

/** Take in what the stream says of it. */
export function learnKill(text: string): void {
  const state = killStateOf(text);
  if (state && !isOlder(state)) queryClient.setQueryData(keys.kill, state);
  else void queryClient.invalidateQueries({ queryKey: keys.kill });
  void queryClient.invalidateQueries({ queryKey: keys.status });
  void queryClient.invalidateQueries({ queryKey: ["signals"] });
}

/** Turn the switch. No answer is said to be none: the order may have got through, and asking again is safe. */
export function useTurning() {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  async function turn(action: "engage" | "release"): Promise<KillState | null> {
    setBusy(true);
    setProblem(null);
    try {
      const state = await turnKillSwitch(action);
      queryClient.setQueryData(keys.kill, state);
      return state;
    } catch (error) {
      const found = asProblem(error);
      setProblem(
        found.isRetriable
          ? `${found.message} It may have been done all the same. Try again: it is safe.`
          : found.message,
      );
      void queryClient.invalidateQueries({ queryKey: keys.kill });
      return null;
    } finally {
      setBusy(false);
    }
  }
  return { busy, problem, turn };
}
