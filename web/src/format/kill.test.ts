import { expect, it } from "vitest";
import type { KillRow, KillState } from "../api/types";
import { isWorthShowing, killStateOf, linesOf, unfinished } from "./kill";

const row = (id: string): KillRow => ({
  trade_id: id,
  occ_symbol: "AAPL261218C00230000",
  account_id: "VA00000001",
  broker_mode: "PAPER",
  qty: 1,
  reason: "the sale is at the broker",
});
const state = (changes: Partial<KillState> = {}): KillState => ({
  engaged: true,
  changed_at: "2026-11-20T15:02:10Z",
  closing: [],
  queued_for_open: [],
  unknown: [],
  failed: [],
  settling: [],
  foreign: [],
  omitted: 0,
  ...changes,
});

it("lists what failed first and what is not ours last", () => {
  const lines = linesOf(state({ closing: [row("a")], failed: [row("b")], foreign: [row("c")], unknown: [row("d")] }));
  expect(lines.map(({ list, row: { trade_id } }) => `${list} ${trade_id}`)).toEqual([
    "failed b",
    "unknown d",
    "closing a",
    "foreign c",
  ]);
});

it("counts what is not over, unlisted rows too, and never what is not ours", () => {
  expect(unfinished(state({ closing: [row("a")], foreign: [row("c")], omitted: 3 }))).toBe(4);
});

it("is shown while it is on, and after a release until everything it began is over", () => {
  expect(isWorthShowing(state())).toBe(true);
  expect(isWorthShowing(state({ engaged: false, closing: [row("a")] }))).toBe(true);
  expect(isWorthShowing(state({ engaged: false, foreign: [row("c")] }))).toBe(false);
  expect(isWorthShowing(undefined)).toBe(false);
});

it("takes only a whole state from the stream", () => {
  expect(killStateOf(JSON.stringify(state({ closing: [row("a")] })))?.closing).toHaveLength(1);
  expect(killStateOf('{"engaged":true}')).toBeNull();
  expect(killStateOf("null")).toBeNull();
  expect(killStateOf("not json")).toBeNull();
});
