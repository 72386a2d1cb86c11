// The unsaved changes of the settings: they outlive a look at another view, a refusal, and settings changed elsewhere.

import { asProblem } from "../api/problem";
import { putSettings } from "../api/session";
import type { Settings } from "../api/types";
import { changeOf, type Edits, edited, type FieldProblems, type Name, refusedFields, unreadable } from "./preferences";
import { keys, queryClient } from "./queries";
import { createStore } from "./store";
import { toast } from "./toasts";

export interface Unsaved {
  edits: Edits;
  problems: FieldProblems;
  /** Why nothing was saved, where no field is to blame. */
  refusal: string | null;
  busy: boolean;
}

const NOTHING: Unsaved = { edits: {}, problems: {}, refusal: null, busy: false };

export const unsaved = createStore<Unsaved>(NOTHING);

export function edit(settings: Settings, name: Name, text: string): void {
  const now = unsaved.get();
  const { [name]: _solved, ...problems } = now.problems;
  unsaved.set({ ...now, edits: edited(now.edits, settings, name, text), problems, refusal: null });
}

export const discardEdits = (): void => unsaved.set(NOTHING);

export async function saveEdits(): Promise<void> {
  const { edits, busy } = unsaved.get();
  if (busy) return;
  const problems = unreadable(edits);
  if (Object.keys(problems).length > 0) {
    unsaved.set({ edits, problems, refusal: null, busy: false });
    return;
  }
  unsaved.set({ edits, problems: {}, refusal: null, busy: true });
  try {
    queryClient.setQueryData(keys.settings, await putSettings(changeOf(edits)));
    unsaved.set({ ...NOTHING, edits: typedSince(edits) });
    toast("Settings saved", "good");
  } catch (error) {
    const problem = asProblem(error);
    const fields = refusedFields(problem);
    const refusal = Object.keys(fields).length > 0 ? null : problem.message;
    unsaved.set({ edits: unsaved.get().edits, problems: fields, refusal, busy: false });
  }
}

/** What was typed while a save was under way is not saved by it. */
function typedSince(saved: Edits): Edits {
  const later = Object.entries(unsaved.get().edits).filter(([name, text]) => saved[name as Name] !== text);
  return Object.fromEntries(later) as Edits;
}
