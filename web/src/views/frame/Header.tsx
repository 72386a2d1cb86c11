// The top line: which money this is, whether the market and the live link are up, sounds, and who is signed in.

import type { BrokerMode, MarketStatus } from "../../api/types";
import { clockTime } from "../../format/time";
import { signOut } from "../../state/session";
import type { StreamState } from "../../state/stream";
import { Logo } from "./Logo";
import { Toggle } from "./Toggle";

export const MODES: Record<BrokerMode, { name: string; money: string }> = {
  PAPER: { name: "PAPER", money: "simulated money" },
  TRADIER_SANDBOX: { name: "SANDBOX", money: "Tradier test money" },
  TRADIER_LIVE: { name: "LIVE", money: "real money" },
};

const MARKET: Record<string, string> = {
  open: "Market open",
  closed: "Market closed",
  premarket: "Market closed",
  postmarket: "Market closed",
};

function marketText(market: MarketStatus): string {
  const state = MARKET[market.state.toLowerCase()] ?? `Market ${market.state.toLowerCase().replaceAll("_", " ")}`;
  if (market.state.toLowerCase() !== "open" || !market.next_change_at) return state;
  return `${state}, closes ${clockTime(market.next_change_at).slice(0, 5)} ET`;
}

function LinkState({ state, autoRefresh }: { state: StreamState; autoRefresh: boolean }) {
  if (state === "live") return <span className="link-state">Live</span>;
  if (state === "connecting") return <span className="link-state waiting">Connecting</span>;
  return (
    <span className={autoRefresh ? "link-state waiting" : "link-state off"}>
      {autoRefresh ? "Reconnecting" : "Not live"}
    </span>
  );
}

interface HeaderProps {
  username: string;
  mode: BrokerMode | null;
  market: MarketStatus | null;
  stream: StreamState;
  autoRefresh: boolean;
  sounds: boolean;
  onSounds: (on: boolean) => void;
}

export function Header({ username, mode, market, stream, autoRefresh, sounds, onSounds }: HeaderProps) {
  return (
    <header className="header">
      <Logo />
      {mode && (
        <span className="mode">
          {MODES[mode].name} <small>{MODES[mode].money}</small>
        </span>
      )}
      <span className="spring" />
      {market && (
        <span className={`link-state market ${market.state.toLowerCase() === "open" ? "" : "closed"}`}>
          {marketText(market)}
        </span>
      )}
      <LinkState state={stream} autoRefresh={autoRefresh} />
      <Toggle label="Sounds" on={sounds} onChange={onSounds} />
      <span className="muted user">{username}</span>
      <button type="button" className="button small" onClick={() => void signOut()}>
        Log out
      </button>
    </header>
  );
}
