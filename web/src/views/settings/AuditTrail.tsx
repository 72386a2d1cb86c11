// Who did what to the account: newest first, page after page. Every line is somebody's text and shown as text.

import { useInfiniteQuery } from "@tanstack/react-query";
import { listAudit } from "../../api/audit";
import { asProblem } from "../../api/problem";
import type { AuditLine } from "../../api/types";
import { auditText } from "../../format/audit";
import { dayAndTime } from "../../format/time";
import { keys } from "../../state/queries";
import { LoadFailed, RowSkeletons } from "../frame/States";

function Line({ line }: { line: AuditLine }) {
  return (
    <tr data-kind={line.kind}>
      <td>
        <time dateTime={line.at}>{dayAndTime(line.at)} ET</time>
      </td>
      <td>{auditText(line.text)}</td>
      <td className="muted">
        {line.actor}
        {line.via && <span className="sub">{line.via}</span>}
      </td>
    </tr>
  );
}

function useAudit() {
  return useInfiniteQuery({
    queryKey: keys.audit,
    queryFn: ({ pageParam }) => listAudit(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    staleTime: 0,
  });
}

export function AuditTrail() {
  const audit = useAudit();
  if (audit.isError && !audit.data)
    return <LoadFailed what="The audit trail" problem={asProblem(audit.error)} onRetry={() => void audit.refetch()} />;
  const lines = audit.data?.pages.flatMap((page) => page.entries) ?? [];
  return (
    <section className="card" aria-label="Audit trail">
      <h2>Audit trail</h2>
      <p className="lead">
        Who did what to your account: sign-ins, passwords, keys, credentials, limits, modes, approvals and kill
        switches. Lines are only ever added. What happened to a trade stands in its own story.
      </p>
      {audit.isPending && <RowSkeletons columns={1} />}
      {lines.length > 0 && (
        <table className="plain-table audit" aria-label="Audit trail">
          <thead>
            <tr>
              <th>When</th>
              <th>What</th>
              <th>By</th>
            </tr>
          </thead>
          <tbody>
            {lines.map((line) => (
              <Line key={line.id} line={line} />
            ))}
          </tbody>
        </table>
      )}
      {audit.isError && (
        <p className="form-problem" role="alert">
          {asProblem(audit.error).message}
        </p>
      )}
      {audit.hasNextPage && (
        <button
          type="button"
          className="button small"
          disabled={audit.isFetchingNextPage}
          onClick={() => void audit.fetchNextPage()}
        >
          {audit.isFetchingNextPage && <span className="spinner" aria-hidden="true" />}
          Older
        </button>
      )}
    </section>
  );
}
