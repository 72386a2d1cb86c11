// What the kill switch has under way, list by list, in the words of somebody who waits for it.

import type { KillRow, KillState } from "../api/types";

export const LISTS = ["failed", "unknown", "closing", "queued_for_open", "settling", "foreign"] as const;

export type ListName = (typeof LISTS)[number];

export const LIST_WORDS: Record<ListName, string> = {
  failed: "failed",
  unknown: "no answer yet",
  closing: "closing",
  queued_for_open: "queued for the open",
  settling: "settling",
  foreign: "not ours, left alone",
};

export interface KillLine {
  list: ListName;
  row: KillRow;
}

/** Every position the switch is about, the gravest first, what is not ours last. */
export function linesOf(state: KillState): KillLine[] {
  return LISTS.flatMap((list) => state[list].map((row) => ({ list, row })));
}

/** How many positions and entries of ours are not over yet. */
export function unfinished(state: KillState): number {
  const ours = LISTS.filter((list) => list !== "foreign").reduce((sum, list) => sum + state[list].length, 0);
  return ours + state.omitted;
}

/** Whether the page must say something of the switch: it is on, or what it began is not over. */
export const isWorthShowing = (state: KillState | undefined): state is KillState =>
  state !== undefined && (state.engaged || unfinished(state) > 0);

/** Read the whole state out of a fact; null when it is not whole, so that the reader asks instead. */
export function killStateOf(text: string): KillState | null {
  let data: Partial<KillState> | null;
  try {
    data = JSON.parse(text) as Partial<KillState> | null;
  } catch {
    return null;
  }
  if (typeof data?.engaged !== "boolean" || !LISTS.every((list) => Array.isArray(data?.[list]))) return null;
  return { ...(data as KillState), changed_at: data.changed_at ?? null, omitted: data.omitted ?? 0 };
}
