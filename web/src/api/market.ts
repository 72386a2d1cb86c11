// What the order ticket needs of the market, and what the page needs to know of the system.

import { request } from "./client";
import type { Chain, Expirations, SystemStatus } from "./types";

export async function getExpirations(ticker: string): Promise<Expirations> {
  return (await request<Expirations>("GET", `/api/market/expirations/${encodeURIComponent(ticker)}`)).data;
}

export async function getChain(ticker: string, expiry: string): Promise<Chain> {
  const path = `/api/market/chain/${encodeURIComponent(ticker)}`;
  return (await request<Chain>("GET", path, { query: { expiry } })).data;
}

export async function getSystemStatus(): Promise<SystemStatus> {
  return (await request<SystemStatus>("GET", "/api/system/status")).data;
}
