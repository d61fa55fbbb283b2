// Tokenizers give what Hugging Face's library gives (golden/make-tokenizers.py), GPT-2's among them; training gives the same merges.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';

import { ArgumentError } from '../../lib/errors';
import { data } from '../../lib/index';
import { patternOf } from '../../lib/data/text/patterns';
import { JsonText } from '../../lib/io/json-text';

const { loadGpt2Tokenizer, loadTokenizer, trainBpe, Vocabulary } = data.text;
const golden = join(__dirname, '../golden/tokenizers');
const shared = process.env['HADAL_DATA'] ?? join(__dirname, '../../../shared/data');
const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Case {
  readonly text: string;
  readonly ids: number[];
  readonly decoded: string;
  readonly all: string;
  readonly start?: number;
  readonly length?: number;
}
const read = (name: string): unknown => JSON.parse(readFileSync(join(golden, name), 'utf8'));

describe.each(['wordpiece', 'llama', 'unigram', 'words', 'suffix', 'clip', 'modern'])('tokenizer.json: %s', (name) => {
  const cases = read(`${name}.cases.json`) as Case[];
  test.each(cases)('$text', async ({ text, ids, decoded, all }) => {
    const tokenizer = await loadTokenizer(join(golden, `${name}.json`));
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(decoded);
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(all);
  });

  test('is the same when saved and loaded', async () => {
    const tokenizer = await loadTokenizer(join(golden, `${name}.json`));
    const path = join(folder, 'tokenizer.json');
    await tokenizer.save(path);
    const again = await loadTokenizer(path);
    for (const { text, ids } of cases) expect(again.encode(text)).toEqual(ids);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(read(`${name}.json`));
  });
});

describe('letters beyond the usual', () => {
  const made = async (normalizer: unknown, words: string[], added: unknown[] = []): Promise<data.text.Tokenizer> => {
    const vocab = Object.fromEntries(['?', ...words].map((word, i) => [word, i]));
    const path = join(folder, 'small.json');
    const model = { type: 'WordLevel', vocab, unk_token: '?' };
    writeFileSync(
      path,
      JSON.stringify({ normalizer, pre_tokenizer: { type: 'Whitespace' }, model, added_tokens: added }),
    );
    return loadTokenizer(path);
  };

  test('all kinds of marks are accents, to BERT those that take no room', async () => {
    const [plain, bert] = ['हनद', 'हिनदी'];
    const strip = await made({ type: 'StripAccents' }, [plain, bert]);
    expect(strip.encode('हिन्दी')).toEqual([1]);
    const bertStrip = await made({ type: 'BertNormalizer', lowercase: true }, [plain, bert]);
    expect(bertStrip.encode('हिन्दी')).toEqual([2]);
  });

  test('characters that nobody has assigned are no control characters', async () => {
    const bert = await made({ type: 'BertNormalizer' }, ['\u{10FFFF}']);
    expect(bert.encode('\u{E000}\u{10FFFF}\0')).toEqual([1]);
  });

  test.each(['Lowercase', 'BertNormalizer'])('%s makes one letter of every capital sigma', async (type) => {
    const lower = await made({ type }, ['οδοσ']);
    expect(lower.encode('ΟΔΟΣ ΟΔΟΣ')).toEqual([1, 1]);
  });

  test('a mark, a letter beyond 16 bits and a joiner belong to the word', async () => {
    const token = { id: 9, content: 'word', single_word: true, lstrip: false, rstrip: false, normalized: false, special: false }; // prettier-ignore
    const single = await made(null, [], [token]);
    expect(single.encode('word!')).toEqual([9, 0]);
    for (const text of ['word\u0301', '𠀀word', 'word\u200d', 'word𠀀']) expect(single.encode(text)).toEqual([0]);
  });
});

test.each([
  ['\\w+', 'a\u0301b\u200dc x² é_3', '<>\u200d<> <> <>'],
  ['[^\\w\\s]+', 'é-x² Ⅷ', 'é<>x<> Ⅷ'],
  ['\\W', 'aé!', 'aé<>'],
  ['\\d', '3٣²', '<><>²'],
  ['\\b', 'é aé', '<>é<> <>aé<>'],
  ['^.', 'b\na\n\r', '<>\n<>\n<>'],
  ['.$', 'b \n d\r\u2028', 'b<>\n d\r<>'],
  ['[*+]+', 'a++b*+c', 'a<>b<>c'],
  ['\\++', 'a++b+', 'a<>b<>'],
  ['\\s++x', 'a  x', 'a<>'],
  ["'(?i:[sdmt]|ll|ve|re)", "I'LL we'ſ it'S'n", "I<> we<> it<>'n"],
  ['(?i:s(k)?)s', 'sKS SKs', 'sKS <>'],
])('the pattern %j finds what it finds in the library', (Regex, text, expected) => {
  const pattern = patternOf(JsonText.parse('test', 'file', Buffer.from(JSON.stringify({ Regex }))));
  expect(text.replace(pattern, '<>')).toBe(expected);
});

test.each(['[a-z&&b]', '[\\W]', '(?m:.)', '(?i:[a-z])', '\\h', '[[:punct:]]', 'a{1}+'])(
  'the pattern %j is refused',
  (Regex) => {
    const json = JsonText.parse('test', 'file', Buffer.from(JSON.stringify({ Regex })));
    expect(() => patternOf(json)).toThrow('expected a pattern that JavaScript can run');
  },
);

describe('what is unknown', () => {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  const load = (model: object): Promise<data.text.Tokenizer> => {
    const path = join(folder, 'unknown.json');
    writeFileSync(path, JSON.stringify({ model }));
    return loadTokenizer(path);
  };
  const vocab = ['<unk>', 'a', ...bytes].map((token) => [token, -1]);

  test('is cut with the written name of the unknown token, as in the library', async () => {
    const tokenizer = await load({ type: 'Unigram', vocab, unk_id: 0, byte_fallback: true });
    expect(tokenizer.tokenize('<unk>a')).toEqual(['<unk>', 'a']);
    expect(tokenizer.tokenize('<unk>;')).toEqual(['<0x3C>', '<0x75>', '<0x6E>', '<0x6B>', '<0x3E>', '<0x3B>']);
  });

  test.each([
    { type: 'Unigram', vocab },
    { type: 'WordLevel', vocab: { a: 0 }, unk_token: '?' },
  ])('is an error where there is no token for it: $type', async (model) => {
    const tokenizer = await load(model);
    expect(tokenizer.encode('a')).toHaveLength(1);
    expect(() => tokenizer.encode('b')).toThrow('encode: text: got "b", for which there is no token');
  });
});

const gpt2Files = ['encoder.json', 'vocab.bpe'].map((name) => join(shared, 'gpt2_bpe', name));
(existsSync(gpt2Files[0]!) ? describe : describe.skip)('GPT-2', () => {
  const load = (): ReturnType<typeof loadGpt2Tokenizer> => loadGpt2Tokenizer(gpt2Files[0]!, gpt2Files[1]!);
  const cases = read('gpt2.cases.json') as Case[];

  test('gives GPT-2’s numbers', async () => {
    const tokenizer = await load();
    expect(tokenizer.vocabSize).toBe(50257);
    expect(tokenizer.encode('Hello world')).toEqual([15496, 995]);
    for (const { text, ids, decoded, all } of cases.filter(({ start }) => start === undefined)) {
      expect([text, tokenizer.encode(text)]).toEqual([text, ids]);
      expect(tokenizer.decode(ids)).toBe(decoded);
      expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(all);
    }
    const corpus = join(shared, 'tinyshakespeare/input.txt');
    const { start = 0, length = 0, ids } = cases.at(-1)!;
    expect(tokenizer.encode(readFileSync(corpus, 'utf8').slice(start, start + length))).toEqual(ids);
  });

  test('any text comes back as it was', async () => {
    const tokenizer = await load();
    const text = fc.string({ unit: 'binary', maxLength: 200 });
    fc.assert(
      fc.property(text, (original) => {
        expect(tokenizer.decode(tokenizer.encode(original), { skipSpecialTokens: false })).toBe(original);
      }),
    );
    // A lone surrogate has no bytes.
    expect(tokenizer.decode(tokenizer.encode('a\ud800b'))).toBe('a\ufffdb');
  });

  test('a word of 200,000 letters does not take its length squared', async () => {
    const tokenizer = await load();
    const text = 'abcd'.repeat(50_000);
    const start = performance.now();
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('is saved as tokenizer.json', async () => {
    const path = join(folder, 'gpt2.json');
    await (await load()).save(path);
    const again = await loadTokenizer(path);
    for (const { text, ids } of cases.filter(({ start }) => start === undefined))
      expect(again.encode(text)).toEqual(ids);
  });
});

describe('training', () => {
  test('joins the most frequent pair first, of equals that of the lowest numbers', () => {
    const tokenizer = trainBpe(['aaabdaaabac'], { vocabSize: 259, specials: [], minFrequency: 1 });
    expect(tokenizer.tokenize('aaabdaaabac')).toEqual(['aaab', 'd', 'aaab', 'a', 'c']);
  });

  const corpus = join(shared, 'tinyshakespeare/input.txt');
  (existsSync(corpus) ? test : test.skip)('gives the merges that Hugging Face’s trainer gives', async () => {
    const text = readFileSync(corpus, 'utf8').slice(0, 100_000);
    const tokenizer = trainBpe([text], { vocabSize: 257 + 300 });
    const { model } = tokenizer.toJSON() as { model: { merges: unknown } };
    expect(model.merges).toEqual(read('trained.json'));
    const path = join(folder, 'trained.json');
    await tokenizer.save(path);
    const again = await loadTokenizer(path);
    expect(again.encode(text)).toEqual(tokenizer.encode(text));
    expect(again.decode(again.encode(text))).toBe(text);
  });

  test('stops when nothing occurs often enough, and refuses a size without room for the bytes', () => {
    expect(trainBpe(['ab'], { vocabSize: 1000 }).vocabSize).toBe(257);
    expect(() => trainBpe([], { vocabSize: 256 })).toThrow(
      new ArgumentError('trainBpe: vocabSize: got 256, expected an integer from 257 to 2^24'),
    );
  });
});

describe('vocabularies', () => {
  const texts = ['the cat and the dog', 'the dog'].map((text) => text.split(' '));

  test('the most frequent first, behind the specials', () => {
    const vocabulary = Vocabulary.build(texts, { specials: ['<pad>', '<unk>'], unknown: '<unk>' });
    expect(vocabulary.tokens).toEqual(['<pad>', '<unk>', 'the', 'dog', 'and', 'cat']);
    expect(vocabulary.encode(['dog', 'bites', 'cat'])).toEqual([3, 1, 5]);
    expect(vocabulary.decode([3, 1])).toEqual(['dog', '<unk>']);
    expect(Vocabulary.build(texts, { minFrequency: 2 }).tokens).toEqual(['the', 'dog']);
    expect(Vocabulary.build(texts, { maxSize: 3, specials: ['the'] }).tokens).toEqual(['the', 'dog', 'and']);
  });

  test('saved and loaded', async () => {
    const vocabulary = Vocabulary.build(texts, { specials: ['?'], unknown: '?' });
    const path = join(folder, 'vocabulary.json');
    await vocabulary.save(path);
    const again = await Vocabulary.load(path);
    expect([again.tokens, again.number('nothing')]).toEqual([vocabulary.tokens, 0]);
  });

  test.each<[() => unknown, string]>([
    [() => new Vocabulary(['a', 'a']), 'Vocabulary: tokens: got "a" twice, expected each once'],
    [() => new Vocabulary(['a'], { unknown: 'b' }), 'Vocabulary: unknown: got "b", expected one of the tokens'],
    [() => new Vocabulary(['a']).number('b'), 'Vocabulary: got "b", expected a token that is in it'],
    [() => new Vocabulary(['a']).decode([1]), 'Vocabulary: got 1, expected 0 to 0'],
  ])('%#: refuses: %s', (act, message) => {
    expect(act).toThrow(new ArgumentError(message));
  });
});
