// Short messages over the page: they leave by themselves, errors a little later.

import { createStore } from "./store";

export type ToastTone = "plain" | "good" | "bad" | "amber";

export interface Toast {
  id: number;
  tone: ToastTone;
  text: string;
  /** What it is about, so that seeing that can end it. */
  topic: string | null;
}

export const SYNC_ALERT = "Sync alert: this trade was updated on another device";
const SHOWN_MS: Record<ToastTone, number> = { plain: 5000, good: 6000, bad: 9000, amber: 7000 };
const MOST = 4;

export const toasts = createStore<readonly Toast[]>([]);
let nextId = 1;

export function dismiss(id: number): void {
  toasts.set(toasts.get().filter((toast) => toast.id !== id));
}

/** End the messages about something that is now on screen itself. */
export function dismissTopic(topic: string): void {
  toasts.set(toasts.get().filter((toast) => toast.topic !== topic));
}

export function toast(text: string, tone: ToastTone = "plain", topic: string | null = null): void {
  const id = nextId++;
  toasts.set([...toasts.get().slice(1 - MOST), { id, tone, text, topic }]);
  setTimeout(() => dismiss(id), SHOWN_MS[tone]);
}
