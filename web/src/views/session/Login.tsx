// Logging in and making an account: the same two fields, one switch between them.

import { type FormEvent, useState } from "react";
import { asProblem } from "../../api/problem";
import { logIn, register } from "../../api/session";
import { keys, queryClient } from "../../state/queries";
import { farewell } from "../../state/session";
import { useStore } from "../../state/store";
import { TextField } from "../frame/Field";
import { Logo } from "../frame/Logo";

function usernameProblem(username: string): string | undefined {
  if (/^[a-z0-9][a-z0-9_-]{2,31}$/.test(username)) return undefined;
  return "3 to 32 of a-z, 0-9, - and _, beginning with a letter or digit.";
}

const passwordProblem = (password: string): string | undefined =>
  password.length < 8 ? "At least 8 characters." : undefined;

function useEntrance() {
  const [isNew, setIsNew] = useState(false);
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const faults = isNew ? { username: usernameProblem(username), password: passwordProblem(password) } : {};

  async function submit(event: FormEvent) {
    event.preventDefault();
    setTried(true);
    if (faults.username || faults.password) return;
    setBusy(true);
    setProblem(null);
    try {
      const user = await (isNew ? register : logIn)({ username, password });
      farewell.set(null);
      queryClient.setQueryData(keys.me, user);
    } catch (error) {
      setProblem(asProblem(error).message);
      setBusy(false);
    }
  }

  function turn() {
    setIsNew(!isNew);
    setTried(false);
    setProblem(null);
  }
  return { isNew, username, setUsername, password, setPassword, busy, tried, problem, faults, submit, turn };
}

export function Login() {
  const form = useEntrance();
  const parting = useStore(farewell);
  const shown = form.problem ?? parting;
  return (
    <div className="login shell" data-mode="PAPER">
      <form onSubmit={form.submit} noValidate>
        <Logo />
        <p className="lead">Option trades with a stop and a target resting at the broker.</p>
        <TextField
          label="Username"
          value={form.username}
          onChange={(text) => form.setUsername(text.trim().toLowerCase())}
          autoComplete="username"
          autoFocus
          spellCheck={false}
          problem={form.tried ? form.faults.username : undefined}
        />
        <TextField
          label="Password"
          type="password"
          value={form.password}
          onChange={form.setPassword}
          autoComplete={form.isNew ? "new-password" : "current-password"}
          problem={form.tried ? form.faults.password : undefined}
        />
        {shown && (
          <p className="form-problem" role="alert">
            {shown}
          </p>
        )}
        <button type="submit" className="button primary" disabled={form.busy || !form.username || !form.password}>
          {form.busy && <span className="spinner" aria-hidden="true" />}
          {form.isNew ? "Create account" : "Log in"}
        </button>
        <button type="button" className="button plain" onClick={form.turn}>
          {form.isNew ? "I have an account" : "Create an account"}
        </button>
      </form>
    </div>
  );
}
