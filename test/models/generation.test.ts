// Generation beside the library transformers: what becomes of logits, penalties of repetitions, and beam search, with the small models of test/golden/transformers.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { cat, manualSeed, models, ones, randn, tensor, type AnyTensor } from '../../lib/index';
import { chancesOf, processorOf } from '../../lib/models/generation/logits';
import type { Decoding } from '../../lib/models/generation/decoding';
import { collect, folderOf } from './references';

type Theirs = Readonly<Record<string, unknown>>;
interface Golden {
  readonly choices: {
    readonly logits: number[][];
    readonly sequences: number[][];
    readonly cases: { readonly options: Theirs; readonly chances: number[][] }[];
  };
  readonly speech: number[];
  readonly greedy: { readonly model: string; readonly options: Theirs; readonly tokens: number[] }[];
  readonly beams: {
    readonly model: string;
    readonly options: Theirs;
    readonly found: { readonly tokens: number[]; readonly score: number }[];
  }[];
}
const golden = JSON.parse(readFileSync(join(__dirname, '../golden/generation.json'), 'utf8')) as Golden;

/** Names of options as they are here. */
const names: Readonly<Record<string, string>> = {
  temperature: 'temperature',
  top_k: 'topK',
  top_p: 'topP',
  min_p: 'minP',
  repetition_penalty: 'repetitionPenalty',
  no_repeat_ngram_size: 'noRepeatNgram',
  eos_token_id: 'stop',
  num_beams: 'beams',
  num_return_sequences: 'returned',
  length_penalty: 'lengthPenalty',
  early_stopping: 'earlyStopping',
};
const ours = (options: Theirs): object =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [names[name]!, value]));

const kinds = {
  gpt2: models.GPT2,
  llama: models.Llama,
  t5: models.T5,
  bart: models.Bart,
  marian: models.Bart,
  whisper: models.Whisper,
};
type Kind = keyof typeof kinds;
const load = (name: string): Promise<InstanceType<(typeof kinds)[Kind]>> => kinds[name as Kind].load(folderOf(name));

const speech = tensor(golden.speech, { shape: [1, 6, 20] }) as AnyTensor;
const prompts: Readonly<Record<string, number[] | AnyTensor>> = {
  gpt2: [3, 1, 4, 1, 5],
  llama: [3, 1, 4, 1, 5],
  whisper: speech,
};
const promptOf = (name: string): number[] | AnyTensor => prompts[name] ?? [7, 3, 19, 11, 4, 2];

/** What is yielded for each prompt. */
async function collectRows(steps: AsyncIterable<(number | undefined)[]>, count: number): Promise<number[][]> {
  const rows: number[][] = Array.from({ length: count }, () => []);
  for await (const tokens of steps) tokens.forEach((token, i) => token !== undefined && rows[i]!.push(token));
  return rows;
}
const beginOf = (name: string): number[] => (name === 'whisper' ? [9, 14] : []);

test.each(golden.choices.cases)(
  'chances of tokens with $options are those of the reference',
  ({ options, chances }) => {
    const { logits, sequences } = golden.choices;
    const own = ours(options);
    const state = { sequences, made: 3, never: [] as number[] } as unknown as Decoding;
    const processed = processorOf('generate', own)(tensor(logits) as AnyTensor, state);
    const { chances: found, places } = chancesOf(processed, own);
    const all = places === undefined ? found : tensor(found.toArraySync() as number[][]);
    const inOrder = ones([3, 12]).mul(0) as AnyTensor;
    const sums = found.sum(-1, { keepDims: true });
    const filled = (places === undefined ? all : inOrder.scatter(1, places as never, found)).div(sums) as AnyTensor;
    // Softmax in float32 twice there and once here: a few times 6e-8.
    expect(filled.sub(tensor(chances)).abs().max().itemSync()).toBeLessThan(5e-7);
  },
);

test.each(golden.greedy)('$model: the likeliest tokens with $options', async ({ model: name, options, tokens }) => {
  const model = await load(name);
  const own = { ...ours(options), temperature: 0, maxTokens: 10, begin: beginOf(name) };
  expect(await collect(models.generate(model, promptOf(name), own))).toEqual(tokens);
});

test.each(golden.beams)('$model: beam search with $options', async ({ model: name, options, found }) => {
  const model = await load(name);
  const results = await models.beamSearch(model, promptOf(name), {
    ...ours(options),
    maxTokens: 10,
    begin: beginOf(name),
  });
  expect(results.map(({ tokens }) => tokens)).toEqual(found.map(({ tokens }) => tokens));
  // Sums of ten logarithms of some −3 in float32, of logits that differ by 1e-5 of the largest.
  results.forEach(({ score }, i) => expect(Math.abs(score / found[i]!.score - 1)).toBeLessThan(1e-5));
});

describe('several prompts at once', () => {
  // Longer together than the contexts of GPT-2 and Llama here, of 16 tokens: each goes on from its own later half.
  const texts = [[3, 1, 4, 1, 5], [9], [2, 7, 1, 8, 2, 8, 1, 8, 2, 4], [6, 6]];
  const sizes = { vocabulary: 40, context: 16, width: 16, layers: 2, heads: 4, hidden: 24 };
  const random = (model: models.Llama): models.Llama => {
    manualSeed(5);
    // Far larger than at a start, so that every part counts.
    for (const parameter of model.parameters()) parameter.detach().copy_(randn(parameter.shape).mul(0.4).add(0.1));
    return model.eval();
  };
  const kindsOfBatches: [string, () => Promise<models.LanguageModel | models.SequenceToSequenceModel>][] = [
    ['GPT-2', () => load('gpt2') as Promise<models.GPT2>],
    ['Llama', () => load('llama') as Promise<models.Llama>],
    ['Mistral', () => models.Llama.load(folderOf('mistral'))],
    ['Gemma 2', () => models.Llama.load(folderOf('gemma2'))],
    ['Mixtral', () => models.Llama.load(folderOf('mixtral'))],
    ['Llama with windows shorter than the padding', async () => random(new models.Llama({ ...sizes, window: 3 }))],
    ['a decoder of learned positions', async () => (await models.Bart.load(folderOf('bart'))).given(sources(4))],
    ['of sines and cosines', async () => (await models.Bart.load(folderOf('marian'))).given(sources(4))],
    ['of distances', async () => (await models.T5.load(folderOf('t5'))).given(sources(4))],
    ['of sounds', async () => (await models.Whisper.load(folderOf('whisper'))).given(speech.expand([4, 6, 20]))],
    ['T5', () => load('t5') as Promise<models.T5>],
    ['BART', () => load('bart') as Promise<models.Bart>],
  ];
  const sources = (count: number): AnyTensor => tensor([[4, 9, 2]], { dtype: 'int32' }).expand([count, 3]) as AnyTensor;

  test.each(kindsOfBatches)('%s: each is continued as alone', async (_, make) => {
    const model = await make();
    const alone = await make();
    const single = 'select' in alone ? alone.select!(tensor([0], { dtype: 'int32' })) : alone;
    const options = { maxTokens: 14, temperature: 0, repetitionPenalty: 1.3, noRepeatNgram: 4 };
    const expected = await Promise.all(texts.map((text) => collect(models.generate(single, text, options))));
    expect(await collectRows(models.generateBatch(model, texts, options), 4)).toEqual(expected);
    // They end one after the other, by a token that comes at different times.
    const ends = (stop: number): number[] => expected.map((tokens) => tokens.indexOf(stop));
    const different = (stop: number): number => new Set(ends(stop)).size;
    const stop = expected.flat().reduce((best, token) => (different(token) > different(best) ? token : best));
    expect(different(stop)).toBeGreaterThan(1);
    const ending = expected.map((tokens) =>
      tokens.includes(stop) ? tokens.slice(0, tokens.indexOf(stop) + 1) : tokens,
    );
    expect(await collectRows(models.generateBatch(model, texts, { ...options, stop }), 4)).toEqual(ending);
  });

  test('those that have ended are yielded no more', async () => {
    const model = await load('gpt2');
    const steps: (number | undefined)[][] = [];
    const stop = (await collect(models.generate(model, texts[1]!, { maxTokens: 2, temperature: 0 }))).at(-1)!;
    const options = { maxTokens: 5, temperature: 0, stop };
    for await (const tokens of models.generateBatch(model, texts.slice(0, 2), options)) steps.push(tokens);
    const alone = await Promise.all(texts.slice(0, 2).map((text) => collect(models.generate(model, text, options))));
    expect(steps).toEqual(steps.map((__, i) => alone.map((tokens) => tokens[i])));
    expect(steps).toHaveLength(Math.max(...alone.map(({ length }) => length)));
  });

  test('a batch of what a model reads', async () => {
    const model = await load('whisper');
    const both = cat([speech, speech.neg()], 0) as AnyTensor;
    const options = { maxTokens: 8, temperature: 0, begin: [9, 14] };
    const alone = await Promise.all([0, 1].map((i) => collect(models.generate(model, both.narrow(0, i, 1), options))));
    expect(await collectRows(models.generateBatch(model, both, options), 2)).toEqual(alone);
  });

  test('with positions that depend on the length, those of the longest hold', async () => {
    const model = await models.Llama.load(folderOf('phi3-longrope'));
    const prompt = [1, 2, 3, 4, 5];
    const options = { maxTokens: 12, temperature: 0 };
    const expected = await collect(models.generate(model, prompt, options));
    const [first, second] = await collectRows(models.generateBatch(model, [prompt, [7, 8]], options), 2);
    expect(first).toEqual(expected);
    expect(second).toHaveLength(12);
  });
});

describe('what is refused', () => {
  const model = new models.GPT2({ vocabulary: 12, context: 8, width: 8, layers: 1, heads: 2 }).eval();
  test.each<[models.GenerateOptions, string]>([
    [{ stop: -1 }, 'stop: got -1, expected a token or a list of tokens'],
    [{ stop: ['a'] as never }, 'stop: got an array, expected a token or a list of tokens'],
    [{ minP: 1.5 }, 'minP: got 1.5, expected a number from 0 to 1'],
    [{ repetitionPenalty: 0 }, 'repetitionPenalty: got 0, expected a number above 0'],
    [{ noRepeatNgram: -1 }, 'noRepeatNgram: got -1, expected an integer of at least 0'],
    [{ logitsProcessor: 3 as never }, 'logitsProcessor: got number 3, expected a function'],
  ])('%j', async (options, message) => {
    await expect(collect(models.generate(model, [1], options))).rejects.toThrow(`generate: ${message}`);
  });

  test.each<[number[][], string]>([
    [[], 'prompts: got none, expected at least one'],
    [[[1], []], 'prompts[1]: got no tokens, expected at least one'],
    [3 as never, 'prompts: got number 3, expected an array'],
    [[1] as never, 'prompts[0]: got number 1, expected an array'],
  ])('prompts %j', async (prompts_, message) => {
    await expect(models.generateBatch(model, prompts_).next()).rejects.toThrow(`generateBatch: ${message}`);
  });

  test.each<[models.BeamSearchOptions, string]>([
    [{ beams: 0 }, 'beams: got 0, expected an integer of at least 1'],
    [{ beams: 2, returned: 3 }, 'returned: got 3, expected at most 2 beams'],
    [{ maxTokens: 0 }, 'maxTokens: got 0, expected an integer of at least 1'],
    [{ lengthPenalty: NaN }, 'lengthPenalty: got NaN, expected a finite number'],
    [{ earlyStopping: 'always' as never }, 'earlyStopping: got always, expected false, true or never'],
  ])('beam search with %j', async (options, message) => {
    await expect(models.beamSearch(model, [1], options)).rejects.toThrow(`beamSearch: ${message}`);
  });
});

test('a rule of one’s own comes last', async () => {
  const model = await load('marian');
  const seen: [number, number[]][] = [];
  const logitsProcessor: models.LogitsProcessor = (logits, sequences, made) => {
    seen.push([made, [...sequences[0]!]]);
    // The model never makes 0: it is hidden already.
    expect(logits.narrow(1, 0, 1).itemSync()).toBe(-Infinity);
    return logits.indexFill(1, tensor([3 + made], { dtype: 'int32' }), 1e3) as AnyTensor;
  };
  const tokens = await collect(models.generate(model, [7, 3], { maxTokens: 3, temperature: 0, logitsProcessor }));
  expect(tokens).toEqual([3, 4, 5]);
  expect(seen).toEqual([
    [0, [0]],
    [1, [0, 3]],
    [2, [0, 3, 4]],
  ]);
});
