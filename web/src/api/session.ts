// Who is using the page, and that user's settings.

import { request } from "./client";
import { Problem } from "./problem";
import type { Settings, User } from "./types";

/** The user of the running session; null when there is none. */
export async function me(): Promise<User | null> {
  try {
    return (await request<User>("GET", "/api/auth/me")).data;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null;
    throw error;
  }
}

export interface Credentials {
  username: string;
  password: string;
}

export async function logIn(body: Credentials): Promise<User> {
  return (await request<User>("POST", "/api/auth/login", { body })).data;
}

export async function register(body: Credentials): Promise<User> {
  await request("POST", "/api/auth/register", { body });
  return logIn(body);
}

export async function logOut(): Promise<void> {
  await request("POST", "/api/auth/logout");
}

export async function getSettings(): Promise<Settings> {
  return (await request<Settings>("GET", "/api/settings")).data;
}

export async function putSettings(change: Partial<Settings>): Promise<Settings> {
  return (await request<Settings>("PUT", "/api/settings", { body: change })).data;
}
