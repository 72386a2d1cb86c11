// What the order ticket needs of the market, and what the page needs to know of the system.

import { data, http } from "./client";
import type { Chain, Expirations, SystemStatus } from "./types";

export function getExpirations(ticker: string): Promise<Expirations> {
  return data(http.GET("/api/market/expirations/{ticker}", { params: { path: { ticker } } }));
}

export function getChain(ticker: string, expiry: string): Promise<Chain> {
  return data(http.GET("/api/market/chain/{ticker}", { params: { path: { ticker }, query: { expiry } } }));
}

export function getSystemStatus(): Promise<SystemStatus> {
  return data(http.GET("/api/system/status"));
}
