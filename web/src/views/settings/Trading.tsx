// Limits and policies: typed, then saved together; a refusal changes nothing and loses nothing.

import { type FormEvent, useEffect, useRef } from "react";
import type { Settings } from "../../api/types";
import { discardEdits, saveEdits, unsaved } from "../../state/edits";
import { GROUPS } from "../../state/preferences";
import { useStore } from "../../state/store";
import { SettingField } from "./SettingField";

/** Have the browser ask before a tab with unsaved changes is closed. */
function useAskBeforeLeaving(count: number): void {
  useEffect(() => {
    if (count === 0) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [count]);
}

function refusalText(fields: number, refusal: string | null): string {
  if (refusal) return `Nothing was saved. ${refusal}`;
  if (fields === 0) return "";
  return `Nothing was saved: ${fields === 1 ? "one setting" : `${fields} settings`} above ${fields === 1 ? "was" : "were"} refused.`;
}

function SaveBar() {
  const { edits, problems, refusal, busy } = useStore(unsaved);
  const count = Object.keys(edits).length;
  useAskBeforeLeaving(count);
  if (count === 0) return null;
  const words = refusalText(Object.keys(problems).length, refusal);
  return (
    <div className="save-bar">
      {words && (
        <span className="problem" role="alert">
          {words}
        </span>
      )}
      <span>{count === 1 ? "1 unsaved change" : `${count} unsaved changes`}</span>
      <button type="button" className="button" disabled={busy} onClick={discardEdits}>
        Discard
      </button>
      <button type="submit" className="button primary" disabled={busy}>
        {busy && <span className="spinner" aria-hidden="true" />}
        Save
      </button>
    </div>
  );
}

export function Trading({ settings }: { settings: Settings }) {
  const form = useRef<HTMLFormElement>(null);
  async function submit(event: FormEvent) {
    event.preventDefault();
    await saveEdits();
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
  }
  return (
    <form ref={form} className="settings-body" onSubmit={(event) => void submit(event)} noValidate>
      {GROUPS.map((group) => (
        <section className="card" key={group.title} aria-label={group.title}>
          <h2>{group.title}</h2>
          <p className="lead">{group.lead}</p>
          {group.settings.map((setting) => (
            <SettingField key={setting.name} setting={setting} settings={settings} />
          ))}
        </section>
      ))}
      <SaveBar />
    </form>
  );
}
