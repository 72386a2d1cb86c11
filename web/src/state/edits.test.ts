import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Settings } from "../api/types";
import { discardEdits, edit, saveEdits, unsaved } from "./edits";
import { someSettings } from "./exampleSettings";
import { keys, queryClient } from "./queries";
import { toasts } from "./toasts";

vi.hoisted(() => vi.stubGlobal("location", { origin: "http://bookend.test" }));

const settings = someSettings();
let sent: unknown[] = [];

/** Let the server answer once, and keep what it was asked. */
function answering(status: number, body: unknown): void {
  vi.stubGlobal("fetch", async (request: Request) => {
    sent.push(await request.json());
    return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  discardEdits();
  queryClient.clear();
  toasts.set([]);
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

it("keeps everything typed when one setting is refused, and says so beside that one", async () => {
  edit(settings, "max_positions", "0");
  edit(settings, "heat_limit_pct", "7.5");
  answering(422, { code: "invalid_input", detail: "max_positions: input should be greater than or equal to 1" });
  await saveEdits();
  expect(sent).toEqual([{ max_positions: 0, heat_limit_pct: "7.5" }]);
  expect(unsaved.get()).toEqual({
    edits: { max_positions: "0", heat_limit_pct: "7.5" },
    problems: { max_positions: "Should be greater than or equal to 1." },
    refusal: null,
    busy: false,
  });
});

it("sends nothing while a field holds no value", async () => {
  edit(settings, "daily_loss_limit", "1,000");
  answering(200, settings);
  await saveEdits();
  expect(sent).toEqual([]);
  expect(unsaved.get().problems).toHaveProperty("daily_loss_limit");
});

it("forgets what was saved, not what was typed meanwhile", async () => {
  edit(settings, "max_positions", "7");
  answering(200, { ...settings, max_positions: 7 });
  const saving = saveEdits();
  edit(settings, "heat_limit_pct", "9");
  await saving;
  expect(unsaved.get().edits).toEqual({ heat_limit_pct: "9" });
  expect(queryClient.getQueryData<Settings>(keys.settings)?.max_positions).toBe(7);
});

it("says why nothing was saved where no field is to blame", async () => {
  edit(settings, "max_positions", "7");
  answering(503, { code: "upstream_unavailable", detail: "orders does not answer" });
  await saveEdits();
  expect(unsaved.get()).toMatchObject({ edits: { max_positions: "7" }, refusal: "Orders does not answer." });
});
