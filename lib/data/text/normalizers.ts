/** The normalizers of tokenizer.json: text to text, before anything is cut. */
import type { JsonText } from '../../io/json-text';
import { patternOf } from './patterns';
import type { Normalizer } from './stages';

type Change = (text: string) => string;

export function parseNormalizer(json: JsonText): Normalizer {
  return { json: json.value, apply: changeOf(json) };
}

function changeOf(json: JsonText): Change {
  const fields = json.object();
  const type = fields.required('type');
  switch (type.string()) {
    case 'Sequence': {
      const parts = fields.required('normalizers').array().map(changeOf);
      return (text) => parts.reduce((result, part) => part(result), text);
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = type.string();
      return (text) => text.normalize(form);
    }
    case 'Lowercase':
      return lowered;
    case 'StripAccents':
      return (text) => text.replace(/\p{M}/gu, '');
    case 'Strip': {
      const left = fields.optional('strip_left')?.boolean() ?? true;
      const right = fields.optional('strip_right')?.boolean() ?? true;
      return (text) => {
        const start = left ? text.replace(/^\p{White_Space}+/u, '') : text;
        return right ? start.replace(/\p{White_Space}+$/u, '') : start;
      };
    }
    case 'Prepend': {
      const prefix = fields.required('prepend').string();
      return (text) => (text === '' ? text : prefix + text);
    }
    case 'Replace': {
      const pattern = patternOf(fields.required('pattern'));
      const content = fields.required('content').string();
      return (text) => text.replace(pattern, () => content);
    }
    case 'BertNormalizer': {
      const lowercase = fields.optional('lowercase')?.boolean() ?? true;
      const strips = fields.optional('strip_accents')?.boolean() ?? lowercase;
      const cleans = fields.optional('clean_text')?.boolean() ?? true;
      const spaces = fields.optional('handle_chinese_chars')?.boolean() ?? true;
      return (text) => {
        let result = cleans ? cleaned(text) : text;
        if (spaces) result = result.replace(cjk, ' $& ');
        if (strips) result = result.normalize('NFD').replace(/\p{Mn}/gu, '');
        return lowercase ? lowered(result) : result;
      };
    }
    default:
      return type.wrong(
        'a normalizer that is known: Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace, BertNormalizer',
      );
  }
}

/** Letter by letter: JavaScript alone gives a sigma at the end of a word another form. */
const lowered = (text: string): string => text.replaceAll('Σ', 'σ').toLowerCase();

// The ideographs that BERT takes as words of their own.
const cjk =
  /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/gu;

/** Without control characters, and every kind of white space a plain space. */
function cleaned(text: string): string {
  return text.replace(/[\0\uFFFD]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu, '').replace(/\p{White_Space}/gu, ' ');
}
