// Numbers for people: short, with their unit, and of a width that does not jump.

const STEPS = ["", "k", "M", "G", "T"];

/** Three digits that matter: 0.42, 4.2, 42, 420. */
export function short(value) {
  if (value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 9.95 ? 0 : 1);
}

/** The least power of two that is not below `value`. */
export function doubleUp(value) {
  return 2 ** Math.ceil(Math.log2(value));
}

/** Bytes a second as [number, unit], in powers of 1,000 as networks count. */
export function rate(bytes) {
  let step = 0;
  while (bytes >= 999.5 && step < STEPS.length - 1) {
    bytes /= 1000;
    step += 1;
  }
  return [step ? short(bytes) : bytes.toFixed(0), `${STEPS[step]}B/s`];
}

/** Bytes of memory as [number, unit], in powers of 1,024 as memory is sold. */
export function memory(bytes) {
  const gib = bytes / 2 ** 30;
  if (gib < 1) return [(bytes / 2 ** 20).toFixed(0), "MiB"];
  return [Number.isInteger(gib) ? String(gib) : short(gib), "GiB"];
}

/** Milliseconds as text with their unit. */
export function duration(ms) {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  return ms < 999.5 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** A whole number with thin spaces between the thousands. */
export function count(value) {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u2009");
}

/** The least of 1, 1.5, 2, 3, 4, 6, 8, 10, 15 … that is not below `value`. */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 1.5, 2, 3, 4, 6, 8].find((step) => step * power >= value * 0.9999) ?? 10);
}
