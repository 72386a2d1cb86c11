// Who is using the page, and that user's settings.

import { answer, data, http } from "./client";
import { Problem } from "./problem";
import type { Settings, SettingsChange, User } from "./types";

/** The user of the running session; null when there is none. */
export async function me(): Promise<User | null> {
  try {
    return await data(http.GET("/api/auth/me"));
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null;
    throw error;
  }
}

export interface Credentials {
  username: string;
  password: string;
}

export function logIn(body: Credentials): Promise<User> {
  return data(http.POST("/api/auth/login", { body }));
}

/** Make an account; its user is signed in at once. */
export function register(body: Credentials): Promise<User> {
  return data(http.POST("/api/auth/register", { body }));
}

export async function logOut(): Promise<void> {
  await answer(http.POST("/api/auth/logout"));
}

export function getSettings(): Promise<Settings> {
  return data(http.GET("/api/settings"));
}

export function putSettings(body: SettingsChange): Promise<Settings> {
  return data(http.PUT("/api/settings", { body }));
}
