// API keys: the list, and what each scope lets a program do.

import { useQuery } from "@tanstack/react-query";
import { listKeys } from "../api/keys";
import type { Scope } from "../api/types";
import { keys } from "./queries";

export const useKeys = () => useQuery({ queryKey: keys.apiKeys, queryFn: listKeys });

export const SCOPES: readonly (readonly [Scope, string])[] = [
  ["read", "see everything of yours, change nothing"],
  ["trade", "place, adjust and close trades; includes read"],
  ["signal", "publish signals, as your bots do, and nothing else"],
  ["admin", "everything you may do here, keys and credentials included"],
];

export interface KeyDraft {
  name: string;
  scopes: readonly Scope[];
}

/** Say what keeps a key from being made. */
export function keyProblem(draft: KeyDraft): string | null {
  if (!draft.name.trim()) return "Give it a name that tells you which program has it.";
  if (draft.scopes.length === 0) return "Choose what it may do.";
  return null;
}

export const toggled = (scopes: readonly Scope[], scope: Scope): readonly Scope[] =>
  scopes.includes(scope) ? scopes.filter((one) => one !== scope) : [...scopes, scope];
