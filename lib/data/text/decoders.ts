/** The decoders of tokenizer.json: tokens to text, and the post-processors: the special tokens around a text. */
import type { JsonObject, JsonText } from '../../io/json-text';
import { bytesOfTokens } from './byte-level';
import { patternOf } from './patterns';
import { metaspaceFields } from './pre-tokenizers';
import type { Decoder, PostProcessor } from './stages';

type Clean = (tokens: string[]) => string[];

export function parseDecoder(json: JsonText): Decoder {
  return { json: json.value, apply: cleanOf(json) };
}

function cleanOf(json: JsonText): Clean {
  const fields = json.object();
  const type = fields.required('type');
  switch (type.string()) {
    case 'Sequence': {
      const parts = fields.required('decoders').array().map(cleanOf);
      return (tokens) => parts.reduce((result, part) => part(result), tokens);
    }
    case 'ByteLevel':
      return (tokens) => [bytesOfTokens(tokens).toString()];
    case 'WordPiece':
      return wordPiece(fields);
    case 'Metaspace': {
      const { mark, scheme } = metaspaceFields(json);
      return (tokens) =>
        tokens.map((token, i) => {
          const text = token.replaceAll(mark, ' ');
          return i === 0 && scheme !== 'never' && token.startsWith(mark) ? text.slice(1) : text;
        });
    }
    case 'BPEDecoder': {
      const suffix = fields.optional('suffix')?.string() ?? '</w>';
      return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '));
    }
    case 'ByteFallback':
      return byteFallback;
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Strip': {
      const content = fields.required('content').string();
      const start = fields.optional('start')?.count() ?? 0;
      const stop = fields.optional('stop')?.count() ?? 0;
      return (tokens) => tokens.map((token) => stripped(token, content, start, stop));
    }
    case 'Replace': {
      const pattern = patternOf(fields.required('pattern'));
      const content = fields.required('content').string();
      return (tokens) => tokens.map((token) => token.replace(pattern, () => content));
    }
    default:
      return type.wrong(
        'a decoder that is known: Sequence, ByteLevel, WordPiece, Metaspace, BPEDecoder, ByteFallback, Fuse, Strip, Replace',
      );
  }
}

function wordPiece(fields: JsonObject): Clean {
  const prefix = fields.optional('prefix')?.string() ?? '##';
  const cleansUp = fields.optional('cleanup')?.boolean() ?? true;
  return (tokens) =>
    tokens.map((token, i) => {
      const continues = token.startsWith(prefix) && i > 0;
      const text = i === 0 ? token : continues ? token.slice(prefix.length) : ` ${token}`;
      return cleansUp ? tidy(text) : text;
    });
}

/** Without the spaces that cutting English put in. */
function tidy(text: string): string {
  return text
    .replaceAll(' .', '.')
    .replaceAll(' ?', '?')
    .replaceAll(' !', '!')
    .replaceAll(' ,', ',')
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(' do not', " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}

/** Tokens `<0x41>` in a row as the text of their bytes; bytes that are no UTF-8 become U+FFFD, one each. */
function byteFallback(tokens: string[]): string[] {
  const result: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    const text = Buffer.from(bytes).toString();
    result.push(Buffer.from(text).equals(Buffer.from(bytes)) ? text : '\uFFFD'.repeat(bytes.length));
    bytes = [];
  };
  for (const token of tokens) {
    const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else {
      flush();
      result.push(token);
    }
  }
  flush();
  return result;
}

function stripped(token: string, content: string, start: number, stop: number): string {
  let result = token;
  for (let i = 0; i < start && content !== '' && result.startsWith(content); i++) result = result.slice(content.length);
  for (let i = 0; i < stop && content !== '' && result.endsWith(content); i++)
    result = result.slice(0, -content.length);
  return result;
}

export function parsePostProcessor(json: JsonText): PostProcessor {
  return { json: json.value, apply: frameOf(json) };
}

function frameOf(json: JsonText): PostProcessor['apply'] {
  const fields = json.object();
  const type = fields.required('type');
  switch (type.string()) {
    case 'Sequence': {
      const parts = fields.required('processors').array().map(frameOf);
      return (ids) => parts.reduce((result, part) => part(result), ids);
    }
    case 'ByteLevel': // offsets only
      return (ids) => ids;
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const [first, last] = ['cls', 'sep'].map((name) => {
        const pair = fields.required(name).array();
        return (pair[1] ?? fields.required(name).wrong('a token and its number')).count();
      });
      return (ids) => [first!, ...ids, last!];
    }
    case 'TemplateProcessing':
      return template(fields);
    default:
      return type.wrong(
        'a post-processor that is known: Sequence, ByteLevel, BertProcessing, RobertaProcessing, TemplateProcessing',
      );
  }
}

/** The pattern for one text: its numbers among those of special tokens. */
function template(fields: JsonObject): PostProcessor['apply'] {
  const specials = new Map(
    fields
      .required('special_tokens')
      .object()
      .entries()
      .map(([name, token]) => [
        name,
        token
          .object()
          .required('ids')
          .array()
          .map((id) => id.count()),
      ]),
  );
  const pieces = fields
    .required('single')
    .array()
    .map((piece) => {
      const special = piece.object().optional('SpecialToken');
      if (special === undefined) {
        piece.object().required('Sequence');
        return undefined;
      }
      const name = special.object().required('id');
      return specials.get(name.string()) ?? name.wrong('one of the special tokens');
    });
  return (ids) => pieces.flatMap((piece) => piece ?? ids);
}
