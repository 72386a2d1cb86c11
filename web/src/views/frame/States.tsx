// What stands where a list will be: its skeleton, its absence, or why it could not be read.

import type { ReactNode } from "react";
import type { Problem } from "../../api/problem";

export function RowSkeletons({ columns, rows = 4 }: { columns: number; rows?: number }) {
  return (
    <table className="trades" aria-busy="true" aria-label="Loading">
      <tbody>
        {Array.from({ length: rows }, (_, row) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: skeletons have nothing else
          <tr key={row}>
            <td colSpan={columns}>
              <span className="skeleton" style={{ width: `${88 - row * 13}%` }} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Empty({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function LoadFailed({ what, problem, onRetry }: { what: string; problem: Problem; onRetry: () => void }) {
  return (
    <div className="empty" role="alert">
      <h2>{what} could not be loaded</h2>
      <p>{problem.message} Stops and targets rest at the broker and do not need this page.</p>
      {problem.correlationId && <p className="mono">Reference {problem.correlationId}</p>}
      <button type="button" className="button" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}
