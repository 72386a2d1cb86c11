// The band at the top that scrolling never takes away: which money new trades cost, and from which account.

import { type ReactNode, useEffect, useRef } from "react";
import type { Settings, Trade } from "../../api/types";
import { elsewhereText, MODES } from "../../format/mode";
import { AccountSwitch } from "./AccountSwitch";

/** Tell the styles how high the band is just now, so that nothing is laid below it. */
function useHeight() {
  const band = useRef<HTMLElement>(null);
  useEffect(() => {
    const shown = band.current;
    if (!shown) return;
    const watcher = new ResizeObserver(() =>
      document.documentElement.style.setProperty("--band", `${shown.offsetHeight}px`),
    );
    watcher.observe(shown);
    return () => watcher.disconnect();
  }, []);
  return band;
}

interface BandProps {
  settings: Settings | null;
  trades: readonly Trade[];
  children?: ReactNode;
}

export function Band({ settings, trades, children }: BandProps) {
  const band = useHeight();
  const mode = settings?.broker_mode ?? null;
  const elsewhere = settings ? elsewhereText(mode, trades) : "";
  return (
    <section className="band" ref={band} aria-label="Trading mode">
      <b className="word">{mode ? MODES[mode].name : "MODE UNKNOWN"}</b>
      <span className="money">{mode ? MODES[mode].money : "your settings have not been read yet"}</span>
      {settings && <AccountSwitch settings={settings} />}
      {elsewhere && <span className="elsewhere">{elsewhere}</span>}
      <span className="spring" />
      {children}
    </section>
  );
}

/** A mode's word in its own colour, for what may be of another mode than the page. */
export function ModeChip({ mode }: { mode: Settings["broker_mode"] }) {
  return (
    <span className="mode-chip" data-mode={mode}>
      {MODES[mode].name}
    </span>
  );
}
