/** What the stages of a tokenizer are. A stage keeps the JSON it was made from, so that a tokenizer can be saved as it was loaded. */
import type { JsonValue } from '../../io/json-text';

export interface Stage<Apply> {
  readonly json: JsonValue;
  readonly apply: Apply;
}

/** Text to text, before anything is cut. */
export type Normalizer = Stage<(text: string) => string>;
/** A piece of text to smaller ones, the words that the model sees; `isFirst` tells whether the text begins with the piece. */
export type PreTokenizer = Stage<(text: string, isFirst: boolean) => string[]>;
/** The tokens of a text, cleaned and ready to be joined. */
export type Decoder = Stage<(tokens: string[]) => string[]>;
/** The numbers of one text, with the special ones around them. */
export type PostProcessor = Stage<(ids: number[]) => number[]>;

/** Words to numbers and back. */
export interface Model {
  readonly json: JsonValue;
  /** By number; a number may have no token. */
  readonly tokens: readonly (string | undefined)[];
  number(token: string): number | undefined;
  /** Appends a word's numbers. */
  encode(word: string, into: number[]): void;
}

/** Whether a character is white space; JavaScript's \s has one more and the other languages' tokenizers do not. */
export const whiteSpace = '\\p{White_Space}';

/** What \w stands for in the other languages' patterns. */
export const wordCharacters = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_C}';

/** How the parts that match go with those that do not. */
export type SplitBehavior = 'Removed' | 'Isolated' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous';
export const splitBehaviors: readonly SplitBehavior[] = [
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
];

/** Cuts a text at the matches of a global pattern; with `invert`, what lies between them counts as the matches. */
export function splitAt(text: string, pattern: RegExp, behavior: SplitBehavior, invert = false): string[] {
  const parts: { text: string; matches: boolean }[] = [];
  let at = 0;
  const push = (end: number, matches: boolean): void => {
    if (end > at) parts.push({ text: text.slice(at, end), matches: matches !== invert });
    at = end;
  };
  for (const match of text.matchAll(pattern)) {
    push(match.index, false);
    push(match.index + match[0].length, true);
  }
  push(text.length, false);
  if (behavior === 'Removed') return parts.filter(({ matches }) => !matches).map((part) => part.text);
  if (behavior === 'Isolated') return parts.map((part) => part.text);
  const joined: string[] = [];
  parts.forEach((part, i) => {
    const previous = parts[i - 1];
    const joins =
      previous !== undefined &&
      (behavior === 'Contiguous'
        ? previous.matches === part.matches
        : behavior === 'MergedWithPrevious'
          ? part.matches && !previous.matches
          : previous.matches && !part.matches);
    if (joins) joined[joined.length - 1] += part.text;
    else joined.push(part.text);
  });
  return joined;
}
