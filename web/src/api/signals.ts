// Signals of the user's bots: what waits for a decision, and deciding.

import { type Answer, answer, data, http } from "./client";
import type { Signal, SignalState } from "./types";

const MOST = 100;

export async function listSignals(state?: SignalState): Promise<Signal[]> {
  const query = { limit: MOST, ...(state ? { state } : {}) };
  return (await data(http.GET("/api/signals", { params: { query } }))).signals;
}

/** Let a signal become a trade. A signal is decided once, however often this is asked. */
export function approveSignal(id: string): Promise<Answer<Signal>> {
  return answer(http.POST("/api/signals/{id}/approve", { params: { path: { id } } }));
}

export function rejectSignal(id: string): Promise<Answer<Signal>> {
  return answer(http.POST("/api/signals/{id}/reject", { params: { path: { id } } }));
}
