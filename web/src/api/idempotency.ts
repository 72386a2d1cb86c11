// A key names one intent of the user. It is made once, sent with every retry, and never reused for another intent.

/** A random key; works on plain http too, where randomUUID is missing. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
