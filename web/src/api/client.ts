// One door to the gateway: same origin, cookie session, the header that unsafe methods need, problems thrown as Problem.

import { Problem, type ProblemBody } from "./problem";

export interface Answer<T> {
  status: number;
  data: T;
}

type Query = Record<string, string | number | undefined>;

interface Options {
  query?: Query;
  body?: unknown;
  idempotencyKey?: string;
}

let onUnauthenticated: () => void = () => undefined;

/** Tell the page when a session ended while it was in use. */
export function whenUnauthenticated(listener: () => void): void {
  onUnauthenticated = listener;
}

function address(path: string, query: Query | undefined): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(name, String(value));
  return search.size > 0 ? `${path}?${search}` : path;
}

function headersOf(method: string, options: Options): Headers {
  const headers = new Headers({ Accept: "application/json" });
  if (method !== "GET") headers.set("X-Bookend", "1");
  if (options.body !== undefined) headers.set("Content-Type", "application/json");
  if (options.idempotencyKey) headers.set("Idempotency-Key", options.idempotencyKey);
  return headers;
}

async function jsonOf(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

export async function request<T>(method: string, path: string, options: Options = {}): Promise<Answer<T>> {
  const init: RequestInit = { method, headers: headersOf(method, options), credentials: "same-origin" };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  let response: Response;
  try {
    response = await fetch(address(path, options.query), init);
  } catch {
    throw new Problem(0, {});
  }
  const body = await jsonOf(response);
  if (response.ok) return { status: response.status, data: body as T };
  if (response.status === 401 && !path.startsWith("/api/auth/")) onUnauthenticated();
  throw new Problem(response.status, (body ?? {}) as ProblemBody);
}
