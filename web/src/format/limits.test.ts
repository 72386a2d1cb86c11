import { describe, expect, it } from "vitest";
import type { LimitUse } from "../api/types";
import { gaugeOf, gaugesOf, inWords } from "./limits";

const use = (limit: string, value: string | null, used: string | null, would_be: string | null): LimitUse => ({
  limit,
  value,
  used,
  would_be,
  exceeded: value !== null && would_be !== null && Number(would_be) > Number(value),
});

describe("a limit's gauge", () => {
  it("says what is used, what it would be and how much there is", () => {
    expect(gaugeOf(use("daily_loss_limit", "200.00", "20.00", "120.00"))).toEqual({
      limit: "daily_loss_limit",
      name: "Daily loss",
      words: "$20.00 → $120.00 of $200.00",
      tone: "fine",
      used: 10,
      added: 50,
    });
    expect(gaugeOf(use("max_contracts", "10", null, "2"))?.words).toBe("2 of 10");
  });

  it("is near from four fifths on, and full where the trade would pass the limit", () => {
    expect(gaugeOf(use("max_positions", "5", "4", "5"))).toMatchObject({ tone: "near", used: 80, added: 20 });
    const passed = gaugeOf(use("heat_limit_pct", "6.0", "4.00", "8.00"));
    expect(passed).toMatchObject({ tone: "exceeded", used: 50, added: 50, words: "4.00 % → 8.00 % of 6.0 %" });
  });

  it("is left out where no limit is set, and where the market's own are far", () => {
    expect(gaugeOf(use("max_premium", null, null, "850.00"))).toBeNull();
    expect(gaugeOf(use("max_spread_pct", "10", null, "2.1"))).toBeNull();
    expect(gaugeOf(use("max_spread_pct", "10", null, "9.1"))?.tone).toBe("near");
  });

  it("of a least shows only a refusal, in time left", () => {
    expect(gaugeOf({ ...use("no_entry_before_expiry_min", "60", null, "9000"), exceeded: false })).toBeNull();
    const late = gaugeOf({ ...use("no_entry_before_expiry_min", "60", null, "12"), exceeded: true });
    expect(late).toMatchObject({ tone: "exceeded", words: "12 min left, at least 60 min" });
  });

  it("is full where what refuses is no number", () => {
    const am: LimitUse = { limit: "allow_am_settled", value: "off", used: null, would_be: "on", exceeded: true };
    expect(gaugeOf(am)).toMatchObject({ tone: "exceeded", name: "AM-settled contracts", used: 0, added: 100 });
    expect(gaugeOf({ ...am, exceeded: false })).toBeNull();
  });

  it("does not divide by a limit of nothing", () => {
    expect(gaugeOf(use("daily_loss_limit", "0", "0", "0"))).toMatchObject({ used: 0, added: 100 });
  });
});

it("puts what refuses first", () => {
  const limits = [use("max_positions", "5", "1", "2"), use("heat_limit_pct", "6", "5", "7")];
  expect(gaugesOf({ limits, refusal: null }).map((gauge) => gauge.limit)).toEqual(["heat_limit_pct", "max_positions"]);
});

it("calls a limit in a refusal what the settings call it", () => {
  expect(inWords("heat_limit_pct is 6.0 % = 300.00; this would be 378.00")).toBe(
    "Heat is 6.0 % = 300.00; this would be 378.00.",
  );
  expect(inWords("the broker refused the order")).toBe("The broker refused the order.");
});
