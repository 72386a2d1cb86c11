import { expect, it } from "vitest";
import { UNKNOWN_WORDS, waitingWords } from "./actions";
import { aTrade } from "./example";

const order = { role: "CLOSE", tag: "bk-1", broker_order_id: null, qty: 1, filled_qty: 0, avg_price: null } as const;

it("says what a 202 is about: the open, no answer, or work", () => {
  expect(waitingWords(aTrade({ queued_for_open: true }))).toContain("runs when the market opens");
  expect(waitingWords(aTrade({ orders: [{ ...order, status: "UNKNOWN" }] }))).toBe(UNKNOWN_WORDS);
  expect(waitingWords(aTrade({ status: "CLOSING" }))).toBe("AAPL: the broker is working on it.");
});
