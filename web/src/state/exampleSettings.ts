// A new user's settings for the tests; the product never imports this.

import type { Settings } from "../api/types";

const BASE: Settings = {
  broker_mode: "PAPER",
  account_id: "VA00000001",
  account_balance: "5000.00",
  max_positions: 5,
  daily_loss_limit: "150.00",
  heat_limit_pct: "6.0",
  max_contracts: null,
  max_premium: null,
  max_spread_pct: null,
  collar_pct: null,
  max_quote_age_s: null,
  naked_policy: "repair",
  signal_mode: "review",
  expiry_flatten_min: 30,
  no_entry_before_expiry_min: 60,
  repair_delay_s: 60,
  partial_entry_grace_s: 5,
  stop_limit_offset: null,
  allow_am_settled: false,
  allow_non_standard: false,
  otoco: "off",
  auto_refresh: true,
  sounds: true,
  channels: ["page"],
  quiet_hours: null,
  created_at: "2026-11-20T15:02:10Z",
  updated_at: "2026-11-20T15:02:10Z",
};

export const someSettings = (changes: Partial<Settings> = {}): Settings => ({ ...BASE, ...changes });
