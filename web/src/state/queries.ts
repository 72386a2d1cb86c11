// The cache of everything that is asked for and not streamed, and the keys it is kept under.

import { QueryClient } from "@tanstack/react-query";
import { asProblem } from "../api/problem";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) => failures < 2 && asProblem(error).isRetriable,
      staleTime: 5_000,
      refetchOnWindowFocus: false,
    },
  },
});

export const keys = {
  me: ["me"] as const,
  settings: ["settings"] as const,
  status: ["status"] as const,
  history: ["history"] as const,
  incidents: ["incidents"] as const,
  accounts: ["accounts"] as const,
  account: (id: string) => ["account", id] as const,
  apiKeys: ["api keys"] as const,
  kill: ["kill switch"] as const,
  check: (body: string) => ["check", body] as const,
  waiting: ["signals", "waiting"] as const,
  decided: ["signals", "decided"] as const,
  audit: ["audit"] as const,
  trade: (id: string) => ["trade", id] as const,
  expirations: (ticker: string) => ["expirations", ticker] as const,
  chain: (ticker: string, expiry: string) => ["chain", ticker, expiry] as const,
};
