// A complete signal for the tests; the product never imports this.

import type { Signal } from "../api/types";

const BASE: Signal = {
  id: "s-1",
  signal_id: "a1",
  bot: "scanner",
  state: "pending",
  code: null,
  reason: null,
  trade_id: null,
  ticker: "AAPL",
  option_type: "CALL",
  strike: "230",
  expiry: "2026-12-18",
  qty: 2,
  entry: { type: "market" },
  sl_price: "3.20",
  tp_price: "6.30",
  strategy: "opening-range",
  ref_price: "4.00",
  max_slippage_pct: "5",
  broker_mode: "PAPER",
  account_id: "VA00000001",
  received_at: "2026-11-20T15:02:10Z",
  expires_at: "2026-11-20T15:07:10Z",
  decided_at: null,
  key_version: 1,
  quote: { bid: "4.00", ask: "4.10", mid: "4.05", age_s: 2 },
};

export const aSignal = (changes: Partial<Signal> = {}): Signal => ({ ...BASE, ...changes });
