// A question over the page. It says which money it is about, takes Esc for no, and gives the focus back.

import { type FormEvent, type ReactNode, useEffect, useId, useRef } from "react";
import type { BrokerMode } from "../../api/types";
import { MODES } from "../../format/mode";

/** The coloured line that says which money and which account. */
export function MoneyLine({ mode, account }: { mode: BrokerMode; account?: string }) {
  return (
    <p className="money-line" data-mode={mode}>
      <b>{MODES[mode].name}</b> {MODES[mode].money}
      {account ? `, account ${account}` : ""}
    </p>
  );
}

interface DialogProps {
  title: string;
  /** Left out where the question is about no one account's money. */
  mode?: BrokerMode | null;
  account?: string;
  wide?: boolean;
  onClose: () => void;
  /** Given, the content is a form and Enter sends it. */
  onSubmit?: () => void;
  children: ReactNode;
}

export function Dialog({ title, mode, account, wide = false, onClose, onSubmit, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    const shown = dialog.current;
    if (shown && !shown.open) shown.showModal();
    shown?.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  function submit(event: FormEvent) {
    event.preventDefault();
    onSubmit?.();
  }
  const content = (
    <>
      {mode && <MoneyLine mode={mode} {...(account ? { account } : {})} />}
      <h2 id={id}>{title}</h2>
      {children}
    </>
  );
  return (
    <dialog
      ref={dialog}
      className={wide ? "dialog wide" : "dialog"}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => event.stopPropagation()}
      onKeyDown={(event) => event.stopPropagation()}
    >
      {onSubmit ? (
        <form className="content" onSubmit={submit} noValidate>
          {content}
        </form>
      ) : (
        <div className="content">{content}</div>
      )}
    </dialog>
  );
}

/** The words of a refusal inside a dialog or form. */
export function FormProblem({ children }: { children: ReactNode }) {
  return children ? (
    <p className="form-problem" role="alert">
      {children}
    </p>
  ) : null;
}
