// The order ticket's market data: expirations of the ticker typed, the chain of the expiry chosen, and the option meant.

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { getChain, getExpirations } from "../api/market";
import { asProblem } from "../api/problem";
import type { Chain, ChainOption } from "../api/types";
import { parseDecimal } from "../format/decimal";
import type { Draft } from "./draft";
import { keys } from "./queries";

const SETTLE_MS = 350;
const CHAIN_EVERY_MS = 10_000;
const TICKER = /^[A-Z][A-Z0-9./^-]{0,9}$/;

/** A value once it has been left alone for a moment. */
export function useSettled<Value>(value: Value): Value {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

export interface TicketMarket {
  expirations: readonly string[];
  expirationsBusy: boolean;
  tickerProblem: string | undefined;
  chain: Chain | undefined;
  chainBusy: boolean;
  chainProblem: string | undefined;
  options: readonly ChainOption[];
  quote: ChainOption | undefined;
}

const sameStrike = (left: string, right: string): boolean => left !== "" && parseDecimal(left) === parseDecimal(right);

/** Ask for what the draft needs next; nothing is asked for a ticker still being typed. */
export function useTicketMarket(draft: Draft): TicketMarket {
  const ticker = useSettled(draft.ticker);
  const expirations = useQuery({
    queryKey: keys.expirations(ticker),
    queryFn: () => getExpirations(ticker),
    enabled: TICKER.test(ticker),
    staleTime: 300_000,
  });
  const wanted = ticker === draft.ticker && draft.expiry !== "";
  const chain = useQuery({
    queryKey: keys.chain(ticker, draft.expiry),
    queryFn: () => getChain(ticker, draft.expiry),
    enabled: wanted && TICKER.test(ticker),
    refetchInterval: CHAIN_EVERY_MS,
  });
  const shown = wanted ? chain.data : undefined;
  const options = shown?.options.filter((option) => option.option_type === draft.optionType) ?? [];
  return {
    expirations: ticker === draft.ticker ? (expirations.data?.expirations ?? []) : [],
    expirationsBusy: expirations.isFetching,
    tickerProblem: expirations.isError && ticker === draft.ticker ? asProblem(expirations.error).message : undefined,
    chain: shown,
    chainBusy: chain.isFetching && !shown,
    chainProblem: wanted && chain.isError && !shown ? asProblem(chain.error).message : undefined,
    options,
    quote: options.find((option) => sameStrike(option.strike, draft.strike)),
  };
}
