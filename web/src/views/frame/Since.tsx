import { clockTime, dayAndTime, duration } from "../../format/time";
import { useNow } from "../../state/clock";

/** Since when something has been so, and for how long, a second fresh. The ticking part is not read out again and again. */
export function Since({ at }: { at: string }) {
  const now = useNow();
  const lasted = Math.max(0, (now - Date.parse(at)) / 1000);
  return (
    <time dateTime={at} title={`${dayAndTime(at)} ET`}>
      since {clockTime(at)} ET
      <span aria-hidden="true"> · {duration(lasted)}</span>
    </time>
  );
}
