/** Tokenizers from files: Hugging Face's `tokenizer.json`, and GPT-2's `encoder.json` with `vocab.bpe`. */
import { readWhole } from '../../io/byte-source';
import { JsonText, type JsonObject, type JsonValue } from '../../io/json-text';
import { excerpt, malformed } from '../../io/malformed';
import { isUtf8 } from 'node:buffer';
import { bytesOfTokens } from './byte-level';
import { parseDecoder, parsePostProcessor } from './decoders';
import { BpeModel, UnigramModel, WordLevelModel, WordPieceModel, type TokenNumbers } from './models';
import { parseNormalizer } from './normalizers';
import { byteLevel, parsePreTokenizer } from './pre-tokenizers';
import type { Model } from './stages';
import { Tokenizer, type AddedToken } from './tokenizer';

/**
 * Loads a `tokenizer.json` with a BPE, WordPiece, Unigram or WordLevel model and the usual stages around it. Truncation and padding that it asks for are left
 * out.
 *
 * @throws FormatError naming the key, when the file is malformed or has a stage that is not known.
 * @example
 * const tokenizer = await data.text.loadTokenizer('bert/tokenizer.json');
 * tokenizer.encode('Hello!'); // [101, 7592, 999, 102]
 */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  const op = 'loadTokenizer';
  const json = JsonText.parse(op, path, await readWhole(op, path)).object();
  const model = parseModel(json.required('model'), op, path);
  return new Tokenizer({
    model,
    addedTokens: (json.optional('added_tokens')?.array() ?? []).map(parseAddedToken),
    normalizer: maybe(json.optional('normalizer'), parseNormalizer),
    preTokenizer: maybe(json.optional('pre_tokenizer'), parsePreTokenizer),
    postProcessor: maybe(json.optional('post_processor'), parsePostProcessor),
    decoder: maybe(json.optional('decoder'), parseDecoder),
  });
}

/**
 * Loads GPT-2's tokenizer, whose token `<|endoftext|>` ends documents.
 *
 * @throws FormatError naming the key or the line, when a file is malformed or they do not agree.
 * @example
 * const gpt2 = await data.text.loadGpt2Tokenizer('encoder.json', 'vocab.bpe');
 * gpt2.encode('Hello world'); // [15496, 995]
 */
export async function loadGpt2Tokenizer(encoderPath: string, mergesPath: string): Promise<Tokenizer> {
  const op = 'loadGpt2Tokenizer';
  const vocab = JsonText.parse(op, encoderPath, await readWhole(op, encoderPath));
  const numbers = parseVocab(vocab, op, encoderPath);
  const bytes = await readWhole(op, mergesPath);
  if (!isUtf8(bytes)) throw malformed(op, mergesPath, 0, 'text', 'invalid UTF-8', 'UTF-8');
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString().split(/\r?\n/);
  const merges = lines.flatMap((line, i): Merge[] => {
    if (line === '' || (i === 0 && line.startsWith('#version'))) return [];
    const [left, right, ...rest] = line.split(' ');
    const place = `line ${i + 1}`;
    if (left === undefined || right === undefined || left === '' || right === '' || rest.length > 0) {
      throw malformed(op, mergesPath, place, 'merge', excerpt(line), 'two tokens with a space between');
    }
    return [{ left, right, place }];
  });
  const text = merges.map(({ left, right }) => [left, right]);
  return byteLevelTokenizer(numbers, resolved(merges, numbers, '', op, mergesPath), text, ['<|endoftext|>']);
}

/** A byte-level tokenizer as GPT-2's; `specials` that have a number are found in texts. */
export function byteLevelTokenizer(
  numbers: TokenNumbers,
  merges: Iterable<readonly [number, number, number]>,
  mergesText: JsonValue,
  specials: readonly string[],
): Tokenizer {
  const stage = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const model: JsonValue = {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: '',
    end_of_word_suffix: '',
    fuse_unk: false,
    byte_fallback: false,
    vocab: Object.fromEntries(numbers),
    merges: mergesText,
  };
  return new Tokenizer({
    model: new BpeModel(numbers, merges, {}, model),
    preTokenizer: { json: stage, apply: byteLevel(false, true) },
    decoder: { json: stage, apply: (tokens) => [bytesOfTokens(tokens).toString()] },
    addedTokens: specials
      .filter((content) => numbers.has(content))
      .map((content) => ({
        id: numbers.get(content)!,
        content,
        special: true,
        normalized: false,
        singleWord: false,
        leftStrip: false,
        rightStrip: false,
      })),
  });
}

interface Merge {
  readonly left: string;
  readonly right: string;
  readonly place: string;
}

/** Merges as numbers: both parts and what they make must be tokens. */
function resolved(
  merges: readonly Merge[],
  numbers: TokenNumbers,
  prefix: string,
  op: string,
  file: string,
): [number, number, number][] {
  return merges.map(({ left, right, place }) => {
    const result = left + (right.startsWith(prefix) ? right.slice(prefix.length) : right);
    const found = [left, right, result].map((token) => {
      const number = numbers.get(token);
      if (number === undefined) throw malformed(op, file, place, 'merge', excerpt(token), 'a token of the vocabulary');
      return number;
    });
    return found as [number, number, number];
  });
}

const maybe = <T>(json: JsonText | undefined, parse: (json: JsonText) => T): T | undefined =>
  json === undefined ? undefined : parse(json);

/** More tokens than any model has, so that no number makes an array without bounds. */
const MAX_NUMBER = 16_777_216;

function parseVocab(json: JsonText, op: string, file: string): Map<string, number> {
  const numbers = new Map<string, number>();
  const owners = new Map<number, string>();
  for (const [token, value] of json.object().entries()) {
    const number = tokenNumber(value);
    const other = owners.get(number);
    if (other !== undefined) {
      throw malformed(op, file, value.place, 'token', `number ${number} of ${excerpt(other)}`, 'a number of its own');
    }
    owners.set(number, token);
    numbers.set(token, number);
  }
  return numbers;
}

function tokenNumber(json: JsonText): number {
  const number = json.count();
  return number < MAX_NUMBER ? number : json.wrong(`a number below ${MAX_NUMBER}`);
}

function parseAddedToken(json: JsonText): AddedToken {
  const fields = json.object();
  const flag = (name: string): boolean => fields.optional(name)?.boolean() ?? false;
  const special = flag('special');
  return {
    id: tokenNumber(fields.required('id')),
    content: fields.required('content').string(),
    special,
    normalized: fields.optional('normalized')?.boolean() ?? !special,
    singleWord: flag('single_word'),
    leftStrip: flag('lstrip'),
    rightStrip: flag('rstrip'),
  };
}

function parseModel(json: JsonText, op: string, file: string): Model {
  const fields = json.object();
  const type = fields.optional('type');
  switch (type?.string() ?? guessedType(fields)) {
    case 'BPE':
      return parseBpe(json, fields, op, file);
    case 'WordPiece': {
      const numbers = parseVocab(fields.required('vocab'), op, file);
      const unknown = unknownNumber(fields, numbers, '[UNK]');
      const prefix = fields.optional('continuing_subword_prefix')?.string() ?? '##';
      const most = fields.optional('max_input_chars_per_word')?.count() ?? 100;
      return new WordPieceModel(numbers, unknown, prefix, most, json.value);
    }
    case 'Unigram':
      return parseUnigram(json, fields, op, file);
    case 'WordLevel': {
      const numbers = parseVocab(fields.required('vocab'), op, file);
      return new WordLevelModel(numbers, numbers.get(fields.optional('unk_token')?.string() ?? '<unk>'), json.value);
    }
    default:
      return (type ?? json).wrong('a model that is known: BPE, WordPiece, Unigram, WordLevel');
  }
}

/** Old files do not say what their model is. */
function guessedType(fields: JsonObject): string {
  if (fields.optional('merges') !== undefined) return 'BPE';
  if (Array.isArray(fields.optional('vocab')?.value)) return 'Unigram';
  return fields.optional('continuing_subword_prefix') === undefined ? 'WordLevel' : 'WordPiece';
}

function unknownNumber(fields: JsonObject, numbers: TokenNumbers, otherwise: string): number {
  const given = fields.optional('unk_token');
  const number = numbers.get(given?.string() ?? otherwise);
  return number ?? (given ?? fields.required('vocab')).wrong('a token of the vocabulary for what is unknown');
}

function parseBpe(json: JsonText, fields: JsonObject, op: string, file: string): Model {
  const numbers = parseVocab(fields.required('vocab'), op, file);
  const merges = fields
    .required('merges')
    .array()
    .map((merge): Merge => {
      const pair = Array.isArray(merge.value) ? merge.array().map((part) => part.string()) : merge.string().split(' ');
      if (pair.length !== 2) merge.wrong('two tokens');
      return { left: pair[0]!, right: pair[1]!, place: merge.place };
    });
  const continuingPrefix = fields.optional('continuing_subword_prefix')?.string() ?? '';
  const unknown = fields.optional('unk_token');
  const options = {
    unknown: unknown === undefined ? undefined : unknownNumber(fields, numbers, ''),
    fuseUnknown: fields.optional('fuse_unk')?.boolean() ?? false,
    byteFallback: fields.optional('byte_fallback')?.boolean() ?? false,
    ignoreMerges: fields.optional('ignore_merges')?.boolean() ?? false,
    continuingPrefix,
    wordSuffix: fields.optional('end_of_word_suffix')?.string() ?? '',
  };
  return new BpeModel(numbers, resolved(merges, numbers, continuingPrefix, op, file), options, json.value);
}

function parseUnigram(json: JsonText, fields: JsonObject, op: string, file: string): Model {
  const seen = new Set<string>();
  const pieces = fields
    .required('vocab')
    .array()
    .map((entry): [string, number] => {
      const [token, score] = entry.array();
      if (token === undefined || score === undefined) return entry.wrong('a token and its score');
      if (seen.has(token.string())) {
        throw malformed(op, file, entry.place, 'token', `${excerpt(token.string())} a second time`, 'each once');
      }
      seen.add(token.string());
      return [token.string(), score.number()];
    });
  const unknown = fields.optional('unk_id');
  if (unknown !== undefined && unknown.count() >= pieces.length) unknown.wrong(`a number below ${pieces.length}`);
  return new UnigramModel(pieces, unknown?.count(), fields.optional('byte_fallback')?.boolean() ?? false, json.value);
}
