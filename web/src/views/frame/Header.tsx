// The line below the band: whether the market and the live link are up, sounds, settings, and who is signed in.

import type { MarketStatus } from "../../api/types";
import { clockTime } from "../../format/time";
import { signOut } from "../../state/session";
import type { StreamState } from "../../state/stream";
import { Logo } from "./Logo";
import { Toggle } from "./Toggle";

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
  if (state === "live") return <span className="link-state">Streaming</span>;
  if (state === "connecting") return <span className="link-state waiting">Connecting</span>;
  return (
    <span className={autoRefresh ? "link-state waiting" : "link-state off"}>
      {autoRefresh ? "Reconnecting" : "Not streaming"}
    </span>
  );
}

interface HeaderProps {
  username: string;
  market: MarketStatus | null;
  stream: StreamState;
  autoRefresh: boolean;
  sounds: boolean;
  onSounds: (on: boolean) => void;
}

export function Header({ username, market, stream, autoRefresh, sounds, onSounds }: HeaderProps) {
  return (
    <header className="header">
      <Logo />
      <span className="spring" />
      {market && (
        <span className={`link-state market ${market.state.toLowerCase() === "open" ? "" : "closed"}`}>
          {marketText(market)}
        </span>
      )}
      <LinkState state={stream} autoRefresh={autoRefresh} />
      <Toggle label="Sounds" on={sounds} onChange={onSounds} />
      <span className="muted user">{username}</span>
      <a className="button small" href="#settings">
        Settings
      </a>
      <button type="button" className="button small" onClick={() => void signOut()}>
        Log out
      </button>
    </header>
  );
}
