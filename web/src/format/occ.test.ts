import { expect, it } from "vitest";
import { occText, withContracts } from "./occ";

it("writes a contract as a trader says it", () => {
  expect(occText("SPY261218C00620000")).toBe("SPY 18 Dec 26 620 C");
  expect(occText("F261204P00012500")).toBe("F 4 Dec 26 12.5 P");
  expect(occText("AAPL1261204P00012500")).toBe("AAPL1 4 Dec 26 12.5 P");
});

it("leaves alone what is no contract", () => {
  for (const text of ["AAPL", "SPY261318C00620000", "", "bk-261218C00620000x"]) expect(occText(text)).toBe(text);
});

it("finds contracts inside a sentence", () => {
  expect(withContracts("SPY261218C00620000: 2 held without every exit, QQQ261218P00500000 too")).toBe(
    "SPY 18 Dec 26 620 C: 2 held without every exit, QQQ 18 Dec 26 500 P too",
  );
});
