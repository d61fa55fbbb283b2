/** The patterns of tokenizer.json, written for Oniguruma, as regular expressions of JavaScript. */
import type { JsonText } from '../../io/json-text';

/** `{"String": …}` or `{"Regex": …}`, as a global pattern. */
export function patternOf(json: JsonText): RegExp {
  const fields = json.object();
  const text = fields.optional('String');
  if (text !== undefined) return new RegExp(text.string().replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'), 'gu');
  const regex = fields.required('Regex');
  const pattern = translated(regex.string());
  try {
    if (pattern !== undefined) return new RegExp(pattern, 'gu');
  } catch {
    // Said below.
  }
  return regex.wrong('a pattern that JavaScript can run');
}

/** Oniguruma's \w within a set of characters, and alone. */
const wordInSet = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}';
const word = `${wordInSet}\\xb2\\xb3\\xb9\\xbc-\\xbe`;

/** What JavaScript writes otherwise, within a set. */
const inSet: Readonly<Record<string, string>> = {
  '\\w': wordInSet,
  '\\d': '\\p{Nd}',
  '\\D': '\\P{Nd}',
  '\\s': '\\p{White_Space}',
  '\\S': '\\P{White_Space}',
};

/** The same, outside of sets: `^` and `$` are at lines. */
const outside: Readonly<Record<string, string>> = {
  ...inSet,
  '\\w': `[${word}]`,
  '\\W': `[^${word}]`,
  '\\b': `(?:(?<=[${word}])(?![${word}])|(?<![${word}])(?=[${word}]))`,
  '\\B': `(?:(?<=[${word}])(?=[${word}])|(?<![${word}])(?![${word}]))`,
  '.': '[^\\n]',
  '^': '(?:^|(?<=\\n)(?!$))',
  $: '(?=\\n|$)',
};

/**
 * A pattern as JavaScript writes it, groups that ignore case spelt out, and possessive repetition as greedy: in patterns that cut words, what follows never
 * needs what was taken. Undefined for sets within sets and for other options of groups.
 */
function translated(pattern: string): string | undefined {
  let result = '';
  let set = false;
  let ignoresCase = false;
  let before = '';
  const groups: boolean[] = [];
  for (const [part] of pattern.matchAll(/\\[pP]\{[^}]*\}|\\[^]|\(\?[a-z-]+:|&&|[^]/gu)) {
    const isRepeated = !set && /^[+*?]$/.test(before);
    before = isRepeated ? '' : part;
    if (isRepeated && part === '+') continue;
    if (set) {
      if (part === '[' || part === '&&' || part === '\\W' || (ignoresCase && part === '-')) return undefined;
      set = part !== ']';
      result += inSet[part] ?? (ignoresCase ? cases(part) : part);
    } else {
      if (part.startsWith('(?') && part !== '(?i:') return undefined;
      if (part.startsWith('(')) groups.push(ignoresCase);
      if (part === ')') ignoresCase = groups.pop() ?? false;
      set = part === '[';
      const letters = ignoresCase ? cases(part) : part;
      result += outside[part] ?? (part === '(?i:' ? '(?:' : letters === part ? part : `[${letters}]`);
      ignoresCase ||= part === '(?i:';
    }
  }
  return result;
}

/** The letters that are the same as this one but for their case. */
function cases(letter: string): string {
  const more: Readonly<Record<string, string>> = { k: '\u212a', s: '\u017f' };
  const lower = letter.toLowerCase();
  return /^[a-z]$/i.test(letter) ? `${lower}${letter.toUpperCase()}${more[lower] ?? ''}` : letter;
}
