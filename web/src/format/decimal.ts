// Money is exact: decimal strings become integers of a millionth, and only text and chart geometry leave this file.

const SCALE_DIGITS = 6;
const SCALE = 1_000_000n;
const PATTERN = /^([+-]?)(\d+)(?:\.(\d*))?(?:E\+(\d{1,2}))?$/;

/** Read a decimal string exactly, also the server's 1E+1; null for anything that is not one. */
export function parseDecimal(text: string | null | undefined): bigint | null {
  const found = PATTERN.exec((text ?? "").trim());
  if (!found) return null;
  const power = Number(found[4] ?? "0");
  const fraction = (found[3] ?? "").padEnd(power, "0");
  const digits = fraction.slice(power, power + SCALE_DIGITS).padEnd(SCALE_DIGITS, "0");
  const size = BigInt((found[2] ?? "0") + fraction.slice(0, power)) * SCALE + BigInt(digits);
  return found[1] === "-" ? -size : size;
}

/** Multiply an amount by a whole number of contracts and the contract's size. */
export function times(amount: bigint, ...factors: number[]): bigint {
  return factors.reduce((product, factor) => product * BigInt(Math.trunc(factor)), amount);
}

function rounded(amount: bigint, places: number): { sign: number; whole: bigint; fraction: string } {
  const step = 10n ** BigInt(SCALE_DIGITS - places);
  const size = amount < 0n ? -amount : amount;
  const units = (size + step / 2n) / step;
  const base = 10n ** BigInt(places);
  const sign = units === 0n ? 0 : amount < 0n ? -1 : 1;
  return { sign, whole: units / base, fraction: (units % base).toString().padStart(places, "0") };
}

/** Print dollars with thousands separators; `signed` adds + to gains. */
export function dollars(amount: bigint | null, signed = false): string {
  if (amount === null) return "";
  const { sign, whole, fraction } = rounded(amount, 2);
  const mark = sign < 0 ? "−" : signed && sign > 0 ? "+" : "";
  return `${mark}$${whole.toLocaleString("en-US")}.${fraction}`;
}

/** Print an option price with at least two places and no invented ones. */
export function price(text: string | null | undefined): string {
  const amount = parseDecimal(text);
  if (amount === null) return "";
  const exact = rounded(amount, 4);
  const fraction = exact.fraction.replace(/0{1,2}$/, "");
  return `${exact.sign < 0 ? "−" : ""}${exact.whole}.${fraction}`;
}

/** Print part as a percentage of whole with one place and its sign. */
export function percent(part: bigint | null, whole: bigint | null, signed = true): string {
  if (part === null || whole === null || whole === 0n) return "";
  const { sign, whole: units, fraction } = rounded((part * 100n * SCALE) / whole, 1);
  const mark = sign < 0 ? "−" : signed && sign > 0 ? "+" : "";
  return `${mark}${units}.${fraction} %`;
}

/** Where a value lies between two ends, 0 to 100, for drawing only. */
export function position(value: bigint, low: bigint, high: bigint): number {
  if (high <= low) return 50;
  const share = Number(((value - low) * 10_000n) / (high - low)) / 100;
  return Math.min(100, Math.max(0, share));
}

/** The plain decimal text of an amount, for a request's body. */
export function plain(amount: bigint): string {
  const { sign, whole, fraction } = rounded(amount, 4);
  const short = fraction.replace(/0{1,2}$/, "");
  return `${sign < 0 ? "-" : ""}${whole}.${short}`;
}

export function signOf(amount: bigint | null): "gain" | "down" | "flat" {
  if (amount === null || amount === 0n) return "flat";
  return amount > 0n ? "gain" : "down";
}
