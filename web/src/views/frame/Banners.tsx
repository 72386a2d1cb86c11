import type { Banner, MarketStatus } from "../../api/types";
import { dayAndTime } from "../../format/time";
import { Since } from "./Since";

const TONE: Record<Banner["level"], string> = { info: "info", warning: "warning", error: "error", critical: "error" };

function closedText(market: MarketStatus): string {
  const opens = market.next_open_at ? ` It opens ${dayAndTime(market.next_open_at)} ET.` : "";
  return `The market is closed.${opens} Closes and moved exits wait for the open; brackets keep resting.`;
}

interface BannersProps {
  banners: readonly Banner[];
  market: MarketStatus | null;
}

/** Lines across the page: the state of broker, data and session. Each stays while it is true. */
export function Banners({ banners, market }: BannersProps) {
  const isTold = banners.some((banner) => banner.code === "market_closed");
  return (
    <div className="banners" aria-live="polite">
      {banners.map((banner) => (
        <p key={`${banner.code} ${banner.text}`} className={`banner ${TONE[banner.level]}`} data-code={banner.code}>
          <span>{banner.text}</span>
          {banner.since && <Since at={banner.since} />}
        </p>
      ))}
      {market && market.state.toLowerCase() !== "open" && !isTold && (
        <p className="banner info" data-code="market_closed">
          <span>{closedText(market)}</span>
        </p>
      )}
    </div>
  );
}
