// What is T5's own, beside the library transformers, whose small models lie in test/golden/transformers; the rest is in encoder-decoder.test.ts.
//
// Differences are in terms of the largest value. Both sides round to float32 (6e-8) in some dozen sums one after the other, in another order; 1e-5 has
// room for that, while another bucket, scale or activation changes the first or second digit.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { distanceBuckets } from '../../lib/models/distance-buckets';
import {
  arange,
  gradients,
  io,
  manualSeed,
  models,
  nn,
  optim,
  randint,
  scope,
  tensor,
  type AnyTensor,
} from '../../lib/index';
import { collect, difference, folderOf, referenceOf } from './references';

type Reference = Record<string, AnyTensor>;
const tiny = { vocabulary: 12, width: 8, layers: 2, heads: 2, headSize: 6, hidden: 12 };

test('distances fall into the buckets of the reference', async () => {
  const distances = arange(-300, 301, { dtype: 'int32' }) as AnyTensor;
  const buckets = await io.readSafetensors(join(folderOf('.'), 'buckets.safetensors'));
  for (const [name, expected] of Object.entries(buckets)) {
    const [count, largest, sides] = name.split('.') as [string, string, string];
    const found = distanceBuckets(distances, Number(count), Number(largest), sides === 'both');
    expect([name, found.toArraySync()]).toEqual([name, expected.toArraySync()]);
  }
});

test('the same seed draws the same targets', async () => {
  manualSeed(1);
  const model = new models.T5(tiny).eval();
  const draw = (): Promise<number[]> => {
    manualSeed(7);
    return collect(models.generate(model, [3, 4, 1], { maxTokens: 12, topK: 8 }));
  };
  const first = await draw();
  expect(first).toHaveLength(12);
  expect(new Set(first).size).toBeGreaterThan(1);
  expect(await draw()).toEqual(first);
});

test.each<[string, models.T5Options]>([
  ['of the first kind, with dropout', { ...tiny, dropout: 0.1 }],
  ['of the second kind', { ...tiny, dropout: 0, activation: 'geluTanh', gated: true, tied: false }],
])('%s, it learns to reverse', async (_, options) => {
  manualSeed(1);
  const model = new models.T5({ ...options, layers: 1, width: 32, headSize: 16, hidden: 64 });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  const losses = Array.from({ length: 300 }, () =>
    scope(() => {
      optimizer.zeroGrad();
      const source = randint(2, 8, [64, 3], { dtype: 'int32' }) as AnyTensor;
      const loss = model.loss(source, source.flip(1) as AnyTensor);
      loss.backward();
      optimizer.step();
      return loss.itemSync();
    }),
  );
  expect(losses[0]).toBeGreaterThan(2);
  expect(losses.at(-1)).toBeLessThan(0.8);
  const reversed = models.generate(model.eval(), [5, 7, 2], { maxTokens: 3, temperature: 0 });
  expect(await collect(reversed)).toEqual([2, 7, 5]);
});

test('weights begin so that scores and logits are of about one size', () => {
  manualSeed(0);
  const model = new models.T5({
    ...tiny,
    vocabulary: 200,
    width: 64,
    headSize: 16,
    heads: 4,
    hidden: 256,
    tied: false,
  });
  const deviation = (x: AnyTensor): number => x.std().itemSync();
  const { selfAttn, down } = model.encoder.blocks[0]!;
  const [queries, rest] = selfAttn.inProjWeight!.split([64, 128], 0);
  // Of thousands of numbers the deviation is known within some percent.
  expect(deviation(queries!) / (64 * 16) ** -0.5).toBeCloseTo(1, 1);
  expect(deviation(rest!) / 64 ** -0.5).toBeCloseTo(1, 1);
  expect(deviation(down.weight) / 256 ** -0.5).toBeCloseTo(1, 1);
  expect(deviation(model.tokens.weight)).toBeCloseTo(1, 1);
  expect(deviation(model.head!.weight) / 64 ** -0.5).toBeCloseTo(1, 1);
});

test('targets that are passed over are read as the start', () => {
  manualSeed(2);
  const model = new models.T5({ ...tiny, dropout: 0, start: 3 });
  const source = randint(0, 12, [1, 5]) as AnyTensor;
  const [targets, begun] = [
    [4, 9, -1, 6],
    [3, 4, 9, 3],
  ].map((list) => tensor([list], { dtype: 'int32' })) as [AnyTensor, AnyTensor];
  const whole = nn.functional.crossEntropy(model.forward(source, begun).flatten(0, 1), targets.flatten() as never, {
    ignoreIndex: -1,
    reduction: 'sum',
  });
  expect(difference(model.loss(source, targets, { ignoreIndex: -1, reduction: 'sum' }), whole)).toBeLessThan(1e-6);
});

test('an encoder and a decoder of other lengths', () => {
  const model = new models.T5({ ...tiny, decoderLayers: 1 });
  expect([model.encoder.blocks.length, model.decoder.blocks.length]).toEqual([2, 1]);
});

test('it is of the size that was published', () => {
  const sizes = new models.T5().parameters().map(({ size }) => size);
  // t5-small, its table of tokens counted once.
  expect(sizes.reduce((a, b) => a + b)).toBe(60_506_624);
});

describe('files that are changed', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hadal-published-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const loaded = (name: string, fields: object): Promise<models.T5> => {
    cpSync(folderOf(name), folder, { recursive: true });
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...fields }));
    return models.T5.load(folder);
  };
  const older = { scale_decoder_outputs: undefined, dense_act_fn: undefined, is_gated_act: undefined };

  // As in files that were published before.
  test.each<[string, object]>([
    ['t5', { ...older, tie_word_embeddings: undefined, feed_forward_proj: undefined, num_decoder_layers: undefined }],
    ['t5-gated', { ...older, tie_word_embeddings: false }],
    ['mt5', { ...older, tie_word_embeddings: false, decoder_start_token_id: undefined, feed_forward_proj: undefined }],
  ])('%s with %j', async (name, fields) => {
    const { source, begun, kept, logits } = (await referenceOf(name)) as Reference;
    const model = await loaded(name, fields);
    expect(difference(model.forward(source!, begun!, { sourceKeyMask: kept! }), logits!)).toBeLessThan(1e-5);
  });

  test('copies of the table of tokens, and biases that nothing reads, are left out', async () => {
    const weights = await io.readSafetensors(join(folderOf('t5'), 'model.safetensors'));
    const model = await models.T5.load(folderOf('t5'));
    const { 'shared.weight': table, 'decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight': biases } =
      weights as Reference;
    model.loadPublished({
      ...weights,
      'encoder.embed_tokens.weight': table!,
      'decoder.embed_tokens.weight': table!,
      'lm_head.weight': table!,
      'decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight': biases!,
    });
  });

  test.each<[string, object, string]>([
    ['t5', { model_type: 'umt5' }, 'T5: config.json: model_type: got umt5, expected t5 or mt5'],
    [
      't5',
      { feed_forward_proj: 'gelu' },
      'T5: config.json: feed_forward_proj: got gelu, expected relu or gated-gelu or gated-silu',
    ],
    ['t5', { feed_forward_proj: 'gated-gelu' }, 'loadStateDict: names differ: missing [encoder.blocks.0.gate.weight'],
    ['t5', { scale_decoder_outputs: false }, 'loadStateDict: names differ: missing [head.weight]'],
    ['t5', { d_kv: 4 }, 'loadStateDict: shapes differ: encoder.blocks.0.self_attn.in_proj_weight'],
    ['t5', { relative_attention_num_buckets: 6 }, 'T5: buckets: got 6, expected a positive multiple of 4'],
    ['t5', { decoder_start_token_id: 24 }, 'T5: start: got 24, expected an integer from 0 to 23'],
    ['t5', { relative_attention_max_distance: 4 }, 'T5: maxDistance: got 4, expected an integer of at least 5'],
    ['t5', { d_ff: '12' }, 'T5: config.json: d_ff: got string 12, expected a number'],
  ])('%s with %j is refused', async (name, fields, message) => {
    await expect(loaded(name, fields)).rejects.toThrow(message);
  });
});

test('what it refuses', () => {
  const model = new models.T5(tiny);
  const tokens = randint(0, 12, [2, 3]) as AnyTensor;
  expect(() => model.forward(tokens.select(0, 0), tokens)).toThrow('T5: tokens: got shape [3], expected [b, t]');
  expect(() => model.loss(tokens, tokens.select(0, 0))).toThrow('T5: tokens: got shape [3], expected [b, t]');
  expect(() => model.forward(tokens, tokens, { types: tokens } as never)).toThrow('T5: options: got types');
  expect(() => new models.T5({ ...tiny, activation: 'tanh' as never })).toThrow(
    'T5: activation: got tanh, expected relu',
  );
});

test('gradients reach the biases by distance, with dropout too', () => {
  manualSeed(3);
  const model = new models.T5({ ...tiny, dropout: 0 });
  const [source, targets] = [randint(0, 12, [2, 5]), randint(0, 12, [2, 4])] as [AnyTensor, AnyTensor];
  const biases = [model.encoder.positions.weight, model.decoder.positions.weight] as AnyTensor[];
  const found = gradients([model.loss(source, targets)], biases) as AnyTensor[];
  for (const each of found) expect(each.abs().max().itemSync()).toBeGreaterThan(1e-4);
  const dropping = new models.T5({ ...tiny, dropout: 0.3 });
  dropping.loss(source, targets).backward();
  expect(dropping.decoder.positions.weight.grad!.abs().max().itemSync()).toBeGreaterThan(1e-4);
});
