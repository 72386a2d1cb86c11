import { expect, it } from "vitest";
import { syncedAt } from "./feeds";

it("takes the broker's freshest feed, and nobody else's", () => {
  const feeds = [
    { name: "prices", age_s: 1, ok: true },
    { name: "orders VA1", age_s: 40, ok: true },
    { name: "portfolio VA1", age_s: "12.5", ok: true },
  ];
  expect(syncedAt(feeds, 100_000)).toBe(87_500);
});

it("knows nothing before the first read", () => {
  expect(syncedAt([], 100_000)).toBeNull();
  expect(syncedAt([{ name: "orders VA1", age_s: null, ok: true }], 100_000)).toBeNull();
});
