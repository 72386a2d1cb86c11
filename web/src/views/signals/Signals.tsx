// The approval queue: signals of the user's bots that wait for a yes or a no, and what became of the last ones.

import { useEffect } from "react";
import { asProblem } from "../../api/problem";
import type { Settings } from "../../api/types";
import { byUrgency } from "../../format/signal";
import { SIGNALS, useWaiting } from "../../state/signals";
import { dismissTopic } from "../../state/toasts";
import { Empty, LoadFailed, RowSkeletons } from "../frame/States";
import { Past } from "./Past";
import { SignalCard } from "./SignalCard";

const CHECKED_AT_ONCE = 3;

const MODE_WORDS: Record<Settings["signal_mode"], string> = {
  review: "A signal that one of your bots publishes waits here for your yes or no.",
  auto: "Signals are placed at once, without waiting here: the signal mode is auto.",
  off: "Signals are refused: the signal mode is off.",
};

function Nothing({ settings }: { settings: Settings | null }) {
  return (
    <Empty title="No signal waits">
      <p>{MODE_WORDS[settings?.signal_mode ?? "review"]}</p>
      <a className="button" href="#settings/keys">
        Connect a bot
      </a>
    </Empty>
  );
}

export function Signals({ settings }: { settings: Settings | null }) {
  const waiting = useWaiting(true);
  useEffect(() => dismissTopic(SIGNALS), []);
  if (waiting.isError && !waiting.data)
    return <LoadFailed what="Signals" problem={asProblem(waiting.error)} onRetry={() => void waiting.refetch()} />;
  if (!waiting.data) return <RowSkeletons columns={1} />;
  return (
    <div className="signals">
      {waiting.isError && (
        <p className="form-problem" role="alert">
          The list could not be refreshed and may be old. {asProblem(waiting.error).message}
        </p>
      )}
      {waiting.data.length === 0 && <Nothing settings={settings} />}
      {byUrgency(waiting.data).map((signal, place) => (
        <SignalCard key={signal.id} signal={signal} askedAt={waiting.dataUpdatedAt} atOnce={place < CHECKED_AT_ONCE} />
      ))}
      <Past />
    </div>
  );
}
