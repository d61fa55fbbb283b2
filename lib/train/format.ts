/** How values of a run are written for people: shares as percentages, bytes with units, anything else with few digits. */

/** Whether a value of that name is a share, 0 to 1. */
export const isShare = (name: string): boolean => /accuracy|precision|recall|f1|auroc/i.test(name);

export const isBytes = (name: string): boolean => /bytes$/i.test(name);

/** A value as text: `98.76 %`, `1.5 GB`, `0.01234`. */
export function shownValue(name: string, value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (isShare(name)) return `${+(100 * value).toFixed(2)} %`;
  if (isBytes(name)) return bytes(value);
  return significant(value, 4);
}

export function bytes(value: number): string {
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(value, 1)) / 3)));
  return `${+(value / 1000 ** power).toPrecision(3)} ${['B', 'kB', 'MB', 'GB', 'TB'][power]!}`;
}

/** A number with at most so many significant digits; large ones in full, with commas. */
export function significant(value: number, digits = 3): string {
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e9)) return value.toExponential(digits - 1);
  const short = Math.abs(value) >= 10 ** digits ? Math.round(value) : +value.toPrecision(digits);
  return short.toLocaleString('en-US', { maximumFractionDigits: 20 });
}
