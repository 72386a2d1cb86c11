// API keys of the signed-in user's own programs.

import { answer, data, http } from "./client";
import type { ApiKey, NewApiKey, Scope } from "./types";

export async function listKeys(): Promise<ApiKey[]> {
  return (await data(http.GET("/api/keys"))).keys;
}

/** Make a key. Its secret is in this answer and nowhere else. */
export function makeKey(name: string, scopes: Scope[]): Promise<NewApiKey> {
  return data(http.POST("/api/keys", { body: { name, scopes } }));
}

export async function revokeKey(id: string): Promise<void> {
  await answer(http.DELETE("/api/keys/{id}", { params: { path: { id } } }));
}
