// A line of the audit as its user reads it: settings by their labels, modes by their names, contracts as contracts.

import { EVERY_SETTING } from "../state/preferences";
import { EVERY_MODE, MODES } from "./mode";
import { withContracts } from "./occ";

const WORDS = new Map<string, string>([
  ...EVERY_SETTING.map((setting): [string, string] => [setting.name, setting.label]),
  ...EVERY_MODE.map((mode): [string, string] => [mode, MODES[mode].name]),
  ["broker_mode", "Mode"],
  ["account_id", "Account"],
]);

const NAMES = new RegExp(`\\b(${[...WORDS.keys()].join("|")})\\b`, "g");

export function auditText(text: string): string {
  const words = withContracts(text.replace(NAMES, (name) => WORDS.get(name) ?? name));
  return words.charAt(0).toUpperCase() + words.slice(1);
}
