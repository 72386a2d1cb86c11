// The account that new trades go to, and choosing another: a list by mode, with LIVE behind its typed word.

import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { AccountLine, BrokerMode, Settings } from "../../api/types";
import { dollars, parseDecimal } from "../../format/decimal";
import { accountsOf, accountText, EVERY_MODE, MODES } from "../../format/mode";
import { destinationOf, useAccounts, useSwitching } from "../../state/accounts";
import { go } from "../../state/route";
import { LiveDialog } from "./LiveDialog";

interface LineProps {
  line: AccountLine;
  inUse: boolean;
  busy: boolean;
  onChoose: (line: AccountLine) => void;
}

function Line({ line, inUse, busy, onChoose }: LineProps) {
  const worth = dollars(parseDecimal(line.status?.net_liquidation));
  return (
    <button type="button" className="line" disabled={inUse || busy} onClick={() => onChoose(line)}>
      <span className="who">
        <b>{line.account_name ?? line.account_id}</b>{" "}
        {line.account_name && <span className="muted">{line.account_id}</span>}
      </span>
      {inUse ? <span className="in-use">in use</span> : <span className="muted">{worth}</span>}
    </button>
  );
}

interface MenuProps {
  settings: Settings;
  onLive: (line: AccountLine) => void;
  onClose: () => void;
}

/** Move between a menu's lines with the arrow keys. */
function arrows(event: KeyboardEvent<HTMLDivElement>): void {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  const lines = [...event.currentTarget.querySelectorAll<HTMLElement>("button.line:not(:disabled)")];
  const at = lines.indexOf(document.activeElement as HTMLElement);
  const next = (at + (event.key === "ArrowDown" ? 1 : -1) + lines.length) % lines.length;
  lines[next]?.focus();
}

function Menu({ settings, onLive, onClose }: MenuProps) {
  const accounts = useAccounts();
  const switching = useSwitching();
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => menu.current?.querySelector<HTMLElement>("button.line:not(:disabled)")?.focus(), []);
  async function choose(line: AccountLine) {
    if (line.broker_mode === "TRADIER_LIVE" && settings.broker_mode !== "TRADIER_LIVE") onLive(line);
    else if (await switching.to(destinationOf(line))) onClose();
  }
  const isInUse = (line: AccountLine) =>
    line.broker_mode === settings.broker_mode && line.account_id === settings.account_id;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a group of buttons under one, not part of a form
    <div ref={menu} className="account-menu" role="group" aria-label="Trading accounts" onKeyDown={arrows}>
      {EVERY_MODE.map((mode: BrokerMode) => {
        const lines = accountsOf(mode, accounts.data ?? []);
        return (
          <div key={mode}>
            <h3>
              {MODES[mode].name} · {MODES[mode].money}
            </h3>
            {lines.length === 0 && <p className="none">{accounts.isPending ? "Reading…" : "No account yet."}</p>}
            {lines.map((line) => (
              <Line
                key={line.account_id}
                line={line}
                inUse={isInUse(line)}
                busy={switching.busy}
                onChoose={(chosen) => void choose(chosen)}
              />
            ))}
          </div>
        );
      })}
      {switching.problem && (
        <p className="form-problem" role="alert">
          {switching.problem}
        </p>
      )}
      <div className="foot">
        <button
          type="button"
          className="line"
          onClick={() => {
            go("settings", "accounts");
            onClose();
          }}
        >
          Manage accounts…
        </button>
      </div>
    </div>
  );
}

/** Close what is open when the focus or a click goes elsewhere, and on Esc. */
function useDismiss(open: boolean, onClose: () => void) {
  const root = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) onClose();
    };
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.key !== "Escape") return;
      onClose();
      root.current?.querySelector<HTMLElement>("button")?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
      document.removeEventListener("keydown", onKey);
    };
  }, [open, onClose]);
  return root;
}

export function AccountSwitch({ settings }: { settings: Settings }) {
  const [open, setOpen] = useState(false);
  const [live, setLive] = useState<AccountLine | null>(null);
  const [close] = useState(() => () => setOpen(false));
  const root = useDismiss(open, close);
  const accounts = useAccounts();
  const line = accounts.data?.find(
    (one) => one.account_id === settings.account_id && one.broker_mode === settings.broker_mode,
  );
  const text = accountText(settings.account_id, line?.account_name);
  return (
    <span className="account-switch" ref={root}>
      <button
        type="button"
        aria-expanded={open}
        aria-label={`Trading account: ${MODES[settings.broker_mode].name}, ${text}. Change`}
        onClick={() => setOpen(!open)}
      >
        <span className="name">{text}</span>
        <span aria-hidden="true">▾</span>
      </button>
      {open && (
        <Menu
          settings={settings}
          onLive={(chosen) => {
            setLive(chosen);
            setOpen(false);
          }}
          onClose={close}
        />
      )}
      {live && <LiveDialog line={live} from={settings.broker_mode} onDone={() => setLive(null)} />}
    </span>
  );
}
