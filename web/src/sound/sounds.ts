// Which sound an ended trade makes, and playing it. The recordings are ours (scripts/make-sounds.mjs).

import type { Trade } from "../api/types";
import { parseDecimal, signOf } from "../format/decimal";

export type Sound = "cash_register" | "downer" | "pop";

/** The sound of a trade that has just ended; none where nothing was ever held. */
export function soundOf(trade: Trade): Sound | null {
  if (trade.status !== "CLOSED" || trade.filled_qty === 0) return null;
  if (trade.close_reason === "MANUAL_CLOSE") return "pop";
  if (trade.close_reason === "TP_HIT") return "cash_register";
  if (trade.close_reason === "SL_HIT") return "downer";
  const sign = signOf(parseDecimal(trade.realized_pnl));
  if (sign === "flat") return null;
  return sign === "gain" ? "cash_register" : "downer";
}

let enabled = true;

export function enableSounds(on: boolean): void {
  enabled = on;
}

/** Play a sound where the browser lets us; before the first click it may not, which is no error. */
export function play(sound: Sound | null): void {
  if (!enabled || sound === null) return;
  new Audio(`/sounds/${sound}.wav`).play().catch(() => undefined);
}
