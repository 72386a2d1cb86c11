// Times as a trader of US options reads them: New York's clock, ages in plain words.

const ZONE = "America/New_York";
const clock = new Intl.DateTimeFormat("en-GB", {
  timeZone: ZONE,
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const day = new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, day: "numeric", month: "short" });
const isoDay = new Intl.DateTimeFormat("en-CA", { timeZone: ZONE, year: "numeric", month: "2-digit", day: "2-digit" });
const fullDay = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" });

/** Seconds between an ISO time and now; null when there is no such time. */
export function ageSeconds(iso: string | null | undefined, now: number): number | null {
  const at = iso ? Date.parse(iso) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, Math.floor((now - at) / 1000));
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.floor(seconds)} s`;
  if (seconds < 5400) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

/** A span told to what matters at its size: hundredths below ten seconds, then seconds, minutes with seconds, hours. */
export function exactly(seconds: number): string {
  const span = Math.max(0, seconds);
  if (span < 9.995) return `${span < 0.995 ? span.toFixed(2) : span.toFixed(1)} s`;
  const whole = Math.round(span);
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return whole < 172_800 ? `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min` : duration(whole);
}

export function ageText(seconds: number | null): string {
  return seconds === null ? "" : `${duration(seconds)} ago`;
}

/** A holding time given in hours: minutes below one hour, days above two. */
export function heldText(hours: number | string | null | undefined): string {
  const value = hours === null || hours === undefined ? Number.NaN : Number(hours);
  if (Number.isNaN(value)) return "";
  const minutes = Math.round(value * 60);
  if (minutes < 1) return `${Math.max(1, Math.round(value * 3600))} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

export function clockTime(iso: string | null | undefined): string {
  return iso ? clock.format(new Date(iso)) : "";
}

/** "21 Nov" in New York. */
export function dateText(iso: string): string {
  return day.format(new Date(iso));
}

/** "21 Nov, 10:02:10" in New York. */
export function dayAndTime(iso: string | null | undefined): string {
  return iso ? `${day.format(new Date(iso))}, ${clock.format(new Date(iso))}` : "";
}

/** An expiry as "18 Dec 2026"; the text itself when it is not a date. */
export function expiryText(expiry: string): string {
  const at = Date.parse(`${expiry}T00:00:00Z`);
  return Number.isNaN(at) ? expiry : fullDay.format(at);
}

/** Whole days from New York's today to an expiry. */
export function daysTo(expiry: string, now: number): number {
  const today = Date.parse(`${isoDay.format(now)}T00:00:00Z`);
  return Math.round((Date.parse(`${expiry}T00:00:00Z`) - today) / 86_400_000);
}

export function daysText(days: number): string {
  if (days === 0) return "today";
  return days === 1 ? "1 day" : `${days} days`;
}
