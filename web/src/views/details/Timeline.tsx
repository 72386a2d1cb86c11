import type { TimelineEvent } from "../../api/types";
import { clockTime, dayAndTime } from "../../format/time";

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** A trade's story, newest first. */
export function Timeline({ events }: { events: TimelineEvent[] | undefined }) {
  if (!events || events.length === 0) return null;
  const newestFirst = [...events].reverse();
  return (
    <>
      <h3>Timeline</h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling list must be reachable by keyboard */}
      <ul className="timeline" tabIndex={0} aria-label="Timeline">
        {newestFirst.map((event) => (
          <li key={`${event.at} ${event.kind} ${event.text}`}>
            <time dateTime={event.at} title={`${dayAndTime(event.at)} ET`}>
              {clockTime(event.at)}
            </time>
            <span>{sentence(event.text)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
