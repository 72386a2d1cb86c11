// What a trade would take of the limits, drawn and in words, and what would refuse it.

import { useQuery } from "@tanstack/react-query";
import { asProblem } from "../../api/problem";
import { checkTrade } from "../../api/safety";
import type { PlaceBody } from "../../api/types";
import { type Gauge, gaugesOf, inWords } from "../../format/limits";
import { keys } from "../../state/queries";

/** Ask once for one order. It costs the broker several questions, so it is asked again only when somebody wants it. */
export function useTradeCheck(body: PlaceBody | null, enabled = true) {
  return useQuery({
    queryKey: keys.check(JSON.stringify(body)),
    queryFn: () => checkTrade(body as PlaceBody),
    enabled: enabled && body !== null,
    staleTime: 60_000,
    gcTime: 60_000,
    retry: false,
  });
}

function Bar({ gauge }: { gauge: Gauge }) {
  return (
    <li className={gauge.tone} data-limit={gauge.limit}>
      <div className="words">
        <span>{gauge.name}</span>
        <span>{gauge.words}</span>
      </div>
      <div className="gauge" aria-hidden="true">
        <span className="used" style={{ width: `${gauge.used}%` }} />
        <span className="added" style={{ width: `${gauge.added}%` }} />
      </div>
    </li>
  );
}

type Check = ReturnType<typeof useTradeCheck>;

function AskAgain({ check }: { check: Check }) {
  return (
    <button type="button" className="button small" disabled={check.isFetching} onClick={() => void check.refetch()}>
      {check.isFetching && <span className="spinner" aria-hidden="true" />}
      Check again
    </button>
  );
}

/** The gauges, or why there are none. `refusal` is left to the caller where it stands elsewhere. */
export function LimitsUse({ check }: { check: Check }) {
  if (check.isPending) return <p className="muted">Asking what it takes of your limits…</p>;
  if (check.isError)
    return (
      <div className="limits-unknown">
        <p className="warn">What it takes of your limits is not known. {asProblem(check.error).message}</p>
        <AskAgain check={check} />
      </div>
    );
  const { refusal } = check.data;
  return (
    <>
      <ul className="limits-use" aria-label="Limits">
        {gaugesOf(check.data).map((gauge) => (
          <Bar key={gauge.limit} gauge={gauge} />
        ))}
      </ul>
      {refusal && (
        <div className="limits-unknown">
          <p className="form-problem" role="alert">
            It would be refused: {inWords(refusal.detail)}
          </p>
          <AskAgain check={check} />
        </div>
      )}
    </>
  );
}
