// Synthesises the three sounds of the page into public/sounds: mono, 16 bit, 22,050 Hz, the same bytes every time.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const RATE = 22_050;
const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "public", "sounds");

const samples = (seconds) => new Float64Array(Math.round(seconds * RATE));
const tone = (hertz, t) => Math.sin(2 * Math.PI * hertz * t);

function add(buffer, startS, lengthS, voice) {
  const start = Math.round(startS * RATE);
  const length = Math.min(Math.round(lengthS * RATE), buffer.length - start);
  for (let i = 0; i < length; i += 1) buffer[start + i] += voice(i / RATE, i / length);
}

function noise(seed) {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 2_147_483_648 - 1;
  };
}

/** A drawer's clack, then two bell strokes with inharmonic partials. */
function cashRegister() {
  const buffer = samples(0.95);
  const hiss = noise(7);
  add(buffer, 0, 0.05, (_t, share) => 0.4 * hiss() * (1 - share) ** 3);
  for (const [at, base] of [
    [0.07, 1318.5],
    [0.2, 1760],
  ]) {
    add(buffer, at, 0.75, (t) => {
      const ring =
        tone(base, t) + 0.5 * tone(base * 2.76, t) * Math.exp(-9 * t) + 0.25 * tone(base * 5.4, t) * Math.exp(-18 * t);
      return 0.32 * ring * Math.exp(-5.5 * t);
    });
  }
  return buffer;
}

/** Three falling notes, each a little flatter at its end. */
function downer() {
  const buffer = samples(1);
  for (const [at, hertz, length] of [
    [0, 329.6, 0.24],
    [0.24, 277.2, 0.24],
    [0.48, 220, 0.5],
  ]) {
    add(buffer, at, length, (t, share) => {
      const bent = hertz * (1 - 0.03 * share);
      const swell = Math.min(1, t * 60) * (1 - share) ** 0.8;
      return 0.34 * swell * (tone(bent, t) + 0.3 * tone(bent * 2, t) + 0.12 * tone(bent * 3, t));
    });
  }
  return buffer;
}

/** One short blip that jumps up, like a cork. */
function pop() {
  const buffer = samples(0.14);
  let phase = 0;
  add(buffer, 0, 0.14, (t, share) => {
    phase += (2 * Math.PI * (320 + 900 * Math.exp(-26 * t) * 0.2 + 520 * share)) / RATE;
    return 0.7 * Math.sin(phase) * Math.min(1, t * 400) * Math.exp(-26 * t);
  });
  return buffer;
}

function wav(buffer) {
  const bytes = Buffer.alloc(44 + buffer.length * 2);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + buffer.length * 2, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(RATE, 24);
  bytes.writeUInt32LE(RATE * 2, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(buffer.length * 2, 40);
  for (const [i, value] of buffer.entries())
    bytes.writeInt16LE(Math.round(32_000 * Math.max(-1, Math.min(1, value))), 44 + i * 2);
  return bytes;
}

mkdirSync(folder, { recursive: true });
for (const [name, make] of Object.entries({ cash_register: cashRegister, downer, pop })) {
  writeFileSync(join(folder, `${name}.wav`), wav(make()));
}
