// A word that has to be typed before something grave is done: a click alone cannot do it.

import { useId } from "react";

export const isTyped = (typed: string, word: string): boolean => typed.trim() === word;

interface TypedWordProps {
  word: string;
  why: string;
  value: string;
  onChange: (typed: string) => void;
  first?: boolean;
}

export function TypedWord({ word, why, value, onChange, first = false }: TypedWordProps) {
  const id = useId();
  const wrongCase = !isTyped(value, word) && value.trim().toUpperCase() === word;
  return (
    <div className="field typed-word">
      <label htmlFor={id}>
        Type <b>{word}</b> {why}
      </label>
      <input
        id={id}
        value={value}
        autoComplete="off"
        autoCapitalize="characters"
        spellCheck={false}
        data-first={first || undefined}
        aria-describedby={wrongCase ? `${id}-note` : undefined}
        onChange={(event) => onChange(event.target.value)}
      />
      {wrongCase && (
        <span className="hint" id={`${id}-note`}>
          In capital letters.
        </span>
      )}
    </div>
  );
}
