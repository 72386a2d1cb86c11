// What an alarm means for the trader, and which one comes first.

import type { Incident } from "../api/types";

const MEANINGS: Record<string, string> = {
  naked: "A stop or target you asked for does not rest at the broker.",
  unknown_order: "Nothing is sent again until the broker's own lists prove what happened. It counts as fully exposed.",
  unsettled_order: "Open the trade and choose Resolve. It counts as fully exposed until then.",
  cancel_unconfirmed: "Nothing is sold until the broker confirms that the exits are gone.",
  no_bid: "A market order would find no buyer. The sale rests at the least price until somebody bids.",
  short: "More was sold than you had. Bookend buys it back; new entries in this account are blocked meanwhile.",
  late_fill: "A fill came after the trade had ended.",
  orphan: "An order of a trade that is over still lives at the broker. Bookend cancels it.",
  vanished: "The broker shows nothing of a position your orders say you hold.",
  mismatch: "The broker holds less than your orders say.",
  exit_qty: "The exits rest for another quantity than you hold. Bookend resizes them.",
  corporate_action: "The contract was replaced by another. Bookend keeps the trade; exits are yours to place.",
  doubtful: "What the broker tells about this account does not add up. Nothing is closed or cancelled on such news.",
  sandbox_wipe: "The broker's test account was reset.",
};
const LOUDNESS: Record<Incident["severity"], number> = { critical: 0, error: 1, warning: 2, info: 3 };

export const meaningOf = (incident: Incident): string => MEANINGS[incident.kind] ?? "";

export const isLoud = (incident: Incident): boolean => LOUDNESS[incident.severity] <= 1;

/** The gravest first, the oldest first among equals. */
export function byLoudness(incidents: readonly Incident[]): Incident[] {
  return [...incidents].sort(
    (a, b) => LOUDNESS[a.severity] - LOUDNESS[b.severity] || Date.parse(a.opened_at) - Date.parse(b.opened_at),
  );
}
