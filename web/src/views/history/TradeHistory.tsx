// The second tab: what is over, filtered by how it ended, page after page, and the way to take it all home.

import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { asProblem } from "../../api/problem";
import { exportAddress, type HistoryFilter, listHistory } from "../../api/trades";
import type { BrokerMode, Trade } from "../../api/types";
import { keys } from "../../state/queries";
import { Empty, LoadFailed, RowSkeletons } from "../frame/States";
import { HISTORY_COLUMNS, HistoryRow } from "./HistoryRow";

const RETRY_MS = 4000;
const FILTERS: readonly (readonly [HistoryFilter, string])[] = [
  ["all", "All"],
  ["win", "Wins"],
  ["loss", "Losses"],
  ["expired", "Expired"],
];

function FilterBar({ filter, onFilter }: { filter: HistoryFilter; onFilter: (filter: HistoryFilter) => void }) {
  return (
    <div className="filter-bar">
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset would draw a box */}
      <div className="chips" role="group" aria-label="Which trades">
        {FILTERS.map(([name, text]) => (
          <button key={name} type="button" aria-pressed={name === filter} onClick={() => onFilter(name)}>
            {text}
          </button>
        ))}
      </div>
      <span className="spring" />
      <a className="button small" href={exportAddress("csv")} download>
        Export CSV
      </a>
      <a className="button small" href={exportAddress("json")} download>
        Export JSON
      </a>
    </div>
  );
}

function Table({ trades, mode }: { trades: readonly Trade[]; mode: BrokerMode | null }) {
  const [expanded, setExpanded] = useState<string | null>(null);
  return (
    <table className="trades" aria-label="Trade history">
      <thead>
        <tr>
          <th>Contract</th>
          <th>Result</th>
          <th className="number">Entry → exit</th>
          <th className="number">P&L</th>
          <th>How it ended</th>
          <th>Closed</th>
        </tr>
      </thead>
      <tbody>
        {trades.map((trade) => (
          <HistoryRow
            key={trade.id}
            trade={trade}
            mode={mode}
            expanded={trade.id === expanded}
            onToggle={() => setExpanded(trade.id === expanded ? null : trade.id)}
          />
        ))}
      </tbody>
    </table>
  );
}

function useHistoryPages(filter: HistoryFilter) {
  return useInfiniteQuery({
    queryKey: [...keys.history, filter],
    queryFn: ({ pageParam }) => listHistory(filter, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: (query) => (query.state.status === "error" ? RETRY_MS : false),
  });
}

function Pages({ filter, mode }: { filter: HistoryFilter; mode: BrokerMode | null }) {
  const history = useHistoryPages(filter);
  if (history.isPending) return <RowSkeletons columns={HISTORY_COLUMNS} />;
  if (history.isError && !history.data) {
    return (
      <LoadFailed what="Trade history" problem={asProblem(history.error)} onRetry={() => void history.refetch()} />
    );
  }
  const trades = history.data.pages.flatMap((page) => page.trades);
  if (trades.length === 0) {
    return (
      <Empty title={filter === "all" ? "No trade is over yet" : "Nothing here"}>
        <p>
          {filter === "all"
            ? "Trades that hit their target or stop, or that you close, are kept here."
            : "No trade ended this way."}
        </p>
      </Empty>
    );
  }
  return (
    <>
      <Table trades={trades} mode={mode} />
      {history.hasNextPage && (
        <div className="pager">
          <button
            type="button"
            className="button"
            disabled={history.isFetchingNextPage}
            onClick={() => void history.fetchNextPage()}
          >
            {history.isFetchingNextPage && <span className="spinner" aria-hidden="true" />}
            Load more
          </button>
        </div>
      )}
    </>
  );
}

export function TradeHistory({ mode }: { mode: BrokerMode | null }) {
  const [filter, setFilter] = useState<HistoryFilter>("all");
  return (
    <>
      <FilterBar filter={filter} onFilter={setFilter} />
      <Pages filter={filter} mode={mode} />
    </>
  );
}
