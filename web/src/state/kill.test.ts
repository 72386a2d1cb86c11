import { beforeEach, expect, it } from "vitest";
import type { KillState } from "../api/types";
import { learnKill } from "./kill";
import { keys, queryClient } from "./queries";

const state = (engaged: boolean, changed_at: string): KillState => ({
  engaged,
  changed_at,
  closing: [],
  queued_for_open: [],
  unknown: [],
  failed: [],
  settling: [],
  foreign: [],
  omitted: 0,
});
const known = () => queryClient.getQueryData<KillState>(keys.kill);

beforeEach(() => queryClient.clear());

it("takes the whole state from the stream", () => {
  learnKill(JSON.stringify(state(true, "2026-11-20T15:02:10Z")));
  expect(known()?.engaged).toBe(true);
});

it("is not turned on again by a fact that is older than the release", () => {
  queryClient.setQueryData(keys.kill, state(false, "2026-11-20T15:05:00Z"));
  learnKill(JSON.stringify(state(true, "2026-11-20T15:02:10Z")));
  expect(known()?.engaged).toBe(false);
});

it("asks again where a fact is not whole", () => {
  queryClient.setQueryData(keys.kill, state(true, "2026-11-20T15:02:10Z"));
  learnKill('{"engaged":false}');
  expect(known()?.engaged).toBe(true);
  expect(queryClient.getQueryState(keys.kill)?.isInvalidated).toBe(true);
});
