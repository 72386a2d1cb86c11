import { describe, expect, it } from "vitest";
import { dollars, parseDecimal, percent, plain, position, price, times } from "./decimal";

describe("decimal", () => {
  it("keeps what a float would lose", () => {
    const sum = (parseDecimal("0.1") ?? 0n) + (parseDecimal("0.2") ?? 0n);
    expect(sum).toBe(parseDecimal("0.3"));
  });

  it("refuses what is not a number instead of guessing", () => {
    for (const text of ["", "abc", "1e3", "1,5", ".", "--1", null, undefined]) expect(parseDecimal(text)).toBeNull();
  });

  it("prints dollars with separators and a true minus", () => {
    expect(dollars(parseDecimal("1234567.891"), true)).toBe("+$1,234,567.89");
    expect(dollars(parseDecimal("-85"))).toBe("−$85.00");
    expect(dollars(0n, true)).toBe("$0.00");
    expect(dollars(parseDecimal("-0.001"), true)).toBe("$0.00");
  });

  it("prints a price with two places, more only where there are more", () => {
    expect(price("4.2")).toBe("4.20");
    expect(price("4")).toBe("4.00");
    expect(price("4.1250")).toBe("4.125");
    expect(price(null)).toBe("");
  });

  it("multiplies by contracts and size exactly", () => {
    expect(dollars(times(parseDecimal("4.25") ?? 0n, 3, 100))).toBe("$1,275.00");
  });

  it("says a share of nothing as nothing", () => {
    expect(percent(5n, 0n)).toBe("");
    expect(percent(parseDecimal("-1"), parseDecimal("4"))).toBe("−25.0 %");
    expect(percent(parseDecimal("1"), parseDecimal("3"))).toBe("+33.3 %");
  });

  it("clamps the track's dot to its ends", () => {
    expect(position(5n, 0n, 10n)).toBe(50);
    expect(position(-5n, 0n, 10n)).toBe(0);
    expect(position(50n, 0n, 10n)).toBe(100);
    expect(position(1n, 4n, 4n)).toBe(50);
  });

  it("writes a request's price without losing its last place", () => {
    expect(plain(parseDecimal("4.2") ?? 0n)).toBe("4.20");
    expect(plain(parseDecimal("0.0625") ?? 0n)).toBe("0.0625");
  });
});

it("reads a power of ten as the number it is", () => {
  expect(["1E+1", "1.0E+5", "1.25E+1", "9.37"].map((text) => dollars(parseDecimal(text)))).toEqual([
    "$10.00",
    "$100,000.00",
    "$12.50",
    "$9.37",
  ]);
  expect(parseDecimal("1E-3")).toBeNull();
});
