import { describe, expect, it } from "vitest";
import type { Incident, TimelineEvent } from "../api/types";
import { gapText, plainWords, storyOf } from "./story";

let id = 0;
const event = (kind: string, text: string, changes: Partial<TimelineEvent> = {}): TimelineEvent => ({
  id: ++id,
  at: "2026-11-20T15:00:00.000Z",
  kind,
  actor: "system",
  text,
  data: {},
  ...changes,
});
const incident: Incident = {
  id: "i-1",
  kind: "naked",
  severity: "critical",
  text: "SPY261218C00620000: 2 held without every exit asked for",
  trade_id: "t-1",
  occ_symbol: "SPY261218C00620000",
  broker_mode: "PAPER",
  account_id: "VA1",
  opened_at: "2026-11-20T15:00:05Z",
  ended_at: "2026-11-20T15:00:17.5Z",
};
const only = (told: TimelineEvent) => storyOf([told], [])[0];

describe("a line of the story", () => {
  it("says who asked for what, and from where", () => {
    const line = only(
      event("asked", "demo asks for 2 SPY261218C00620000, market entry", {
        actor: "user",
        data: { via: "the page (Firefox on Linux), 10.0.0.7" },
      }),
    );
    expect(line?.text).toBe("You asked for 2 SPY 18 Dec 26 620 C, market entry");
    expect(line?.via).toBe("the page (Firefox on Linux), 10.0.0.7");
    expect(line?.answer).toEqual([]);
  });

  it("tells a fill as money, with the exit's colour", () => {
    const fill = { status: "FILLED", filled_qty: 2, qty: 2, avg_price: "6.3", id: "17" };
    const target = only(event("order_report", "…", { actor: "broker", data: { ...fill, role: "TAKE_PROFIT" } }));
    expect([target?.text, target?.tone]).toEqual(["Sold 2 at 6.30 by the take profit order", "good"]);
    const entry = only(
      event("order_report", "…", { data: { ...fill, role: "ENTRY", filled_qty: 1, status: "PARTIAL" } }),
    );
    expect([entry?.text, entry?.icon]).toEqual(["Bought 1 of 2 at 6.30", "bought"]);
  });

  it("keeps the broker's answer, and the words it was stored with", () => {
    const line = only(
      event("order_refused", "the broker refused the bracket: no", { data: { id: "9", reason: "no" } }),
    );
    expect(line?.answer).toEqual([
      ["Order number", "9"],
      ["Broker's words", "no"],
      ["Stored as", "the broker refused the bracket: no"],
    ]);
  });

  it("explains what unknown means, and hides no mark but calls it small", () => {
    expect(only(event("order_unknown", "no clear answer for the entry order"))?.meaning).toContain("fully exposed");
    expect(only(event("order_sent", "the entry order is sent"))?.isSmall).toBe(true);
    expect(only(event("status", "OPEN → FILLED"))?.text).toBe("The trade went from pending to open");
  });

  it("says when the exits rest and how long they did not", () => {
    const stored = "protected: stop loss and take profit rest at the broker for all 2, after 0.240 s without";
    const line = only(event("protection", stored, { data: { protection: "PROTECTED", bare_s: "0.240" } }));
    expect(line?.text).toBe("Stop loss and take profit rest at the broker for all 2; 0.24 s without them");
    expect(line?.tone).toBe("good");
  });

  it("says what a person declared of an unknown order, and from where", () => {
    const stored = "demo says that order 17 is it; checked at the broker";
    const line = only(event("resolved", stored, { actor: "user", data: { via: "the page, 10.0.0.7", id: "17" } }));
    expect([line?.text, line?.via, line?.icon]).toEqual([
      "You said that order 17 is it; checked at the broker",
      "the page, 10.0.0.7",
      "you",
    ]);
  });

  it("tells a kind it does not know in its own words", () => {
    expect(only(event("invented_later", "something happened"))?.text).toBe("Something happened");
  });
});

it("weaves alarms in by time and says how long they lasted", () => {
  const story = storyOf(
    [event("asked", "asked to close"), event("protection", "protected", { at: "2026-11-20T15:00:10Z" })],
    [incident],
  );
  expect(story.map((line) => line.text)).toEqual([
    "You asked to close",
    "Alarm: SPY 18 Dec 26 620 C: 2 held without every exit asked for",
    "Protected",
    "Over after 13 s: SPY 18 Dec 26 620 C: 2 held without every exit asked for",
  ]);
  expect(story.map((line, place) => gapText(story[place - 1], line))).toEqual(["", "+5.0 s", "+5.0 s", "+7.5 s"]);
});

it("calls an alarm small where the trade's own mark tells the same", () => {
  const bare = event("protection", "not protected: 2 held", {
    at: "2026-11-20T15:00:05.200Z",
    data: { protection: "NAKED" },
  });
  const told = storyOf([bare], [incident]);
  expect(told.map((line) => line.isSmall)).toEqual([true, false, false]);
});

it("writes enums and empty prices as words", () => {
  expect(
    plainWords("no clear answer for the entry order: place order: the connection failed (RemoteProtocolError)"),
  ).toBe("No clear answer for the entry order: the connection failed");
  expect(plainWords("a close (SL_HIT) begins")).toBe("A close (stop hit) begins");
  expect(plainWords("an adjust to stop None and target 11.80 begins")).toBe(
    "An adjust to no stop and target 11.80 begins",
  );
});
