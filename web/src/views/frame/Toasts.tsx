import { useStore } from "../../state/store";
import { dismiss, toasts } from "../../state/toasts";

export function Toasts() {
  const shown = useStore(toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.id} className={`toast ${toast.tone}`} data-tone={toast.tone}>
          <span>{toast.text}</span>
          <button type="button" className="button plain icon" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}
