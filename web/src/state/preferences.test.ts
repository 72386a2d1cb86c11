import { describe, expect, it } from "vitest";
import { Problem } from "../api/problem";
import { someSettings } from "./exampleSettings";
import { changeOf, EVERY_SETTING, edited, refusedFields, textOf, unreadable } from "./preferences";

const settings = someSettings();
const NOT_TRADING = ["broker_mode", "account_id", "auto_refresh", "sounds", "channels", "quiet_hours"];

it("shows every setting of the contract exactly once, with a meaning and a unit", () => {
  const shown = EVERY_SETTING.map((setting) => setting.name as string);
  const told = Object.keys(settings).filter((name) => !name.endsWith("ed_at") && !NOT_TRADING.includes(name));
  expect([...shown].sort()).toEqual(told.sort());
  for (const setting of EVERY_SETTING) {
    expect(setting.meaning.length, setting.name).toBeGreaterThan(20);
    if ("unit" in setting) expect(setting.unit, setting.name).not.toBe("");
  }
});

it("lets exactly the settings be empty for which the server takes null as a value", () => {
  const mayBeEmpty = EVERY_SETTING.filter((setting) => "empty" in setting && setting.empty).map(({ name }) => name);
  expect(mayBeEmpty.sort()).toEqual(
    ["collar_pct", "max_contracts", "max_premium", "max_quote_age_s", "max_spread_pct", "stop_limit_offset"].sort(),
  );
});

describe("an edit", () => {
  it("is no change when the field says again what is stored", () => {
    const edits = edited({}, settings, "daily_loss_limit", "200");
    expect(edits).toEqual({ daily_loss_limit: "200" });
    expect(edited(edits, settings, "daily_loss_limit", "150")).toEqual({});
    expect(edited({}, settings, "max_contracts", " ")).toEqual({});
  });

  it("keeps what was typed before it", () => {
    const first = edited({}, settings, "max_positions", "7");
    expect(edited(first, settings, "heat_limit_pct", "-")).toEqual({ max_positions: "7", heat_limit_pct: "-" });
  });
});

describe("the request", () => {
  it("sends only changes: amounts as typed, counts as numbers, empty as null, switches as truth", () => {
    const edits = { daily_loss_limit: "200.10", max_positions: "7", max_premium: "", allow_am_settled: "true" };
    expect(changeOf(edits)).toEqual({
      daily_loss_limit: "200.10",
      max_positions: 7,
      max_premium: null,
      allow_am_settled: true,
    });
  });

  it("is stopped where there is no value in a field", () => {
    const edits = { daily_loss_limit: "1,000", max_positions: "2.5", heat_limit_pct: "", max_premium: "" };
    expect(unreadable(edits)).toEqual({
      daily_loss_limit: "A number such as 1250.50, without commas.",
      max_positions: "A whole number.",
      heat_limit_pct: "This cannot be empty.",
    });
  });

  it("leaves to the server what a value may be", () => {
    expect(unreadable({ daily_loss_limit: "-20", max_positions: "0" })).toEqual({});
  });
});

describe("a refusal", () => {
  it("stands beside each field that it names", () => {
    const fields = [
      { field: "max_positions", problem: "Input should be greater than or equal to 0" },
      { field: "nothing_of_ours", problem: "is wrong" },
    ];
    expect(refusedFields(new Problem(422, { code: "invalid_input", detail: "several", fields }))).toEqual({
      max_positions: "Should be greater than or equal to 0.",
    });
  });

  it("is read from its words where it names one field there", () => {
    const detail = "max_positions: input should be greater than or equal to 1";
    expect(refusedFields(new Problem(422, { detail }))).toEqual({
      max_positions: "Should be greater than or equal to 1.",
    });
  });

  it("belongs to no field when it names none", () => {
    expect(refusedFields(new Problem(503, {}))).toEqual({});
    expect(refusedFields(new Problem(422, { detail: "profile: could not connect" }))).toEqual({});
  });
});

it("shows null as an empty field", () => {
  expect([textOf(null), textOf(5), textOf(false)]).toEqual(["", "5", "false"]);
});
