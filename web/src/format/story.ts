// A trade's story: the stored marks and the findings about it, in one order, in plain words, with the time between steps.
//
// 1. Nothing is invented: a line without a better wording here is told in the words it was stored with.
// 2. Nothing is lost: small steps are marked as small, and can all be shown.

import type { Incident, TimelineEvent } from "../api/types";
import { parseDecimal, price } from "./decimal";
import { withContracts } from "./occ";
import { dayAndTime, exactly } from "./time";

export type Tone = "plain" | "money" | "good" | "bad" | "wait";
export type Icon = "you" | "broker" | "bookend" | "bought" | "sold" | "shield" | "alarm" | "question" | "stop";

export interface Told {
  key: string;
  at: string;
  icon: Icon;
  tone: Tone;
  text: string;
  /** What it means, where that is not plain from the words. */
  meaning?: string;
  /** Where the asking person or program was. */
  via?: string;
  answer: readonly (readonly [string, string])[];
  /** A step on the way that matters only to somebody who checks every mark. */
  isSmall: boolean;
}

type Data = Record<string, unknown>;
type Words = Partial<Omit<Told, "key" | "at" | "answer">>;

const ACTORS: Record<string, Icon> = { user: "you", broker: "broker" };
const STATES: Record<string, string> = {
  OPEN: "pending",
  PARTIAL: "open, partly filled",
  FILLED: "open",
  CLOSING: "closing",
  CLOSED: "over",
};
const REASONS: Record<string, string> = {
  TP_HIT: "target hit",
  SL_HIT: "stop hit",
  MANUAL_CLOSE: "asked by you",
  EXPIRED_OTM: "expired worthless",
  EXPIRED_ITM: "expired in the money",
  REJECTED: "refused",
  CANCELLED: "cancelled",
  CLOSED_AT_BROKER: "closed at the broker",
  FLATTENED: "flattened by Bookend",
  KILL_SWITCH: "kill switch",
};
const ENUMS = new RegExp(`\\b(${Object.keys(REASONS).join("|")})\\b`, "g");
const ORDERS: Record<string, string> = {
  ENTRY: "Entry",
  STOP_LOSS: "Stop loss",
  TAKE_PROFIT: "Take profit",
  CLOSE: "Close",
  COVER: "Cover",
};
const ENDS: Record<string, string> = {
  WORKING: "is working at the broker",
  PARTIAL: "is partly filled",
  CANCELLED: "is cancelled",
  REJECTED: "was refused",
  EXPIRED: "has expired",
  UNKNOWN: "got no clear answer",
};
const UNKNOWN_MEANS =
  "The order may or may not be at the broker. Bookend sends nothing again until the broker's own lists prove which, and counts it as fully exposed meanwhile.";

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const wordOf = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? `${value}` : "");

/** Stored words with contracts, reasons and roles written out. */
export function plainWords(text: string): string {
  const known = withContracts(text).replace(ENUMS, (name) => REASONS[name] ?? name);
  const calm = known.replace(/ \(\w+(Error|Exception|Timeout)\)/g, "").replace(/: place order: /, ": ");
  return sentence(calm.replace(/\bstop None\b/, "no stop").replace(/\btarget None\b/, "no target"));
}

const BUYS = new Set(["ENTRY", "COVER"]);
const EXIT_TONES: Record<string, Tone> = { TAKE_PROFIT: "good", STOP_LOSS: "bad" };

/** A fill is money; what an order without one says is not. */
function ofReport(data: Data, text: string): Words {
  const role = wordOf(data.role);
  const status = wordOf(data.status);
  const name = ORDERS[role];
  if (!name || !status) return {};
  const filled = Number(data.filled_qty ?? 0);
  const of = filled < Number(data.qty ?? filled) ? ` of ${wordOf(data.qty)}` : "";
  const why = data.reason ? `: ${withContracts(wordOf(data.reason))}` : "";
  if (filled > 0) {
    const bought = BUYS.has(role);
    const at = `${bought ? "Bought" : "Sold"} ${filled}${of} at ${price(wordOf(data.avg_price))}`;
    const by = role === "ENTRY" ? "" : ` by the ${name.toLowerCase()} order`;
    const rest = status === "FILLED" || status === "PARTIAL" ? "" : `; the rest ${ENDS[status] ?? ""}`;
    return {
      icon: bought ? "bought" : "sold",
      tone: EXIT_TONES[role] ?? "money",
      text: `${at}${by}${rest}${why}`,
      isSmall: false,
    };
  }
  const isBad = status === "REJECTED";
  return {
    tone: isBad ? "bad" : "plain",
    icon: isBad ? "alarm" : "broker",
    text: ENDS[status] ? `${name} order ${wordOf(data.id)} ${ENDS[status]}${why}` : plainWords(text),
    isSmall: status === "WORKING",
  };
}

function ofStatus(text: string): Words {
  const [before, after] = text.split(" → ").map((name) => STATES[name]);
  return before && after ? { text: `The trade went from ${before} to ${after}`, isSmall: true } : { isSmall: true };
}

function ofAsked(text: string, data: Data): Words {
  const words = text.replace(/^\S+ asks for /, "asked for ").replace(/^asked/, "You asked");
  return { icon: "you", text: plainWords(words), via: wordOf(data.via) };
}

function ofProtection(data: Data, text: string): Words {
  if (data.protection !== "PROTECTED") return { icon: "alarm", tone: "bad" };
  const stored = plainWords(text.replace(/^protected: /, "").replace(/, after \S+ s without$/, ""));
  const bare = parseDecimal(wordOf(data.bare_s));
  const lasted = bare && bare > 0n ? `; ${exactly(Number(data.bare_s))} without them` : "";
  return { icon: "shield", tone: "good", text: `${stored}${lasted}` };
}

const BY_KIND: Record<string, (text: string, data: Data) => Words> = {
  asked: ofAsked,
  order_intent: () => ({ isSmall: true }),
  order_sent: () => ({ isSmall: true }),
  cancel_sent: () => ({ isSmall: true }),
  order_refused: () => ({ icon: "alarm", tone: "bad" }),
  order_not_sent: () => ({ icon: "stop", tone: "wait", meaning: "It provably never left, so nothing can come of it." }),
  order_not_found: () => ({ icon: "stop", meaning: "Two complete order lists and the position prove it." }),
  order_unknown: () => ({ icon: "question", tone: "wait", meaning: UNKNOWN_MEANS }),
  cancel_unclear: () => ({
    icon: "question",
    tone: "wait",
    meaning: "The order is read again until the broker confirms.",
  }),
  order_report: (text, data) => ofReport(data, text),
  status: ofStatus,
  action: (text) => ({ isSmall: / done$/.test(text) }),
  protection: (text, data) => ofProtection(data, text),
  resolved: (text, data) => ({
    icon: "you",
    text: plainWords(text.replace(/^\S+ says that/, "you said that")),
    via: wordOf(data.via),
  }),
  stop_reached: () => ({ icon: "alarm", tone: "wait" }),
  finding: () => ({ icon: "alarm", tone: "wait" }),
  corporate_action: () => ({ icon: "alarm", tone: "bad" }),
  recovered: () => ({ icon: "alarm", tone: "wait", meaning: "It is kept and protected as a trade of its own." }),
  correction: () => ({ icon: "broker", tone: "money" }),
  fees: () => ({ icon: "broker", isSmall: true }),
  ended: () => ({ icon: "broker", tone: "money" }),
};

const NAMES: Record<string, string> = {
  id: "Order number",
  role: "Order",
  status: "Status",
  filled_qty: "Filled",
  qty: "Quantity",
  avg_price: "Average price",
  reason: "Broker's words",
  broker_at: "Broker's time",
  tag: "Our tag",
  because: "Because",
};
const HIDDEN = new Set(["via", "protection", "bare_s"]);

const PLACES = Object.keys(NAMES);

/** What was stored beside the words, in one order: the broker's answer, already without secrets. */
function answerOf(event: TimelineEvent): [string, string][] {
  const data = Object.entries(event.data ?? {}).filter(([name, value]) => wordOf(value) !== "" && !HIDDEN.has(name));
  const pairs = data
    .sort(([a], [b]) => PLACES.indexOf(a) - PLACES.indexOf(b))
    .map(([name, value]): [string, string] => {
      const told = wordOf(value);
      return [NAMES[name] ?? name, name.endsWith("_at") ? `${dayAndTime(told)} ET` : told];
    });
  return pairs.length > 0 ? [...pairs, ["Stored as", event.text]] : [];
}

function ofEvent(event: TimelineEvent): Told {
  const own: Words = BY_KIND[event.kind]?.(event.text, event.data ?? {}) ?? {};
  return {
    key: `e${event.id ?? event.at + event.text}`,
    at: event.at,
    icon: ACTORS[event.actor ?? ""] ?? "bookend",
    tone: "plain",
    text: plainWords(event.text),
    isSmall: false,
    ...own,
    answer: answerOf(event),
  };
}

function ofIncident(incident: Incident): Told[] {
  const begun: Told = {
    key: `i${incident.id}`,
    at: incident.opened_at,
    icon: "alarm",
    tone: incident.severity === "critical" || incident.severity === "error" ? "bad" : "wait",
    text: `Alarm: ${withContracts(incident.text)}`,
    answer: [],
    isSmall: false,
  };
  if (!incident.ended_at) return [begun];
  const lasted = (Date.parse(incident.ended_at) - Date.parse(incident.opened_at)) / 1000;
  const over: Told = {
    ...begun,
    key: `o${incident.id}`,
    at: incident.ended_at,
    icon: "bookend",
    tone: "plain",
    isSmall: false,
    text: `Over after ${exactly(lasted)}: ${withContracts(incident.text)}`,
  };
  return [begun, over];
}

/** Alarms that a mark of the trade's own tells too, with more in it. */
const TOLD_BY: Record<string, string> = { unknown_order: "order_unknown", naked: "protection" };
const SAME_MOMENT_MS = 2000;

function isToldTwice(incident: Incident, events: readonly TimelineEvent[]): boolean {
  const at = Date.parse(incident.opened_at);
  const kind = TOLD_BY[incident.kind];
  return events.some(
    (event) =>
      event.kind === kind &&
      event.data?.protection !== "PROTECTED" &&
      Math.abs(Date.parse(event.at) - at) < SAME_MOMENT_MS,
  );
}

/** All that is known of a trade, oldest first. */
export function storyOf(events: readonly TimelineEvent[], incidents: readonly Incident[]): Told[] {
  const told = [
    ...events.map(ofEvent),
    ...incidents.flatMap((incident) => {
      const [begun, ...over] = ofIncident(incident);
      return begun ? [{ ...begun, isSmall: isToldTwice(incident, events) }, ...over] : [];
    }),
  ];
  return told
    .map((line, place) => ({ line, place }))
    .sort((a, b) => Date.parse(a.line.at) - Date.parse(b.line.at) || a.place - b.place)
    .map(({ line }) => line);
}

/** The time since the line before, as "+0.02 s"; empty for the first line and for what came at the same moment. */
export function gapText(before: Told | undefined, line: Told): string {
  if (!before) return "";
  const seconds = (Date.parse(line.at) - Date.parse(before.at)) / 1000;
  return seconds < 0.005 ? "" : `+${exactly(seconds)}`;
}
