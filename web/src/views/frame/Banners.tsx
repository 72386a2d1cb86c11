import type { Banner, Incident } from "../../api/types";
import { clockTime } from "../../format/time";

const TONE: Record<Banner["level"], string> = { info: "info", warning: "warning", error: "error", critical: "error" };

interface BannersProps {
  banners: readonly Banner[];
  incidents: readonly Incident[];
}

/** Lines across the page: the state of broker, data and session, then open incidents. Each stays while it is true. */
export function Banners({ banners, incidents }: BannersProps) {
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
      {incidents.map((incident) => (
        <p key={incident.id} className={`banner ${TONE[incident.severity]}`} data-incident={incident.kind}>
          <span>{incident.text}</span>
          <time dateTime={incident.opened_at}>since {clockTime(incident.opened_at)} ET</time>
        </p>
      ))}
    </div>
  );
}
