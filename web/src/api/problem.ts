// Everything that goes wrong at the API has one shape, so that views only choose where to show the words.

import type { Trade } from "./types";

export interface ProblemBody {
  code?: string;
  title?: string;
  detail?: string;
  correlation_id?: string;
  current?: Trade;
  fields?: FieldProblem[];
}

/** What is wrong with one field of a request. */
export interface FieldProblem {
  field: string;
  problem: string;
}

const RETRIABLE_CODES = new Set(["network", "idempotency_in_progress", "upstream_unavailable", "throttled"]);

export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly correlationId: string | null;
  readonly current: Trade | null;
  readonly fields: readonly FieldProblem[];

  constructor(status: number, body: ProblemBody) {
    super(wordsOf(status, body));
    this.name = "Problem";
    this.status = status;
    this.code = body.code ?? (status === 0 ? "network" : `http_${status}`);
    this.correlationId = body.correlation_id ?? null;
    this.current = body.current ?? null;
    this.fields = Array.isArray(body.fields) ? body.fields : [];
  }

  /** Whether sending the same request with the same key again can help. */
  get isRetriable(): boolean {
    return this.status === 0 || this.status >= 500 || this.status === 429 || RETRIABLE_CODES.has(this.code);
  }
}

function wordsOf(status: number, body: ProblemBody): string {
  const told = body.detail || body.title;
  if (told) return sentence(told);
  if (status === 0) return "Bookend did not answer. Check the connection.";
  if (status === 401) return "Your session has ended. Log in again.";
  if (status === 404) return "Not found.";
  if (status === 429) return "Too many tries. Wait a little.";
  if (status >= 500) return "Bookend cannot do this right now. Try again in a moment.";
  return `The request was refused (${status}).`;
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** Turn whatever was thrown into a Problem; a fetch that failed never had an answer. */
export function asProblem(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem(0, {});
}
