// API keys: which programs may act for the user, making one and taking one back.

import { useState } from "react";
import { revokeKey } from "../../api/keys";
import { asProblem } from "../../api/problem";
import type { ApiKey } from "../../api/types";
import { ageSeconds, ageText, dayAndTime } from "../../format/time";
import { useNow } from "../../state/clock";
import { useKeys } from "../../state/keys";
import { keys, queryClient } from "../../state/queries";
import { toast } from "../../state/toasts";
import { Dialog, FormProblem } from "../frame/Dialog";
import { LoadFailed, RowSkeletons } from "../frame/States";
import { NewKeyDialog } from "./NewKeyDialog";

function RevokeDialog({ apiKey, onDone }: { apiKey: ApiKey; onDone: () => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  async function revoke() {
    setBusy(true);
    try {
      await revokeKey(apiKey.id);
      toast(`Key ${apiKey.name} revoked`, "plain");
      void queryClient.invalidateQueries({ queryKey: keys.apiKeys });
      onDone();
    } catch (error) {
      setProblem(asProblem(error).message);
      setBusy(false);
    }
  }
  return (
    <Dialog title="Revoke this key?" onClose={onDone}>
      <p>
        Programs that use <b>{apiKey.name}</b> are cut off at once, streams and bots included. A revoked key never works
        again.
      </p>
      <p className="muted">Trades that it placed stay as they are.</p>
      <FormProblem>{problem}</FormProblem>
      <div className="buttons">
        <button type="button" className="button" data-first onClick={onDone}>
          Keep it
        </button>
        <button type="button" className="button danger solid" disabled={busy} onClick={() => void revoke()}>
          {busy && <span className="spinner" aria-hidden="true" />}
          Revoke
        </button>
      </div>
    </Dialog>
  );
}

function KeyRow({ apiKey, onRevoke }: { apiKey: ApiKey; onRevoke: () => void }) {
  const now = useNow();
  const used = apiKey.last_used_at ? ageText(ageSeconds(apiKey.last_used_at, now)) : "never";
  const isBots = apiKey.scopes.includes("signal");
  return (
    <tr>
      <td>
        <b>{apiKey.name}</b>
      </td>
      <td>
        {apiKey.scopes.map((scope) => (
          <span key={scope} className="scope" data-scope={scope}>
            {scope}
          </span>
        ))}
      </td>
      <td>
        <span className="on-phone">Made </span>
        {dayAndTime(apiKey.created_at).slice(0, -3)}
      </td>
      <td>
        <span className="on-phone">Last used </span>
        {used}
        {isBots && <span className="sub">used by bots</span>}
      </td>
      <td className="act">
        <button type="button" className="button small danger" aria-label={`Revoke ${apiKey.name}`} onClick={onRevoke}>
          Revoke
        </button>
      </td>
    </tr>
  );
}

function KeyTable({ list, onRevoke }: { list: readonly ApiKey[]; onRevoke: (key: ApiKey) => void }) {
  return (
    <table className="plain-table" aria-label="API keys">
      <thead>
        <tr>
          <th>Name</th>
          <th>May</th>
          <th>Made</th>
          <th>Last used</th>
          <th>
            <span className="visually-hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {list.map((key) => (
          <KeyRow key={key.id} apiKey={key} onRevoke={() => onRevoke(key)} />
        ))}
      </tbody>
    </table>
  );
}

export function Keys() {
  const found = useKeys();
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  if (found.isError)
    return <LoadFailed what="Your keys" problem={asProblem(found.error)} onRetry={() => void found.refetch()} />;
  return (
    <section className="card" aria-label="API keys">
      <div className="card-head">
        <h2>API keys</h2>
        <button type="button" className="button primary small" onClick={() => setMaking(true)}>
          New key
        </button>
      </div>
      <p className="lead">
        For your own programs and bots. A key acts as you, within what it may do; revoking it cuts its programs off at
        once.
      </p>
      {found.isPending && <RowSkeletons columns={1} />}
      {found.data?.length === 0 && <p className="muted">There is no key yet.</p>}
      {found.data && found.data.length > 0 && <KeyTable list={found.data} onRevoke={setRevoking} />}
      {making && <NewKeyDialog onDone={() => setMaking(false)} />}
      {revoking && <RevokeDialog apiKey={revoking} onDone={() => setRevoking(null)} />}
    </section>
  );
}
