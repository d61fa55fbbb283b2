// CLIP beside the library transformers, whose small models lie in test/golden/transformers: one finds the end of a text by the highest number, one by its token.
//
// Differences are in terms of the largest value. Both sides round to float32 (6e-8) in some dozen sums one after the other, in another order; 1e-5 has
// room for that, while another activation, place of the end or missing norm changes the first or second digit.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  cat,
  full,
  io,
  manualSeed,
  models,
  nn,
  optim,
  randint,
  randn,
  scope,
  zeros,
  type AnyTensor,
} from '../../lib/index';
import { difference, expectGradients, folderOf, referenceOf } from './references';

type Reference = Record<string, AnyTensor>;
const tiny = { size: 8, imageSize: 8, patchSize: 4, imageWidth: 16, imageLayers: 1, imageHeads: 2 };
const small = { ...tiny, vocabulary: 12, context: 5, textWidth: 16, textLayers: 1, textHeads: 2 };

describe.each(['clip', 'clip-end'])('%s', (name) => {
  let model: models.CLIP;
  let reference: Reference;
  beforeAll(async () => {
    [model, reference] = [await models.CLIP.load(folderOf(name)), (await referenceOf(name)) as Reference];
  });

  test('logits are those of the reference', () => {
    const { images, tokens, kept, logits, masked } = reference;
    expect(difference(model.forward(images!, tokens!), logits!)).toBeLessThan(1e-5);
    expect(difference(model.forward(images!, tokens!, { keyMask: kept! }), masked!)).toBeLessThan(1e-5);
    expect(difference(masked!, logits!)).toBeGreaterThan(1e-3);
  });

  test.each([true, false])('what images and texts become is that of the reference, normalised: %s', (normalized) => {
    const { images, tokens } = reference;
    const of = (part: string): AnyTensor => reference[normalized ? part : `${part}.plain`]!;
    expect(difference(model.encodeImage(images!, { normalized }), of('image'))).toBeLessThan(1e-5);
    expect(difference(model.encodeText(tokens!, { normalized }), of('text'))).toBeLessThan(1e-5);
    if (normalized) expect(difference(model.encodeImage(images!), of('image'))).toBeLessThan(1e-5);
  });

  test('the loss and its gradients are those of the reference', async () => {
    const { images, tokens, loss } = reference;
    model.zeroGrad();
    const found = model.loss(images!, tokens!);
    expect(difference(found, loss!.squeeze() as AnyTensor)).toBeLessThan(1e-5);
    found.backward();
    expectGradients(model, await models.CLIP.load(folderOf(name)), reference);
  });

  test('saved and read into another, it is the same', async () => {
    const { images, tokens, logits } = reference;
    const folder = mkdtempSync(join(tmpdir(), 'hadal-saved-'));
    const file = join(folder, 'model.safetensors');
    await io.writeSafetensors(file, model.stateDict());
    const other = await models.CLIP.load(folderOf(name));
    for (const parameter of other.parameters()) nn.init.zeros_(parameter);
    other.loadStateDict(await io.readSafetensors(file));
    rmSync(folder, { recursive: true });
    expect(difference(other.forward(images!, tokens!), logits!)).toBeLessThan(1e-5);
  });
});

test('it learns which images and texts belong together', () => {
  manualSeed(1);
  const model = new models.CLIP(small);
  const words = randint(0, 11, [8, 4], { dtype: 'int32' });
  const texts = cat([words, full([8, 1], 11, { dtype: 'int32' })], 1).keep() as AnyTensor;
  const images = randn([8, 3, 8, 8]).keep();
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  const losses = Array.from({ length: 100 }, () =>
    scope(() => {
      optimizer.zeroGrad();
      const loss = model.loss(images, texts);
      loss.backward();
      optimizer.step();
      return loss.itemSync();
    }),
  );
  expect(losses[0]).toBeGreaterThan(1.5);
  expect(losses.at(-1)).toBeLessThan(0.5);
});

test('it is of the size that was published', () => {
  const sizes = new models.CLIP().parameters().map(({ size }) => size);
  // clip-vit-base-patch32.
  expect(sizes.reduce((a, b) => a + b)).toBe(151_277_313);
});

describe('files that are changed', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hadal-published-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const loaded = (
    name: string,
    change: (config: Record<string, Record<string, unknown>>) => object,
  ): Promise<models.CLIP> => {
    cpSync(folderOf(name), folder, { recursive: true });
    const path = join(folder, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, unknown>>;
    writeFileSync(path, JSON.stringify({ ...config, ...change(config) }));
    return models.CLIP.load(folder);
  };

  test('what early files say twice, and numbers of positions', async () => {
    const { images, tokens, logits } = (await referenceOf('clip')) as Reference;
    const model = await loaded('clip', ({ text_config, vision_config }) => ({
      text_config: { ...text_config, hidden_size: 99, hidden_act: undefined },
      text_config_dict: { hidden_size: text_config!['hidden_size'] },
      vision_config: { ...vision_config, hidden_act: undefined, layer_norm_eps: undefined },
      vision_config_dict: null,
    }));
    expect(difference(model.forward(images!, tokens!), logits!)).toBeLessThan(1e-5);
    const weights = await io.readSafetensors(join(folderOf('clip'), 'model.safetensors'));
    const numbers = zeros([1, 7], { dtype: 'int64' }) as AnyTensor;
    model.loadPublished({ ...weights, 'text_model.embeddings.position_ids': numbers });
  });

  test.each<[string, string, object, string]>([
    [
      'clip',
      'text_config',
      { hidden_act: 'relu' },
      'CLIP: config.json: hidden_act: got relu, expected quick_gelu or gelu',
    ],
    ['clip', 'vision_config', { hidden_act: 'gelu' }, 'CLIP: config.json: hidden_act: got gelu, expected quick_gelu'],
    ['clip-end', 'vision_config', { hidden_act: undefined }, 'hidden_act: got quick_gelu, expected gelu'],
    ['clip', 'vision_config', { layer_norm_eps: 1e-6 }, 'layer_norm_eps: got 0.000001, expected 0.00001'],
    ['clip', 'vision_config', { image_size: 16 }, 'shapes differ: images.positions.weight'],
    ['clip', 'text_config', { eos_token_id: 24 }, 'CLIP: end: got 24, expected an integer from 0 to 23'],
    ['clip', 'text_config', { hidden_size: '8' }, 'CLIP: config.json: hidden_size: got string 8, expected a number'],
  ])('%s with %s %j is refused', async (name, part, fields, message) => {
    await expect(loaded(name, (config) => ({ [part]: { ...config[part], ...fields } }))).rejects.toThrow(message);
  });

  test('another model is refused', async () => {
    await expect(loaded('clip', () => ({ model_type: 'siglip' }))).rejects.toThrow(
      'model_type: got siglip, expected clip',
    );
  });
});

test('what it refuses', () => {
  const model = new models.CLIP(small);
  const [images, texts] = [randn([2, 3, 8, 8]), randint(0, 12, [3, 5], { dtype: 'int32' })] as [AnyTensor, AnyTensor];
  expect(() => model.encodeImage(images.narrow(3, 0, 4))).toThrow(
    'CLIP: images: got shape [2, 3, 8, 4], expected [b, 3, 8, 8]',
  );
  expect(() => model.encodeText(texts.select(0, 0))).toThrow('CLIP: tokens: got shape [5], expected [b, t]');
  expect(() => model.encodeText(zeros([1, 6], { dtype: 'int32' }))).toThrow(
    'CLIP: tokens: got 6 in a sequence, expected at most 5',
  );
  expect(() => model.loss(images, texts)).toThrow('CLIP: loss: got 2 images and 3 texts, expected as many of both');
  expect(() => model.encodeImage(images, { normalised: true } as never)).toThrow('CLIP: options: got normalised');
  expect(() => new models.CLIP({ ...small, activation: 'relu' as never })).toThrow(
    'CLIP: activation: got relu, expected quickGelu or gelu',
  );
  expect(() => new models.CLIP({ ...small, patchSize: 0 })).toThrow(
    'CLIP: patchSize: got 0, expected a positive integer',
  );
});
