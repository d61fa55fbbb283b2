/** The pre-tokenizers of tokenizer.json: a text to the words that the model sees. */
import type { JsonText } from '../../io/json-text';
import { gpt2Pattern, toByteCharacters } from './byte-level';
import { patternOf } from './patterns';
import { splitAt, splitBehaviors, whiteSpace, wordCharacters, type PreTokenizer } from './stages';

type Cut = PreTokenizer['apply'];

export function parsePreTokenizer(json: JsonText): PreTokenizer {
  return { json: json.value, apply: cutOf(json) };
}

const wordsAndSigns = new RegExp(`[${wordCharacters}]+|[^${wordCharacters}${whiteSpace}]+`, 'gu');
const punctuation = /[!-/:-@[-`{-~]|\p{P}/gu;

function cutOf(json: JsonText): Cut {
  const fields = json.object();
  const type = fields.required('type');
  switch (type.string()) {
    case 'Sequence': {
      const parts = fields.required('pretokenizers').array().map(cutOf);
      return (text, isFirst) =>
        parts.reduce((pieces, part) => pieces.flatMap((piece, i) => part(piece, isFirst && i === 0)), [text]);
    }
    case 'ByteLevel': {
      const addsSpace = fields.optional('add_prefix_space')?.boolean() ?? true;
      const usesPattern = fields.optional('use_regex')?.boolean() ?? true;
      return byteLevel(addsSpace, usesPattern);
    }
    case 'BertPreTokenizer':
      return (text) => words(text).flatMap((word) => splitAt(word, punctuation, 'Isolated'));
    case 'Whitespace':
      return (text) => text.match(wordsAndSigns) ?? [];
    case 'WhitespaceSplit':
      return words;
    case 'Punctuation': {
      const behavior = fields.optional('behavior')?.oneOf(...splitBehaviors) ?? 'Isolated';
      return (text) => splitAt(text, punctuation, behavior);
    }
    case 'Digits': {
      const one = fields.optional('individual_digits')?.boolean() ?? false;
      return (text) => splitAt(text, /\p{N}/gu, one ? 'Isolated' : 'Contiguous');
    }
    case 'Split': {
      const pattern = patternOf(fields.required('pattern'));
      const behavior = fields.required('behavior').oneOf(...splitBehaviors);
      const inverts = fields.optional('invert')?.boolean() ?? false;
      return (text) => splitAt(text, pattern, behavior, inverts);
    }
    case 'Metaspace':
      return metaspace(json);
    default:
      return type.wrong(
        'a pre-tokenizer that is known: Sequence, ByteLevel, BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, Split, Metaspace',
      );
  }
}

const words = (text: string): string[] => text.match(/\P{White_Space}+/gu) ?? [];

/** GPT-2's words, their bytes as characters. */
export function byteLevel(addsSpace: boolean, usesPattern: boolean): Cut {
  return (text) => {
    const spaced = addsSpace && !text.startsWith(' ') ? ` ${text}` : text;
    return (usesPattern ? (spaced.match(gpt2Pattern) ?? []) : [spaced]).map(toByteCharacters);
  };
}

export type PrependScheme = 'always' | 'first' | 'never';

/** The mark for a space, and where one is put in front; shared with the decoder. */
export function metaspaceFields(json: JsonText): { mark: string; scheme: PrependScheme } {
  const fields = json.object();
  const mark = fields.optional('replacement')?.string() ?? '▁';
  const legacy = fields.optional('add_prefix_space')?.boolean() ?? true;
  const scheme = fields.optional('prepend_scheme')?.oneOf<PrependScheme>('always', 'first', 'never');
  return { mark, scheme: scheme ?? (legacy ? 'always' : 'never') };
}

function metaspace(json: JsonText): Cut {
  const { mark, scheme } = metaspaceFields(json);
  const cuts = json.object().optional('split')?.boolean() ?? true;
  const pattern = new RegExp(mark.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'), 'gu');
  return (text, isFirst) => {
    const marked = text.replaceAll(' ', mark);
    const prepends = !marked.startsWith(mark) && (scheme === 'always' || (scheme === 'first' && isFirst));
    const whole = prepends ? mark + marked : marked;
    return cuts ? splitAt(whole, pattern, 'MergedWithNext') : [whole];
  };
}
