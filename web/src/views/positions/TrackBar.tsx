// The trade in one picture: stop at the left end, target at the right, a tick at the entry, a dot at the price now.

import type { CSSProperties } from "react";
import type { Trade } from "../../api/types";
import { price } from "../../format/decimal";
import { type Track, trackOf } from "../../format/trade";

function railClass(track: Track): string {
  if (!track.hasStop) return "rail open-left";
  return track.hasTarget ? "rail" : "rail open-right";
}

export function TrackBar({ trade }: { trade: Trade }) {
  const track = trackOf(trade);
  if (!track) return <span className="muted">No exits asked for</span>;
  const at = { "--entry": `${track.entry ?? track.now ?? 50}%`, "--now": `${track.now ?? 50}%` } as CSSProperties;
  return (
    <div className="track">
      <span className="ends">
        <span className="down">{track.hasStop ? price(trade.sl_price) : "no stop"}</span>
        <span className="gain">{track.hasTarget ? price(trade.tp_price) : "no target"}</span>
      </span>
      <span className={railClass(track)} style={at} aria-hidden="true">
        {track.entry !== null && <span className="at-entry" />}
        {track.now !== null && <span className="at-now" />}
      </span>
      <span className="ends muted">
        <span>
          <span className="visually-hidden">distance to stop </span>
          {track.stopAway}
        </span>
        <span>
          <span className="visually-hidden">distance to target </span>
          {track.targetAway}
        </span>
      </span>
    </div>
  );
}
