/** How a reader says that bytes are not what their format says: the file, what is wrong, and where. */
import { FormatError } from '../errors';

/** `op: file: what at place: got …, expected …`; a number as the place is a byte's position. */
export function malformed(
  op: string,
  file: string,
  place: number | string,
  what: string,
  got: string,
  expected: string,
): FormatError {
  const message = `${op}: ${file}: ${what} at ${placeText(place)}: got ${got}, expected ${expected}`;
  const where = typeof place === 'number' ? { offset: place } : { place };
  return new FormatError(message, { file, ...where, got, expected });
}

const placeText = (place: number | string): string => (typeof place === 'number' ? `byte ${place}` : place);

/** A piece of someone else's text as an error shows it: quoted, and shortened. */
export const excerpt = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 59)}…` : text);
