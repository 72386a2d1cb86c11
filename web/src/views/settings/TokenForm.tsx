// Connecting a broker account, or renewing its token. For LIVE the word has to be typed.

import { type FormEvent, useState } from "react";
import { storeCredentials } from "../../api/credentials";
import { asProblem } from "../../api/problem";
import type { AccountLine, BrokerMode, CredentialsBody } from "../../api/types";
import { isLive, MODES } from "../../format/mode";
import { untilListed } from "../../state/accounts";
import { EMPTY_TOKEN, refusalWords, type TokenDraft, tokenProblems, useTrial } from "../../state/credentials";
import { keys, queryClient } from "../../state/queries";
import { toast } from "../../state/toasts";
import { FormProblem } from "../frame/Dialog";
import { TextField } from "../frame/Field";
import { isTyped, TypedWord } from "../frame/TypedWord";

const WORD = "LIVE";

function bodyOf(mode: BrokerMode, draft: TokenDraft): CredentialsBody {
  const name = draft.name.trim();
  return {
    broker_mode: mode,
    account_id: draft.accountId.trim(),
    token: draft.token.trim(),
    ...(name ? { account_name: name } : {}),
    ...(isLive(mode) ? { confirm: WORD } : {}),
  };
}

function useTokenForm(mode: BrokerMode, renewed: AccountLine | null, onDone: () => void) {
  const start = renewed ? { accountId: renewed.account_id, name: renewed.account_name ?? "" } : {};
  const [draft, setDraft] = useState<TokenDraft>({ ...EMPTY_TOKEN, ...start });
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const trial = useTrial();
  const problems = tokenProblems(draft);
  const isWhole = Object.keys(problems).length === 0;

  function change(part: Partial<TokenDraft>) {
    setDraft({ ...draft, ...part });
    setProblem(null);
    if ("token" in part || "accountId" in part) trial.forget();
  }

  function test() {
    setTried(true);
    const { broker_mode, account_id, token } = bodyOf(mode, draft);
    if (isWhole) void trial.run({ broker_mode, account_id, token });
  }

  async function store(event: FormEvent) {
    event.preventDefault();
    setTried(true);
    if (!isWhole || (isLive(mode) && !isTyped(draft.typed, WORD))) return;
    setBusy(true);
    setProblem(null);
    try {
      const stored = await storeCredentials(bodyOf(mode, draft));
      await Promise.all([
        untilListed(stored.account_id, true),
        queryClient.invalidateQueries({ queryKey: keys.settings }),
      ]);
      toast(renewed ? "Token renewed" : `Account ${stored.account_id} connected`, "good");
      onDone();
    } catch (error) {
      const { code, message } = asProblem(error);
      setProblem(refusalWords(mode, code, message));
      setBusy(false);
    }
  }
  return { draft, change, test, store, trial, busy, problem, shown: tried ? problems : {} };
}

interface TokenFormProps {
  mode: BrokerMode;
  /** The account whose token is renewed; null connects a new one. */
  renewed: AccountLine | null;
  onDone: () => void;
}

export function TokenForm({ mode, renewed, onDone }: TokenFormProps) {
  const form = useTokenForm(mode, renewed, onDone);
  const { draft, change, shown, trial } = form;
  const isBusy = form.busy || trial.busy;
  const needsWord = isLive(mode) && !isTyped(draft.typed, WORD);
  return (
    <form
      className="form"
      aria-label={`${renewed ? "Renew a token" : "Connect an account"}, ${MODES[mode].name}`}
      onSubmit={(event) => void form.store(event)}
      noValidate
    >
      <TextField
        label="Account number"
        value={draft.accountId}
        onChange={(accountId) => change({ accountId })}
        disabled={renewed !== null}
        autoComplete="off"
        spellCheck={false}
        problem={shown.accountId}
      />
      <TextField
        label="Name, as you call it"
        value={draft.name}
        onChange={(name) => change({ name })}
        autoComplete="off"
      />
      <TextField
        label="Access token"
        type="password"
        value={draft.token}
        onChange={(token) => change({ token })}
        autoComplete="off"
        problem={shown.token}
        hint="Sealed before it is stored, and never shown again."
      />
      {isLive(mode) && (
        <TypedWord
          word={WORD}
          why="to say that this token may spend real money"
          value={draft.typed}
          onChange={(typed) => change({ typed })}
        />
      )}
      {trial.verdict && (
        <p className={trial.verdict.good ? "said good" : "said bad"} role="status">
          {trial.verdict.words}
        </p>
      )}
      <FormProblem>{form.problem}</FormProblem>
      <div className="buttons">
        <button type="button" className="button" onClick={onDone}>
          Cancel
        </button>
        <button type="button" className="button" disabled={isBusy} onClick={form.test}>
          {trial.busy && <span className="spinner" aria-hidden="true" />}
          Test
        </button>
        <button type="submit" className="button primary" disabled={isBusy || needsWord}>
          {form.busy && <span className="spinner" aria-hidden="true" />}
          {renewed ? "Renew token" : "Store token"}
        </button>
      </div>
    </form>
  );
}
