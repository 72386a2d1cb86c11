import { describe, expect, it } from "vitest";
import { ageSeconds, ageText, clockTime, dayAndTime, daysText, daysTo, expiryText, heldText } from "./time";

const NOW = Date.parse("2026-11-21T02:30:00Z"); // 21:30 on the 20th in New York

describe("time", () => {
  it("tells ages in words, never below zero", () => {
    expect(ageText(ageSeconds("2026-11-21T02:29:56Z", NOW))).toBe("4 s ago");
    expect(ageText(ageSeconds("2026-11-21T02:30:05Z", NOW))).toBe("0 s ago");
    expect(ageText(ageSeconds("2026-11-21T00:30:00Z", NOW))).toBe("2 h ago");
    expect(ageText(ageSeconds("2026-11-18T00:30:00Z", NOW))).toBe("3 days ago");
    expect(ageText(ageSeconds(null, NOW))).toBe("");
  });

  it("counts days to expiry on New York's calendar", () => {
    expect(daysTo("2026-11-20", NOW)).toBe(0);
    expect(daysTo("2026-12-18", NOW)).toBe(28);
    expect([daysText(0), daysText(1), daysText(28)]).toEqual(["today", "1 day", "28 days"]);
  });

  it("shows New York's clock", () => {
    expect(clockTime("2026-11-20T14:30:05Z")).toBe("09:30:05");
    expect(dayAndTime("2026-07-20T14:30:05Z")).toBe("20 Jul, 10:30:05");
    expect(expiryText("2026-12-18")).toBe("18 Dec 2026");
    expect(expiryText("soon")).toBe("soon");
  });

  it("tells holding times at their own scale", () => {
    expect(heldText("0.004")).toBe("14 s");
    expect(heldText(0.5)).toBe("30 min");
    expect(heldText(4.83)).toBe("4 h 50 min");
    expect(heldText(51)).toBe("2 d 3 h");
    expect(heldText(null)).toBe("");
  });
});
