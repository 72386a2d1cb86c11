interface ToggleProps {
  label: string;
  /** What it switches, where the label beside it only says whether it is on. */
  name?: string;
  on: boolean;
  disabled?: boolean;
  title?: string;
  onChange: (on: boolean) => void;
}

export function Toggle({ label, name, on, disabled = false, title, onChange }: ToggleProps) {
  return (
    <button
      type="button"
      className="toggle"
      role="switch"
      aria-checked={on}
      aria-label={name}
      disabled={disabled}
      title={title}
      onClick={() => onChange(!on)}
    >
      {label}
    </button>
  );
}
