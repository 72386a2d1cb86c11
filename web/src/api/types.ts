// The shapes of the HTTP contract the page reads. Money is a decimal string, times are ISO 8601 in UTC.

export type BrokerMode = "PAPER" | "TRADIER_SANDBOX" | "TRADIER_LIVE";
export type TradeStatus = "OPEN" | "PARTIAL" | "FILLED" | "CLOSING" | "CLOSED";
export type Protection = "NONE" | "PENDING" | "PROTECTED" | "NAKED" | "SETTLING";
export type CloseReason =
  | "TP_HIT"
  | "SL_HIT"
  | "MANUAL_CLOSE"
  | "EXPIRED_OTM"
  | "EXPIRED_ITM"
  | "REJECTED"
  | "CANCELLED"
  | "CLOSED_AT_BROKER"
  | "FLATTENED"
  | "KILL_SWITCH";
export type OrderRole = "ENTRY" | "STOP_LOSS" | "TAKE_PROFIT" | "CLOSE" | "COVER";
export type OptionType = "CALL" | "PUT";

export interface TradeOrder {
  role: OrderRole;
  status: string;
  tag: string | null;
  broker_order_id: string | null;
  qty: number;
  filled_qty: number;
  avg_price: string | null;
}

export interface Trade {
  id: string;
  account_id: string;
  account_name?: string | null;
  broker_mode: BrokerMode;
  ticker: string;
  occ_symbol: string;
  option_type: OptionType;
  strike: string;
  expiry: string;
  multiplier: number;
  qty: number;
  filled_qty: number;
  entry_price: string | null;
  entry_date: string | null;
  sl_price: string | null;
  tp_price: string | null;
  strategy?: string | null;
  card_score?: number | string | null;
  ai_score?: number | string | null;
  ai_verdict?: string | null;
  gate_verdict?: string | null;
  delta_at_entry?: number | string | null;
  iv_at_entry?: number | string | null;
  current_price: string | null;
  price_source: string | null;
  last_updated: string | null;
  unrealized_pnl: string | null;
  status: TradeStatus;
  protection: Protection;
  naked_s: number | string | null;
  close_price: string | null;
  close_date: string | null;
  close_reason: CloseReason | null;
  trigger_precision: string | null;
  realized_pnl: string | null;
  realized_pnl_pct: string | number | null;
  max_drawdown: string | null;
  max_gain: string | null;
  hold_duration_h: string | number | null;
  override_count: number;
  version: number;
  key_version: number;
  is_locked: boolean;
  reason: string | null;
  settlement: string | null;
  recovered_from: string | null;
  queued_for_open: boolean | null;
  orders: TradeOrder[];
}

export interface TradePage {
  trades: Trade[];
  next_cursor: string | null;
}

export interface PriceTick {
  trade_id: string;
  current_price: string | null;
  unrealized_pnl: string | null;
  price_source: string | null;
  last_updated: string | null;
  max_gain?: string | null;
  max_drawdown?: string | null;
}

export type Severity = "info" | "warning" | "error" | "critical";

export interface Banner {
  code: string;
  level: Severity;
  text: string;
  since: string;
}

export interface SystemStatus {
  banners: Banner[];
  feeds: { name: string; age_s: number | null; ok: boolean }[];
  services: { name: string; ok: boolean }[];
  market: MarketStatus | null;
  page_fallback_s: number;
}

export interface MarketStatus {
  mode: string;
  state: string;
  next_change_at: string | null;
  next_state: string | null;
}

export interface Snapshot {
  timestamp: string;
  mark_price: string | null;
  underlying: string | null;
  pnl: string | null;
  tag: string | null;
}

export interface TimelineEntry {
  at: string;
  kind: string;
  text: string;
}

export interface Expirations {
  ticker: string;
  expirations: string[];
  as_of: string;
}

export interface ChainOption {
  occ_symbol: string;
  option_type: OptionType;
  strike: string;
  bid: string | null;
  ask: string | null;
  mid: string | null;
  delta: number | null;
  iv: number | null;
  volume: number | null;
  open_interest: number | null;
}

export interface Chain {
  ticker: string;
  expiry: string;
  underlying_price: string | null;
  as_of: string;
  source: string;
  options: ChainOption[];
}

export interface Settings {
  broker_mode: BrokerMode;
  account_id: string | null;
  auto_refresh: boolean;
  sounds: boolean;
}

export interface User {
  username: string;
}

export interface PlaceBody {
  ticker: string;
  option_type: OptionType;
  strike: string;
  expiry: string;
  qty: number;
  entry: { type: "market" } | { type: "limit"; limit_price: string; duration: "day" | "gtc" };
  sl_price?: string;
  tp_price?: string;
}
