interface ToggleProps {
  label: string;
  on: boolean;
  disabled?: boolean;
  title?: string;
  onChange: (on: boolean) => void;
}

export function Toggle({ label, on, disabled = false, title, onChange }: ToggleProps) {
  return (
    <button
      type="button"
      className="toggle"
      role="switch"
      aria-checked={on}
      disabled={disabled}
      title={title}
      onClick={() => onChange(!on)}
    >
      {label}
    </button>
  );
}
