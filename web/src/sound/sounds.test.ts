import { expect, it } from "vitest";
import { aTrade } from "../state/example";
import { soundOf } from "./sounds";

const ended = (changes: Parameters<typeof aTrade>[0]) => soundOf(aTrade({ status: "CLOSED", ...changes }));

it("rings for a target, sinks for a stop, pops for a manual close", () => {
  expect(ended({ close_reason: "TP_HIT", realized_pnl: "210" })).toBe("cash_register");
  expect(ended({ close_reason: "SL_HIT", realized_pnl: "-100" })).toBe("downer");
  expect(ended({ close_reason: "MANUAL_CLOSE", realized_pnl: "-100" })).toBe("pop");
});

it("follows the result for every other ending", () => {
  expect(ended({ close_reason: "EXPIRED_OTM", realized_pnl: "-420" })).toBe("downer");
  expect(ended({ close_reason: "CLOSED_AT_BROKER", realized_pnl: "5" })).toBe("cash_register");
});

it("is silent where nothing was held or nothing ended", () => {
  expect(ended({ close_reason: "CANCELLED", filled_qty: 0 })).toBeNull();
  expect(soundOf(aTrade({ status: "CLOSING" }))).toBeNull();
});
