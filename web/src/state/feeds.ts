// How old the page's knowledge of the broker is.

import type { SystemStatus } from "../api/types";

const BROKER_FEEDS = ["orders ", "portfolio "];

/** When the broker was last read for this user, by this browser's clock; null while no account is watched. */
export function syncedAt(feeds: SystemStatus["feeds"], toldAt: number): number | null {
  const ages = feeds
    .filter((feed) => feed.age_s !== null && BROKER_FEEDS.some((name) => feed.name.startsWith(name)))
    .map((feed) => Number(feed.age_s));
  return ages.length === 0 ? null : toldAt - 1000 * Math.min(...ages);
}
