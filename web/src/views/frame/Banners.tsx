import type { Banner } from "../../api/types";
import { clockTime } from "../../format/time";

const TONE: Record<Banner["level"], string> = { info: "info", warning: "warning", error: "error", critical: "error" };

/** Lines across the page about the broker, the data and the session; each stays as long as it is true. */
export function Banners({ banners }: { banners: readonly Banner[] }) {
  return (
    <div className="banners" aria-live="polite">
      {banners.map((banner) => (
        <p key={banner.code} className={`banner ${TONE[banner.level]}`} data-code={banner.code}>
          <span>{banner.text}</span>
          {banner.since && banner.level !== "info" && (
            <time dateTime={banner.since}>since {clockTime(banner.since)} ET</time>
          )}
        </p>
      ))}
    </div>
  );
}
