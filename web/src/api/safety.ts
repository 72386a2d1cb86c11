// The kill switch, and what a trade would take of the limits before it is sent.

import { data, http } from "./client";
import type { KillState, PlaceBody, TradeCheck } from "./types";

export function getKillSwitch(): Promise<KillState> {
  return data(http.GET("/api/kill-switch"));
}

/** Engage or release. It is a state: asking for it again changes nothing more. */
export function turnKillSwitch(action: "engage" | "release"): Promise<KillState> {
  return data(http.POST("/api/kill-switch", { body: { action } }));
}

/** Tell how much of each limit a trade would use, and what would refuse it. Nothing is sent to place it. */
export function checkTrade(body: PlaceBody): Promise<TradeCheck> {
  return data(http.POST("/api/trades/check", { body }));
}
