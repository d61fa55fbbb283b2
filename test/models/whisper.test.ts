// What is Whisper's own, beside the library transformers, whose small model lies in test/golden/transformers; the rest is in encoder-decoder.test.ts.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  arange,
  io,
  manualSeed,
  models,
  noGrad,
  oneHot,
  optim,
  randint,
  randn,
  scope,
  zeros,
  type AnyTensor,
} from '../../lib/index';
import { collect, difference, folderOf, referenceOf } from './references';

type Reference = Record<string, AnyTensor>;
const tiny = {
  vocabulary: 12,
  mels: 5,
  sourceContext: 6,
  context: 8,
  width: 8,
  layers: 1,
  heads: 2,
  hidden: 12,
  start: 1,
};
let reference: Reference;
beforeAll(async () => {
  reference = (await referenceOf('whisper')) as Reference;
});

// The largest values are near 1. Powers of both sides are rounded to float32 behind sums of some 400 numbers of both signs (6e-8 each), of which the logarithm, up to 8
// powers of ten below the loudest, magnifies what bands of little power lose; 5e-6 has room for that (1e-6 is seen). Another window, filter or floor changes the first or second digit.
const heardAs = 5e-6;

describe('what is heard of recordings', () => {
  const recordings = (): AnyTensor => reference['sound']!.cast('float32').div(128) as AnyTensor;
  const every = (x: AnyTensor, step: number): AnyTensor =>
    x.indexSelect(2, arange(0, x.shape[2]!, step, { dtype: 'int32' })) as AnyTensor;

  test('is that of the reference: longer than the window', () => {
    const heard = models.whisperFeatures(recordings(), { seconds: 1 });
    expect(heard.shape).toEqual([2, 80, 100]);
    expect(difference(every(heard, 2), reference['heard.80.1']!)).toBeLessThan(heardAs);
  });

  test('as long as the window, in 128 bands', () => {
    const heard = models.whisperFeatures(recordings().narrow(1, 0, 16000), { seconds: 1, mels: 128 });
    expect(difference(every(heard, 8), reference['heard.128.1']!)).toBeLessThan(heardAs);
  });

  test('shorter, in the window of published models; one recording is a batch of one', () => {
    const heard = models.whisperFeatures(recordings());
    expect(heard.shape).toEqual([2, 80, 3000]);
    expect(difference(every(heard, 60), reference['heard.80.30']!)).toBeLessThan(heardAs);
    const one = models.whisperFeatures(recordings().select(0, 1) as AnyTensor);
    expect(difference(one, heard.narrow(0, 1, 1))).toBe(0);
  });

  test('longer than what is heard at once', () => {
    manualSeed(4);
    const sound = randn([16000 * 61]).mul(0.1) as AnyTensor;
    const heard = models.whisperFeatures(sound, { seconds: 61 });
    expect(heard.shape).toEqual([1, 80, 6100]);
    // Nothing is 8 powers of ten below the loudest, so that it does not matter what else is in a recording, but for frames at the ends.
    for (const second of [0, 29, 59]) {
      const part = models.whisperFeatures(sound.narrow(0, 16000 * second, 32000), { seconds: 2 });
      const inner = (x: AnyTensor, from: number): AnyTensor => x.narrow(2, from, 196);
      expect(difference(inner(heard, 100 * second + 2), inner(part, 2))).toBe(0);
    }
  });

  test('of silence is the same everywhere', () => {
    // Ten powers of ten below 1.
    const heard = models.whisperFeatures(zeros([100]) as AnyTensor, { seconds: 1 });
    expect([heard.min().itemSync(), heard.max().itemSync()]).toEqual([-1.5, -1.5]);
  });

  test.each<[() => unknown, string]>([
    [
      () => models.whisperFeatures(zeros([1, 2, 100])),
      'whisperFeatures: samples: got shape [1, 2, 100], expected [time] or [b, time]',
    ],
    [
      () => models.whisperFeatures(zeros([100], { dtype: 'int16' })),
      'whisperFeatures: waveform: got int16, expected a floating dtype',
    ],
    [
      () => models.whisperFeatures(zeros([100]), { seconds: 0.5 }),
      'whisperFeatures: seconds: got 0.5, expected an integer of at least 1',
    ],
    [() => models.whisperFeatures(zeros([100]), { mels: 0 }), 'whisperFeatures: mels: got 0'],
  ])('%#: refuses: %s', (act, message) => {
    expect(act).toThrow(message);
  });
});

test('the likeliest targets behind a language and a task are those of the reference', async () => {
  const { source, spoken } = reference;
  const model = await models.Whisper.load(folderOf('whisper'));
  for (const row of [0, 1]) {
    const [start, ...tokens] = Array.from(spoken!.select(0, row).dataSync(), Number);
    expect(start).toBe(model.start);
    const [begin, rest] = [tokens.slice(0, 2), tokens.slice(2)];
    const options = { maxTokens: rest.length, temperature: 0 };
    const one = source!.narrow(0, row, 1);
    expect(await collect(models.generate(model, one, { ...options, begin }))).toEqual(rest);
    expect(await collect(models.generate(model.given(one), [start!, ...begin], options))).toEqual(rest);
  }
});

test('the first token is none of those that do not come first, later ones may be', async () => {
  manualSeed(1);
  const speech = randn([1, 5, 12]) as AnyTensor;
  const all = Array.from({ length: 12 }, (_, i) => i);
  const options = { maxTokens: 1 };
  for (const token of [2, 7]) {
    const model = new models.Whisper({ ...tiny, never: [4], neverFirst: all.filter((each) => each !== token) }).eval();
    expect(await collect(models.generate(model, speech, options))).toEqual([token]);
    const drawn = await collect(models.generate(model, speech, { maxTokens: 60, begin: [3] }));
    expect(drawn[0]).toBe(token);
    expect(new Set(drawn).size).toBeGreaterThan(5);
    expect(drawn).not.toContain(4);
  }
});

test('it learns to name the loudest band', async () => {
  manualSeed(1);
  const model = new models.Whisper({ ...tiny, width: 32, hidden: 64 });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  const speechOf = (loudest: AnyTensor): AnyTensor =>
    (randn([loudest.size, 5, 12]) as AnyTensor)
      .mul(0.2)
      .add(oneHot(loudest, 5).cast('float32').unsqueeze(-1)) as AnyTensor;
  const losses = Array.from({ length: 120 }, () =>
    scope(() => {
      optimizer.zeroGrad();
      const loudest = randint(0, 5, [32], { dtype: 'int32' }) as AnyTensor;
      const loss = model.loss(speechOf(loudest), loudest.add(4).unsqueeze(1) as AnyTensor);
      loss.backward();
      optimizer.step();
      return loss.itemSync();
    }),
  );
  expect(losses[0]).toBeGreaterThan(2);
  expect(losses.at(-1)).toBeLessThan(0.3);
  const heard = speechOf(zeros([1], { dtype: 'int32' }).add(3) as AnyTensor);
  expect(await collect(models.generate(model.eval(), heard, { maxTokens: 1, temperature: 0 }))).toEqual([7]);
});

test('positions of the encoder begin as sines and cosines and are not trained', async () => {
  const weights = (await io.readSafetensors(join(folderOf('whisper'), 'model.safetensors'))) as Reference;
  const model = new models.Whisper({ ...tiny, mels: 6, sourceContext: 10 });
  const { positions } = model.encoder;
  expect(difference(positions, weights['model.encoder.embed_positions.weight']!)).toBeLessThan(1e-6);
  expect(model.stateDict()['encoder.positions']).toBeDefined();
  expect(Array.from(model.namedParameters(), ([name]) => name)).not.toContain('encoder.positions');
});

test('positions of the encoder are read', async () => {
  const weights = (await io.readSafetensors(join(folderOf('whisper'), 'model.safetensors'))) as Reference;
  const model = await models.Whisper.load(folderOf('whisper'));
  const name = 'model.encoder.embed_positions.weight';
  const other = weights[name]!.add(1) as AnyTensor;
  model.loadPublished({ ...weights, [name]: other, 'proj_out.weight': weights['model.decoder.embed_tokens.weight']! });
  expect(difference(model.encoder.positions, other)).toBe(0);
});

test('what fills up has no gradient where it is read', () => {
  const model = new models.Whisper({ ...tiny, padding: 4 });
  const tokens = zeros([1, 3], { dtype: 'int32' }).add(4) as AnyTensor;
  const plain = new models.Whisper(tiny);
  const of = (each: models.Whisper): number => {
    const logits = each.forward(randn([1, 5, 12]) as AnyTensor, tokens);
    // Of another token alone, so that the table has no gradient as the output layer but there.
    logits.narrow(2, 0, 1).sum().backward();
    return each.tokens.weight.grad!.select(0, 4).abs().max().itemSync();
  };
  expect(of(model)).toBe(0);
  expect(of(plain)).toBeGreaterThan(0);
});

test('it is of the size that was published', () => {
  const model = noGrad(() => new models.Whisper());
  const sizes = model.parameters().map(({ size }) => size);
  // whisper-tiny, its table of tokens counted once, with what is not trained, and without the biases of keys in 12 attentions.
  const all = sizes.reduce((a, b) => a + b) + model.encoder.positions.size - 12 * 384;
  expect(all).toBe(37_760_640);
});

describe('files that are changed', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hadal-published-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const loaded = (fields: object, generation?: unknown): Promise<models.Whisper> => {
    cpSync(folderOf('whisper'), folder, { recursive: true });
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...fields }));
    if (generation !== undefined) writeFileSync(join(folder, 'generation_config.json'), JSON.stringify(generation));
    return models.Whisper.load(folder);
  };

  test('where targets begin and what is not made is read', async () => {
    const changed = await loaded({ decoder_start_token_id: 8, suppress_tokens: null, begin_suppress_tokens: [4] });
    expect([changed.start, changed.never, changed.neverFirst]).toEqual([8, [], [4]]);
    expect([changed.training, changed.mels]).toEqual([false, 6]);
  });

  test('a file of how to generate holds instead', async () => {
    const { never, neverFirst } = await loaded({}, { suppress_tokens: [1, 2, 3] });
    expect([never, neverFirst]).toEqual([[1, 2, 3], []]);
  });

  test.each<[object, string]>([
    [{ model_type: 'bart' }, 'Whisper: config.json: model_type: got bart, expected whisper'],
    [{ activation_function: 'relu' }, 'Whisper: config.json: activation_function: got relu, expected gelu'],
    [{ scale_embedding: true }, 'scale_embedding: got true, expected false'],
    [{ tie_word_embeddings: false }, 'tie_word_embeddings: got false, expected true'],
    [{ num_mel_bins: 8 }, 'shapes differ: encoder.conv1.weight'],
    [{ max_source_positions: 12 }, 'shapes differ: encoder.positions'],
    [{ max_target_positions: 12 }, 'shapes differ: decoder.positions.weight'],
    [{ decoder_start_token_id: 24 }, 'Whisper: start: got 24, expected an integer from 0 to 23'],
    [{ suppress_tokens: [-1] }, 'Whisper: never[0]: got -1, expected an integer from 0 to 23'],
    [{ begin_suppress_tokens: ['a'] }, 'Whisper: begin_suppress_tokens: got an array, expected numbers'],
    [{ d_model: '8' }, 'Whisper: config.json: d_model: got string 8, expected a number'],
  ])('%j is refused', async (fields, message) => {
    await expect(loaded(fields)).rejects.toThrow(message);
  });

  test('so is a file of how to generate that is none', async () => {
    await expect(loaded({}, null)).rejects.toThrow('generation_config.json: got null, expected an object');
  });
});

test('what it refuses', async () => {
  const model = new models.Whisper(tiny);
  const speech = randn([2, 5, 12]) as AnyTensor;
  const tokens = randint(0, 12, [2, 3]) as AnyTensor;
  expect(() => model.forward(speech.narrow(2, 0, 11), tokens)).toThrow(
    'Whisper: source: got shape [2, 5, 11], expected [b, 5, 12]',
  );
  expect(() => model.encode(speech.narrow(1, 0, 4))).toThrow('got shape [2, 4, 12], expected [b, 5, 12]');
  expect(() => model.given(speech.select(0, 0) as AnyTensor)).toThrow('got shape [5, 12], expected [b, 5, 12]');
  expect(() => model.loss(speech, randint(0, 12, [2, 9]) as AnyTensor)).toThrow(
    'Whisper: tokens: got 9 in a sequence, expected at most 8',
  );
  const refused = (...args: Parameters<typeof models.generate>): Promise<number[]> => collect(models.generate(...args));
  await expect(refused(model, speech)).rejects.toThrow(
    'generate: prompt: got shape [2, 5, 12], expected a batch of one',
  );
  await expect(refused(model, [1, 2])).rejects.toThrow('Whisper: source: got shape [1, 2], expected [b, 5, 12]');
  await expect(refused(model.given(speech), speech)).rejects.toThrow(
    'generate: prompt: got a Tensor, expected an array',
  );
  await expect(refused(model.given(speech), [1], { begin: [2] })).rejects.toThrow(
    'generate: begin: got tokens for a model without a source, expected them in the prompt',
  );
  await expect(refused(model, speech.narrow(0, 0, 1), { begin: 2 as never })).rejects.toThrow(
    'generate: begin: got number 2, expected an array',
  );
  expect(() => new models.Whisper({ ...tiny, width: 6, heads: 1, sourceContext: 0 })).toThrow(
    'Whisper: sourceContext: got 0, expected an integer of at least 1',
  );
  expect(() => new models.Whisper({ ...tiny, width: 9, heads: 3 })).toThrow(
    'Whisper: width: got 9, expected an even number of at least 4',
  );
  expect(() => new models.Whisper({ ...tiny, neverFirst: [12] })).toThrow(
    'Whisper: neverFirst[0]: got 12, expected an integer from 0 to 11',
  );
  expect(() => new models.Whisper({ ...tiny, never: 3 as never })).toThrow(
    'Whisper: never: got number 3, expected an array',
  );
});
