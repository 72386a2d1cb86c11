// What can be set about trading: each setting with its unit and meaning, how its text is read, and where a refusal belongs.
//
// 1. A change is the text as typed; what was not touched is not sent.
// 2. The server decides what a value may be; here only what is no value at all is stopped.

import type { Problem } from "../api/problem";
import type { Settings, SettingsChange } from "../api/types";

export type Name = Exclude<
  keyof Settings,
  "broker_mode" | "account_id" | "created_at" | "updated_at" | "auto_refresh" | "sounds" | "channels" | "quiet_hours"
>;

interface Shared {
  name: Name;
  label: string;
  meaning: string;
}

export interface NumberSetting extends Shared {
  kind: "amount" | "count";
  unit: string;
  /** What an empty field means; left out where it must not be empty. */
  empty?: string;
}

export interface ChoiceSetting extends Shared {
  kind: "choice";
  options: readonly (readonly [string, string])[];
}

export interface SwitchSetting extends Shared {
  kind: "switch";
  on: string;
}

export type Setting = NumberSetting | ChoiceSetting | SwitchSetting;

export interface Group {
  title: string;
  lead: string;
  settings: readonly Setting[];
}

const amount = (name: Name, label: string, unit: string, meaning: string, empty?: string): NumberSetting => ({
  kind: "amount",
  name,
  label,
  unit,
  meaning,
  ...(empty ? { empty } : {}),
});
const count = (name: Name, label: string, unit: string, meaning: string, empty?: string): NumberSetting => ({
  ...amount(name, label, unit, meaning, empty),
  kind: "count",
});

const NO_LIMIT = "Empty: no limit";

const LIMITS: Group = {
  title: "Limits",
  lead: "Checked before an entry is sent, for each account on its own. A limit blocks entries only; it never keeps you from getting out.",
  settings: [
    amount(
      "account_balance",
      "Account size",
      "USD",
      "What heat is measured against. What the broker says the account is worth counts instead where that is less.",
    ),
    count("max_positions", "Open trades", "trades", "Most trades open at once, entries that still wait included."),
    amount(
      "daily_loss_limit",
      "Daily loss",
      "USD",
      "No entry when today's loss, open trades included, and what the new trade could lose come to more than this. A day is New York's.",
    ),
    amount(
      "heat_limit_pct",
      "Heat",
      "% of account",
      "What all open trades may lose together if every stop is hit. A trade without a stop counts with its whole premium.",
    ),
    count("max_contracts", "Contracts per trade", "contracts", "Most contracts in one trade.", NO_LIMIT),
    amount("max_premium", "Premium per trade", "USD", "Most that one trade may cost.", NO_LIMIT),
  ],
};

const QUOTE: Group = {
  title: "The quote at entry",
  lead: "An entry is refused while the market for its contract is not good enough.",
  settings: [
    amount(
      "max_spread_pct",
      "Widest spread",
      "% of middle",
      "Between bid and ask, as a share of the middle between them.",
      NO_LIMIT,
    ),
    amount(
      "collar_pct",
      "Limit above the middle",
      "% of middle",
      "How far above the middle a limit entry may lie.",
      NO_LIMIT,
    ),
    count(
      "max_quote_age_s",
      "Oldest quote",
      "seconds",
      "How old the quote may be. In SANDBOX the venue's 15 minutes of delay are taken off first.",
      NO_LIMIT,
    ),
    count(
      "no_entry_before_expiry_min",
      "Last entry before expiry",
      "minutes",
      "No entry this close to the contract's last trade.",
    ),
    {
      kind: "switch",
      name: "allow_am_settled",
      label: "AM-settled contracts",
      meaning: "Monthly index options settle on the morning's opening prices, after their last trade the day before.",
      on: "Allowed",
    },
    {
      kind: "switch",
      name: "allow_non_standard",
      label: "Adjusted contracts",
      meaning: "Contracts that a split or merger has changed: not 100 shares, or not the underlying's own name.",
      on: "Allowed",
    },
  ],
};

const EXITS: Group = {
  title: "Stops, targets and positions without them",
  lead: "What Bookend does with the exits that rest at the broker.",
  settings: [
    {
      kind: "choice",
      name: "naked_policy",
      label: "When exits are missing",
      meaning: "A position whose stop or target no longer rests at the broker. Selling happens in the session only.",
      options: [
        ["repair", "Place them again, sell if that fails twice"],
        ["flatten", "Sell the position at once"],
        ["alert", "Only tell me"],
      ],
    },
    count(
      "repair_delay_s",
      "Exits cancelled by hand",
      "seconds",
      "How long Bookend waits after exits were cancelled at the broker by somebody, before it places them again.",
    ),
    amount(
      "stop_limit_offset",
      "Stop-limit offset",
      "USD a share",
      "With a number the stop becomes a stop-limit, that far below the stop price. It can miss in a fast fall; what has not sold 10 s after the trigger is sold at market.",
      "Empty: the stop sells at market",
    ),
    {
      kind: "choice",
      name: "otoco",
      label: "Entry and exits as one order",
      meaning: "With a limit entry the exits can already lie at the broker, waiting for the fill (OTOCO).",
      options: [
        ["off", "Off: exits follow the fill"],
        ["limit_entries", "For limit entries"],
      ],
    },
    count(
      "partial_entry_grace_s",
      "Part-filled entries",
      "seconds",
      "How long a part-filled entry may go on filling. Then its rest is cancelled and what was bought gets its exits.",
    ),
    count(
      "expiry_flatten_min",
      "Sell before expiry",
      "minutes",
      "Positions are sold this long before their contract's last trade. 0: only those in the money or within 1 % of it.",
    ),
  ],
};

const SIGNALS: Group = {
  title: "Signals",
  lead: "What happens to a signal that one of your bots publishes.",
  settings: [
    {
      kind: "choice",
      name: "signal_mode",
      label: "Signals",
      meaning: "Every limit above holds for signals too. Switching to LIVE sets this to review.",
      options: [
        ["review", "Review: each waits for my approval"],
        ["auto", "Auto: placed at once"],
        ["off", "Off: refused"],
      ],
    },
  ],
};

export const GROUPS: readonly Group[] = [LIMITS, QUOTE, EXITS, SIGNALS];

export const EVERY_SETTING: readonly Setting[] = GROUPS.flatMap((group) => group.settings);

const byName = new Map(EVERY_SETTING.map((setting) => [setting.name as string, setting]));

/** What is a setting called: its label, or its own name where the page does not know it. */
export const labelOf = (name: string): string => byName.get(name)?.label ?? name;

/** Changes not yet saved, as typed, by setting. */
export type Edits = Readonly<Partial<Record<Name, string>>>;

/** A stored value as its field shows it. */
export function textOf(value: Settings[Name]): string {
  return value === null ? "" : String(value);
}

const same = (left: string, right: string): boolean => {
  const [a, b] = [left.trim(), right.trim()];
  return a === b || (a !== "" && b !== "" && Number(a) === Number(b));
};

/** Take in one change; a field set back to what is stored is no change. */
export function edited(edits: Edits, settings: Settings, name: Name, text: string): Edits {
  const { [name]: _before, ...rest } = edits;
  return same(text, textOf(settings[name])) ? rest : { ...rest, [name]: text };
}

export type FieldProblems = Partial<Record<string, string>>;

const AMOUNT = /^[+-]?(\d+\.?\d*|\.\d+)$/;
const COUNT = /^[+-]?\d+$/;

/** Say which changes are no values at all; empty when all can be sent. */
export function unreadable(edits: Edits): FieldProblems {
  const problems: FieldProblems = {};
  for (const [name, text] of Object.entries(edits)) {
    const setting = byName.get(name);
    if (setting?.kind !== "amount" && setting?.kind !== "count") continue;
    const value = text.trim();
    if (value === "" && setting.empty) continue;
    if (value === "") problems[name] = "This cannot be empty.";
    else if (setting.kind === "count" && !COUNT.test(value)) problems[name] = "A whole number.";
    else if (!AMOUNT.test(value)) problems[name] = "A number such as 1250.50, without commas.";
  }
  return problems;
}

/** The request of all changes. Amounts stay the text they are, so that nothing is rounded on the way. */
export function changeOf(edits: Edits): SettingsChange {
  const entries = Object.entries(edits).map(([name, text]) => {
    const kind = byName.get(name)?.kind;
    const value = text.trim();
    if (kind === "switch") return [name, value === "true"];
    if (value === "") return [name, null];
    return [name, kind === "count" ? Number(value) : value];
  });
  return Object.fromEntries(entries) as SettingsChange;
}

const sentence = (text: string): string => {
  const bare = text.replace(/^input /i, "");
  const first = bare.charAt(0).toUpperCase() + bare.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
};

/** Put a refusal beside the fields it names; empty when it names none of them. */
export function refusedFields(problem: Problem): FieldProblems {
  const found: FieldProblems = {};
  for (const { field, problem: words } of problem.fields) if (byName.has(field)) found[field] = sentence(words);
  if (Object.keys(found).length > 0) return found;
  const [, name = "", words = ""] = /^(\w+): (.+)$/s.exec(problem.message) ?? [];
  const known = byName.get(name.toLowerCase());
  return known ? { [known.name]: sentence(words) } : {};
}
