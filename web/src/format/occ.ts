// OCC symbols as a trader reads them: "SPY261218C00620000" is "SPY 18 Dec 26 620 C".

const SYMBOL = /\b([A-Z]{1,5}[0-9]?)\s{0,5}(\d{2})(\d{2})(\d{2})([CP])(\d{5})(\d{3})\b/;
const EVERY = new RegExp(SYMBOL.source, "g");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function named(found: RegExpExecArray | RegExpMatchArray): string | null {
  const [, root, year, month, day, right, whole, fraction] = found;
  const name = MONTHS[Number(month) - 1];
  if (!root || !name || !whole || fraction === undefined) return null;
  const rest = fraction.replace(/0+$/, "");
  return `${root} ${Number(day)} ${name} ${year} ${Number(whole)}${rest ? `.${rest}` : ""} ${right}`;
}

/** The contract of an OCC symbol in words; the symbol itself when it is none. */
export function occText(symbol: string): string {
  const found = SYMBOL.exec(symbol);
  return (found && found[0] === symbol && named(found)) || symbol;
}

/** A sentence with every OCC symbol in it written as a contract. */
export function withContracts(text: string): string {
  return text.replace(EVERY, (symbol) => occText(symbol));
}
