/** The patterns of tokenizer.json, written for Oniguruma, as regular expressions of JavaScript. */
import type { JsonText } from '../../io/json-text';

/** `{"String": …}` or `{"Regex": …}`, as a global pattern. */
export function patternOf(json: JsonText): RegExp {
  const fields = json.object();
  const text = fields.optional('String');
  if (text !== undefined) return new RegExp(text.string().replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'), 'gu');
  const regex = fields.required('Regex');
  try {
    return new RegExp(translated(regex.string()), 'gu');
  } catch {
    return regex.wrong('a pattern that JavaScript can run');
  }
}

/**
 * White space as Unicode defines it, groups that ignore case spelt out, and possessive repetition as greedy: in patterns that cut words, what follows never
 * needs what was taken.
 */
function translated(pattern: string): string {
  return pattern
    .replace(/\(\?i:([^()]*)\)/g, (_, body: string) => `(?:${body.replace(/[a-z]/gi, bothCases)})`)
    .replace(/\\[sS]/g, (space) => (space === '\\s' ? '\\p{White_Space}' : '\\P{White_Space}'))
    .replace(/([+*?])\+/g, '$1');
}

const bothCases = (letter: string): string => `[${letter.toLowerCase()}${letter.toUpperCase()}]`;
