// What is BART's and Marian's own, beside the library transformers, whose small models lie in test/golden/transformers; the rest is in encoder-decoder.test.ts.
//
// Differences are in terms of the largest value. Both sides round to float32 (6e-8) in some dozen sums one after the other, in another order; 1e-5 has
// room for that, while another position, scale or activation changes the first or second digit.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { arange, io, manualSeed, models, noGrad, optim, randint, scope, zeros, type AnyTensor } from '../../lib/index';
import { sinusoids } from '../../lib/models/sinusoids';
import { collect, difference, folderOf, referenceOf } from './references';

type Reference = Record<string, AnyTensor>;
const tiny = { vocabulary: 12, context: 16, width: 8, layers: 1, heads: 2, hidden: 12 };

test('sines and cosines are those of 64 bits, rounded', () => {
  const found = sinusoids(arange(1000, 1003), 6, 'float32').toArraySync() as number[][];
  const frequencies = [1, 10000 ** (-1 / 3), 10000 ** (-2 / 3)];
  [1000, 1001, 1002].forEach((place, i) => {
    const expected = [...frequencies.map((f) => Math.sin(place * f)), ...frequencies.map((f) => Math.cos(place * f))];
    // Angles near 1000 in float32 would be wrong by 3e-5.
    expected.forEach((value, j) => expect(found[i]![j]).toBeCloseTo(value, 7));
  });
});

test('tokens that are never to be made are not, though they are likeliest', async () => {
  manualSeed(1);
  const model = new models.Bart({ ...tiny, never: [3, 5] }).eval();
  const raised = new models.Bart(tiny).eval();
  for (const each of [model, raised]) for (const token of [3, 5]) each.logitBias.narrow(1, token, 1).fill_(100);
  for (const options of [{ temperature: 0 }, { topK: 12 }, {}]) {
    const drawn = await collect(models.generate(model, [1, 2], { maxTokens: 12, ...options }));
    expect(drawn).toHaveLength(12);
    expect(drawn.filter((token) => token === 3 || token === 5)).toEqual([]);
    const free = await collect(models.generate(raised, [1, 2], { maxTokens: 12, ...options }));
    expect(free.every((token) => token === 3 || token === 5)).toBe(true);
  }
});

test('a target longer than the context goes on from its later half', async () => {
  const model = new models.Bart({ ...tiny, context: 4 }).eval();
  expect(await collect(models.generate(model, [1, 2, 3, 4], { maxTokens: 9 }))).toHaveLength(9);
});

test('it learns to reverse', async () => {
  manualSeed(1);
  const model = new models.Bart({ ...tiny, width: 32, hidden: 64 });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  const losses = Array.from({ length: 200 }, () =>
    scope(() => {
      optimizer.zeroGrad();
      const source = randint(3, 9, [64, 3], { dtype: 'int32' }) as AnyTensor;
      const loss = model.loss(source, source.flip(1) as AnyTensor);
      loss.backward();
      optimizer.step();
      return loss.itemSync();
    }),
  );
  expect(losses[0]).toBeGreaterThan(2);
  expect(losses.at(-1)).toBeLessThan(0.8);
  const reversed = models.generate(model.eval(), [5, 7, 4], { maxTokens: 3, temperature: 0 });
  expect(await collect(reversed)).toEqual([4, 7, 5]);
});

test('what fills up has no gradient where it is read', () => {
  const model = new models.Bart({ ...tiny, dropout: 0, padding: 4 });
  const features = model.encode(zeros([1, 3], { dtype: 'int32' }).add(4) as AnyTensor);
  features.square().sum().backward();
  expect(model.tokens.weight.grad!.abs().max().itemSync()).toBe(0);
  expect(model.encoder.positions!.weight.grad!.abs().max().itemSync()).toBeGreaterThan(0);
});

test('it is of the size that was published', () => {
  const sizes = noGrad(() => new models.Bart().parameters().map(({ size }) => size));
  // bart-base, its table of tokens counted once.
  expect(sizes.reduce((a, b) => a + b)).toBe(139_420_416);
});

describe('files that are changed', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hadal-published-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const loaded = (name: string, fields: object): Promise<models.Bart> => {
    cpSync(folderOf(name), folder, { recursive: true });
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...fields }));
    return models.Bart.load(folder);
  };

  test.each<[string, object, boolean]>([
    // As in files that were published before.
    [
      'bart',
      { model_type: undefined, normalize_before: false, normalize_embedding: true, scale_embedding: undefined },
      true,
    ],
    ['marian', { normalize_embedding: false, add_final_layer_norm: false, tie_word_embeddings: undefined }, true],
    ['pegasus', { normalize_before: true, add_final_layer_norm: true, decoder_start_token_id: undefined }, true],
    ['bart', { scale_embedding: true }, false],
    ['bart', { activation_function: 'relu' }, false],
    ['marian', { activation_function: 'silu' }, true],
    ['marian', { scale_embedding: false }, false],
    ['marian', { encoder_attention_heads: 4 }, false],
  ])('%s with %j', async (name, fields, same) => {
    const { source, begun, kept, logits } = (await referenceOf(name)) as Reference;
    const model = await loaded(name, fields);
    const apart = difference(model.forward(source!, begun!, { sourceKeyMask: kept! }), logits!);
    if (same) expect(apart).toBeLessThan(1e-5);
    else expect(apart).toBeGreaterThan(1e-3);
  });

  test('where tokens begin, fill up and are not made is read', async () => {
    const marian = await loaded('marian', { decoder_start_token_id: 7, pad_token_id: 5 });
    expect([marian.start, marian.never]).toEqual([7, [5]]);
    expect((await loaded('bart', {})).never).toEqual([]);
  });

  test('copies of the table of tokens, sines and cosines are left out, and a bias of the logits may be missing', async () => {
    const weights = (await io.readSafetensors(join(folderOf('marian'), 'model.safetensors'))) as Reference;
    const model = await models.Bart.load(folderOf('marian'));
    const { 'model.shared.weight': table, final_logits_bias: bias, ...rest } = weights;
    expect(bias!.abs().max().itemSync()).toBeGreaterThan(0.1);
    const places = zeros([24, 8]) as AnyTensor;
    const copies = Object.fromEntries(
      ['model.encoder.embed_tokens', 'model.decoder.embed_tokens', 'lm_head'].map((name) => [`${name}.weight`, table!]),
    );
    const positions = {
      'model.encoder.embed_positions.weight': places,
      'model.decoder.embed_positions.weight': places,
    };
    model.loadPublished({ 'model.shared.weight': table!, ...rest, ...copies, ...positions });
    expect(difference(model.logitBias, bias!)).toBe(0);
  });

  test.each<[string, object, string]>([
    ['bart', { model_type: 'mbart' }, 'Bart: config.json: model_type: got mbart, expected bart or marian or pegasus'],
    [
      'bart',
      { activation_function: 'tanh' },
      'activation_function: got tanh, expected gelu or relu or swish or silu or gelu_new',
    ],
    ['bart', { normalize_before: true }, 'normalize_before: got true, expected false'],
    ['bart', { max_position_embeddings: 20 }, 'shapes differ: encoder.positions.weight'],
    ['bart', { model_type: 'marian' }, 'unexpected [decoder.embedding_norm'],
    ['bart', { decoder_start_token_id: 24 }, 'Bart: start: got 24, expected an integer from 0 to 23'],
    ['bart', { d_model: '8' }, 'Bart: config.json: d_model: got string 8, expected a number'],
    [
      'marian',
      { share_encoder_decoder_embeddings: false },
      'share_encoder_decoder_embeddings: got false, expected true',
    ],
    ['marian', { tie_word_embeddings: false }, 'tie_word_embeddings: got false, expected true'],
    ['pegasus', { add_final_layer_norm: false }, 'add_final_layer_norm: got false, expected true'],
  ])('%s with %j is refused', async (name, fields, message) => {
    await expect(loaded(name, fields)).rejects.toThrow(message);
  });
});

test('what it refuses', () => {
  const model = new models.Bart(tiny);
  const tokens = randint(0, 12, [2, 3]) as AnyTensor;
  const long = randint(0, 12, [1, 17]) as AnyTensor;
  expect(() => model.forward(tokens.select(0, 0), tokens)).toThrow('Bart: tokens: got shape [3], expected [b, t]');
  expect(() => model.forward(long, tokens)).toThrow('Bart: tokens: got 17 in a sequence, expected at most 16');
  expect(() => model.loss(tokens.narrow(0, 0, 1), long)).toThrow('got 17 in a sequence, expected at most 16');
  expect(() => model.forward(tokens, tokens, { types: tokens } as never)).toThrow('Bart: options: got types');
  expect(() => new models.Bart({ ...tiny, activation: 'tanh' as never })).toThrow(
    'activation: got tanh, expected relu',
  );
  expect(() => new models.Bart({ ...tiny, positions: 'rotary' as never })).toThrow(
    'Bart: positions: got rotary, expected learned or sinusoidal',
  );
  expect(() => new models.Bart({ ...tiny, never: [1, 12] })).toThrow(
    'Bart: never[1]: got 12, expected an integer from 0 to 11',
  );
  expect(() => new models.Bart({ ...tiny, context: 0 })).toThrow(
    'Bart: context: got 0, expected an integer of at least 1',
  );
});
