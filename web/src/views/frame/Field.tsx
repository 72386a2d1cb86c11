// A labelled input that says what is wrong with it, to eyes and to screen readers.

import { type ReactNode, useId } from "react";

interface Shared {
  label: string;
  problem?: string | undefined;
  hint?: ReactNode;
}

interface TextFieldProps extends Shared {
  value: string;
  onChange: (value: string) => void;
  onBlur?: () => void;
  type?: "text" | "password";
  inputMode?: "text" | "numeric" | "decimal";
  autoComplete?: string;
  autoFocus?: boolean;
  disabled?: boolean;
  placeholder?: string;
  spellCheck?: boolean;
}

function Notes({ id, problem, hint }: { id: string; problem: string | undefined; hint: ReactNode }) {
  if (problem) {
    return (
      <span className="problem" id={id}>
        {problem}
      </span>
    );
  }
  return hint ? (
    <span className="hint" id={id}>
      {hint}
    </span>
  ) : null;
}

export function TextField({ label, problem, hint, onChange, type = "text", ...input }: TextFieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        {...input}
        id={id}
        type={type}
        onChange={(event) => onChange(event.target.value)}
        aria-invalid={problem ? true : undefined}
        aria-describedby={problem || hint ? `${id}-note` : undefined}
      />
      <Notes id={`${id}-note`} problem={problem} hint={hint} />
    </div>
  );
}

interface SelectFieldProps extends Shared {
  value: string;
  onChange: (value: string) => void;
  disabled?: boolean;
  children: ReactNode;
}

export function SelectField({ label, problem, hint, value, onChange, disabled = false, children }: SelectFieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        value={value}
        disabled={disabled}
        onChange={(event) => onChange(event.target.value)}
        aria-invalid={problem ? true : undefined}
        aria-describedby={problem || hint ? `${id}-note` : undefined}
      >
        {children}
      </select>
      <Notes id={`${id}-note`} problem={problem} hint={hint} />
    </div>
  );
}

interface ChoiceProps<Value extends string> {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange: (value: Value) => void;
}

/** Two or three exclusive choices side by side. */
export function Choice<Value extends string>({ label, value, options, onChange }: ChoiceProps<Value>) {
  const id = useId();
  return (
    <div className="field">
      <span className="label" id={id}>
        {label}
      </span>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be a grid row of buttons */}
      <div className="switch" role="group" aria-labelledby={id}>
        {options.map(([name, text]) => (
          <button key={name} type="button" aria-pressed={name === value} onClick={() => onChange(name)}>
            {text}
          </button>
        ))}
      </div>
    </div>
  );
}
