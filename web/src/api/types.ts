// The page's names for the shapes of the HTTP contract; the shapes themselves are generated from OpenAPI.

import type { components } from "./schema";

type Shapes = components["schemas"];

export type BrokerMode = Shapes["BrokerMode"];
export type CloseReason = Shapes["CloseReason"];
export type OptionType = Shapes["OptionType"];
export type OrderRole = Shapes["OrderRole"];
export type Severity = Shapes["Severity"];

export type TradeOrder = Shapes["TradeOrder"];
/** A trade as lists, facts and answers tell it; the fields beyond a list's row are there when it was asked for alone. */
export type Trade = Shapes["TradeRow"] & Partial<Omit<Shapes["Trade"], keyof Shapes["TradeRow"]>>;
export type TradePage = Shapes["TradeList"];
export type TimelineEvent = Shapes["TimelineEvent"];
export type CurvePoint = Shapes["CurvePoint"];
export type PlaceBody = Shapes["PlaceBody"];

export type Expirations = Shapes["Expirations"];
export type Chain = Shapes["Chain"];
export type ChainOption = Shapes["ChainOption"];
export type MarketStatus = Shapes["MarketStatus"];

export type Position = Shapes["Position"];
export type Account = Shapes["Account"];
export type AccountLine = Shapes["AccountLine"];
export type SyncStatus = Shapes["SyncStatus"];

export type Banner = Shapes["Banner"];
export type Incident = Shapes["Incident"];
export type SystemStatus = Shapes["SystemStatus"];
export type Settings = Shapes["Settings"];
export type SettingsChange = Shapes["SettingsBody"];
export type User = Shapes["Me"];
export type CredentialsBody = Shapes["CredentialsBody"];
export type StoredCredentials = Shapes["Credentials"];
export type CredentialsTest = Shapes["CredentialsTest"];
export type ApiKey = Shapes["Key"];
export type NewApiKey = Shapes["NewKey"];
export type Scope = Shapes["Scope"];
export type KillState = Shapes["KillState"];
export type KillRow = Shapes["KillRow"];
export type TradeCheck = Shapes["TradeCheck"];
export type LimitUse = Shapes["LimitUse"];
export type Signal = Shapes["Signal"];
export type SignalState = Shapes["SignalState"];
export type AuditPage = Shapes["Audit"];
export type AuditLine = Shapes["AuditLine"];

/** The marks of one open trade on the live stream; ticks are not part of OpenAPI. */
export type PriceTick = { trade_id: string } & Pick<
  Trade,
  "current_price" | "unrealized_pnl" | "price_source" | "last_updated" | "max_gain" | "max_drawdown"
>;
