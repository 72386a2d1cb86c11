// One door to the gateway: typed from OpenAPI, cookie session, the header that unsafe methods need, problems thrown.

import createClient, { type Middleware } from "openapi-fetch";
import { Problem, type ProblemBody } from "./problem";
import type { paths } from "./schema";

export interface Answer<T> {
  status: number;
  data: T;
}

let onUnauthenticated: () => void = () => undefined;

/** Tell the page when a session ended while it was in use. */
export function whenUnauthenticated(listener: () => void): void {
  onUnauthenticated = listener;
}

const headers: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET") request.headers.set("X-Bookend", "1");
  },
  onResponse({ response, schemaPath }) {
    if (response.status === 401 && !schemaPath.startsWith("/api/auth/")) onUnauthenticated();
  },
};

export const http = createClient<paths>({
  baseUrl: globalThis.location?.origin ?? "",
  credentials: "same-origin",
  fetch: (call) => globalThis.fetch(call),
});
http.use(headers);

interface Fetched<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

function problemOf(status: number, error: unknown): Problem {
  return new Problem(status, typeof error === "object" && error !== null ? (error as ProblemBody) : {});
}

/** Await a call: its answer with the status, or the Problem it met. No answer at all is a Problem with status 0. */
export async function answer<T>(call: Promise<Fetched<T>>): Promise<Answer<T>> {
  let fetched: Fetched<T>;
  try {
    fetched = await call;
  } catch {
    throw new Problem(0, {});
  }
  const { data, error, response } = fetched;
  if (!response.ok) throw problemOf(response.status, error);
  return { status: response.status, data: data as T };
}

/** Await a call of which only the data matters. */
export async function data<T>(call: Promise<Fetched<T>>): Promise<T> {
  return (await answer(call)).data;
}
