import { expect, it } from "vitest";
import { aTrade } from "../state/example";
import { accountText, byMode, elsewhereText, nameOf, titleOf } from "./mode";

it("puts the money first in the browser's tab", () => {
  expect(titleOf("TRADIER_LIVE", 0, false)).toBe("LIVE · Bookend");
  expect(titleOf("PAPER", 2, true)).toBe("KILL SWITCH ON · PAPER · (2) · Bookend");
  expect(titleOf(null, 0, false)).toBe("Bookend");
});

it("says which open trades lie in other money than the page's", () => {
  const live = aTrade({ id: "l", broker_mode: "TRADIER_LIVE" });
  const sandbox = aTrade({ id: "s", broker_mode: "TRADIER_SANDBOX" });
  expect(elsewhereText("PAPER", [aTrade()])).toBe("");
  expect(elsewhereText("PAPER", [aTrade(), live])).toBe("1 LIVE trade is open too");
  expect(elsewhereText("PAPER", [live, live, sandbox])).toBe("1 SANDBOX and 2 LIVE trades are open too");
  expect(elsewhereText("TRADIER_LIVE", [live, aTrade()])).toBe("1 PAPER trade is open too");
});

it("names an account by its name and its number", () => {
  expect(accountText("6YA53920", "Main")).toBe("Main · 6YA53920");
  expect(accountText("6YA53920", null)).toBe("6YA53920");
  expect(accountText(null, null)).toBe("no account chosen");
});

it("names an account by its mode too", () => {
  const line = (broker_mode: "PAPER" | "TRADIER_LIVE", account_name: string) => ({
    account_id: "VA9",
    account_name,
    broker_mode,
  });
  const lines = [line("PAPER", "Paper"), line("TRADIER_LIVE", "Main")];
  expect(nameOf(lines, "TRADIER_LIVE", "VA9")).toBe("Main");
  expect(nameOf(lines, "TRADIER_SANDBOX", "VA9")).toBeUndefined();
  expect(nameOf(undefined, "PAPER", "VA9")).toBeUndefined();
});

it("keeps trades of different money apart, the page's own first", () => {
  const live = aTrade({ id: "l", broker_mode: "TRADIER_LIVE" });
  const shown = (mode: "PAPER" | "TRADIER_LIVE" | null) =>
    byMode(mode, [aTrade(), live]).map((group) => `${group.mode} ${group.trades.map((trade) => trade.id)}`);
  expect(shown("TRADIER_LIVE")).toEqual(["TRADIER_LIVE l", "PAPER t-1"]);
  expect(shown("PAPER")).toEqual(["PAPER t-1", "TRADIER_LIVE l"]);
  expect(shown(null)).toEqual(["PAPER t-1", "TRADIER_LIVE l"]);
  expect(byMode("PAPER", [])).toEqual([]);
});
