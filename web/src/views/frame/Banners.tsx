import type { Banner, MarketStatus } from "../../api/types";
import { dayAndTime } from "../../format/time";
import { Since } from "./Since";

const TONE: Record<Banner["level"], string> = { info: "info", warning: "warning", error: "error", critical: "error" };

function opensText(banner: Banner, market: MarketStatus | null): string {
  if (banner.code !== "market_closed" || !market?.next_open_at) return "";
  return ` It opens ${dayAndTime(market.next_open_at)} ET.`;
}

interface BannersProps {
  banners: readonly Banner[];
  market: MarketStatus | null;
}

/** Lines across the page: the state of broker, data and session. Each stays while it is true. */
export function Banners({ banners, market }: BannersProps) {
  return (
    <div className="banners" aria-live="polite">
      {banners.map((banner) => (
        <p key={`${banner.code} ${banner.text}`} className={`banner ${TONE[banner.level]}`} data-code={banner.code}>
          <span>
            {banner.text}
            {opensText(banner, market)}
          </span>
          {banner.since && <Since at={banner.since} />}
        </p>
      ))}
    </div>
  );
}
