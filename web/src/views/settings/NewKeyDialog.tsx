// Making a key, and its secret, which is shown this once.

import { useRef, useState } from "react";
import { makeKey } from "../../api/keys";
import { asProblem } from "../../api/problem";
import type { NewApiKey } from "../../api/types";
import { type KeyDraft, keyProblem, SCOPES, toggled } from "../../state/keys";
import { keys, queryClient } from "../../state/queries";
import { Dialog, FormProblem } from "../frame/Dialog";
import { TextField } from "../frame/Field";

/** Copy a text; where the browser forbids it, mark it so that the keyboard can. */
async function copied(text: string, shown: HTMLElement | null): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (shown) window.getSelection()?.selectAllChildren(shown);
    return false;
  }
}

function Secret({ made, onDone }: { made: NewApiKey; onDone: () => void }) {
  const code = useRef<HTMLElement>(null);
  const [note, setNote] = useState("");
  async function copy() {
    const isCopied = await copied(made.secret, code.current);
    setNote(isCopied ? "Copied" : "Marked: copy it with Ctrl-C or ⌘C");
  }
  return (
    <>
      <p>
        This is the secret of <b>{made.name}</b>. It is shown this once: Bookend keeps only a fingerprint of it.
      </p>
      <div className="secret">
        <code ref={code} data-secret>
          {made.secret}
        </code>
        <button type="button" className="button small" onClick={() => void copy()}>
          Copy
        </button>
      </div>
      <p className="muted" aria-live="polite">
        {note}
      </p>
      <div className="buttons">
        <button type="button" className="button primary" onClick={onDone}>
          I have stored it
        </button>
      </div>
    </>
  );
}

interface DraftFormProps {
  draft: KeyDraft;
  onChange: (draft: KeyDraft) => void;
}

function DraftForm({ draft, onChange }: DraftFormProps) {
  return (
    <>
      <TextField
        label="Name"
        value={draft.name}
        onChange={(name) => onChange({ ...draft, name })}
        autoComplete="off"
        placeholder="opening-range scanner"
      />
      <fieldset className="checks">
        <legend>What may it do?</legend>
        {SCOPES.map(([scope, words]) => (
          <label key={scope}>
            <input
              type="checkbox"
              checked={draft.scopes.includes(scope)}
              onChange={() => onChange({ ...draft, scopes: toggled(draft.scopes, scope) })}
            />
            <span>
              <b>{scope}</b> <span className="sub">{words}</span>
            </span>
          </label>
        ))}
      </fieldset>
    </>
  );
}

export function NewKeyDialog({ onDone }: { onDone: () => void }) {
  const [draft, setDraft] = useState<KeyDraft>({ name: "", scopes: ["signal"] });
  const [made, setMade] = useState<NewApiKey | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  async function make() {
    const missing = keyProblem(draft);
    setProblem(missing);
    if (missing || busy) return;
    setBusy(true);
    try {
      setMade(await makeKey(draft.name.trim(), [...draft.scopes]));
      void queryClient.invalidateQueries({ queryKey: keys.apiKeys });
    } catch (error) {
      setProblem(asProblem(error).message);
    } finally {
      setBusy(false);
    }
  }
  if (made)
    return (
      <Dialog key="secret" title="The key is made" wide onClose={onDone}>
        <Secret made={made} onDone={onDone} />
      </Dialog>
    );
  return (
    <Dialog key="draft" title="New API key" wide onClose={onDone} onSubmit={() => void make()}>
      <DraftForm draft={draft} onChange={setDraft} />
      <FormProblem>{problem}</FormProblem>
      <div className="buttons">
        <button type="button" className="button" onClick={onDone}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={busy}>
          {busy && <span className="spinner" aria-hidden="true" />}
          Make key
        </button>
      </div>
    </Dialog>
  );
}
