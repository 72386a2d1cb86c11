// How fresh the page's knowledge of the broker is, and reading the broker now.

import type { SystemStatus } from "../../api/types";
import { ageText, duration } from "../../format/time";
import { useNow } from "../../state/clock";
import { syncedAt } from "../../state/feeds";
import { heardAt } from "../../state/positions";
import { useStore } from "../../state/store";
import { lastSyncedAt, startSync, sync } from "../../state/sync";

const STALE_S = 60;

interface SyncedProps {
  feeds: SystemStatus["feeds"];
  /** When the feeds' ages were told, by this browser's clock. */
  feedsAt: number;
}

export function Synced({ feeds, feedsAt }: SyncedProps) {
  const now = useNow();
  const heard = useStore(heardAt);
  const read = useStore(lastSyncedAt);
  const told = syncedAt(feeds, feedsAt);
  const at = told === null ? (read ?? heard) : Math.max(told, read ?? 0);
  if (at === null) return <span className="synced">Not synced yet</span>;
  const age = Math.max(0, Math.floor((now - at) / 1000));
  const each = feeds.map(
    (feed) => `${feed.name}: ${feed.age_s === null ? "nothing yet" : `${duration(Number(feed.age_s))} old`}`,
  );
  return (
    <span className={age > STALE_S ? "synced stale" : "synced"} title={each.join("\n")}>
      Last synced {ageText(age)}
    </span>
  );
}

export function SyncNow() {
  const { busy, done, total } = useStore(sync);
  return (
    <>
      <button
        type="button"
        className="button small"
        disabled={busy}
        title="Read all accounts at the broker now"
        onClick={() => void startSync()}
      >
        {busy && <span className="spinner" aria-hidden="true" />}
        {busy ? "Syncing" : "Sync now"}
      </button>
      {busy && total > 0 && <progress className="sync-progress" max={total} value={done} aria-label="Syncing" />}
    </>
  );
}
