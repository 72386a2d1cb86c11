// A trade's story: what happened, who wanted it, what the broker answered, and how long each step took.

import { useState } from "react";
import type { Incident, TimelineEvent } from "../../api/types";
import { gapText, type Icon, storyOf, type Told } from "../../format/story";
import { clockTime, dateText, dayAndTime } from "../../format/time";

const SIGNS: Record<Icon, readonly [string, string]> = {
  you: ["●", "You did this"],
  broker: ["◆", "The broker's word"],
  bookend: ["■", "Done by Bookend"],
  bought: ["+", "Money out"],
  sold: ["−", "Sold"],
  shield: ["✓", "Protected"],
  alarm: ["!", "Alarm"],
  question: ["?", "No clear answer"],
  stop: ["×", "Not sent"],
};

function Answer({ answer }: { answer: Told["answer"] }) {
  return (
    <details className="answer">
      <summary>What was recorded</summary>
      <dl>
        {answer.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="mono">{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function Line({ line, gap }: { line: Told; gap: string }) {
  const [sign, who] = SIGNS[line.icon];
  return (
    <li className={`told ${line.tone}`} data-icon={line.icon}>
      <time dateTime={line.at} title={`${dayAndTime(line.at)} ET`}>
        {clockTime(line.at)}
      </time>
      <span className="gap">{gap}</span>
      <span className="sign" aria-hidden="true" title={who}>
        {sign}
      </span>
      <div>
        <span className="words">{line.text}</span>
        {line.via && <span className="sub">from {line.via}</span>}
        {line.meaning && <span className="sub">{line.meaning}</span>}
        {line.answer.length > 0 && <Answer answer={line.answer} />}
      </div>
    </li>
  );
}

function Lines({ told }: { told: readonly Told[] }) {
  return told.map((line, place) => {
    const before = told[place - 1];
    const day = dateText(line.at);
    return [
      before && dateText(before.at) !== day && (
        <li key={`${line.key} day`} className="day">
          {day}
        </li>
      ),
      <Line key={line.key} line={line} gap={gapText(before, line)} />,
    ];
  });
}

interface TimelineProps {
  events: readonly TimelineEvent[] | undefined;
  incidents: readonly Incident[] | undefined;
  failed: boolean;
}

/** Oldest first, as it happened; small steps on request. */
export function Timeline({ events, incidents, failed }: TimelineProps) {
  const [all, setAll] = useState(false);
  if (failed) return <p className="muted">What happened could not be loaded.</p>;
  if (!events) return <span className="skeleton" />;
  const story = storyOf(events, incidents ?? []);
  const told = all ? story : story.filter((line) => !line.isSmall);
  const hidden = story.length - story.filter((line) => !line.isSmall).length;
  const first = story[0];
  return (
    <>
      <div className="story-head">
        <h3>What happened</h3>
        {first && <span className="muted">{dateText(first.at)}, New York time</span>}
        <span className="spring" />
        {hidden > 0 && (
          <button type="button" className="button small" aria-pressed={all} onClick={() => setAll(!all)}>
            {all ? "Show the story only" : `Show every step (${story.length})`}
          </button>
        )}
      </div>
      <ol className="timeline" aria-label="Timeline">
        <Lines told={told} />
      </ol>
    </>
  );
}
