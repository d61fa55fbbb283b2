// Models that read a source and write a target beside the library transformers, whose small models lie in test/golden/transformers. One source of the batch is
// filled up behind its tokens, the other before them; both are longer than the largest distance that T5 tells from others. Whisper hears all of its sources.
//
// Differences are in terms of the largest value. Both sides round to float32 (6e-8) in some dozen sums one after the other, in another order; 1e-5 has
// room for that, while another bucket, scale, position or activation changes the first or second digit.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { io, models, nn, noGrad, type AnyTensor } from '../../lib/index';
import { collect, difference, expectGradients, folderOf, referenceOf } from './references';

type Reference = Record<string, AnyTensor>;

const kinds = {
  t5: models.T5,
  't5-gated': models.T5,
  mt5: models.T5,
  bart: models.Bart,
  marian: models.Bart,
  pegasus: models.Bart,
  whisper: models.Whisper,
};

describe.each(Object.entries(kinds))('%s', (name, kind) => {
  let model: models.T5 | models.Bart | models.Whisper;
  let reference: Reference;
  beforeAll(async () => {
    [model, reference] = [await kind.load(folderOf(name)), (await referenceOf(name)) as Reference];
  });

  test('logits are those of the reference', () => {
    const { source, begun, kept, logits } = reference;
    expect(difference(model.forward(source!, begun!, { sourceKeyMask: kept! }), logits!)).toBeLessThan(1e-5);
  });

  test('so they are where the first tokens of a target are hidden', () => {
    const { source, begun, kept, started, masked } = reference;
    const visible = started!.unsqueeze(-1).cast('float32');
    const found = model.forward(source!, begun!, { sourceKeyMask: kept!, keyMask: started! });
    expect(difference(found.mul(visible) as AnyTensor, masked!.mul(visible) as AnyTensor)).toBeLessThan(1e-5);
  });

  test('the features of a source are those of the reference', () => {
    const { source, kept, memory } = reference;
    const visible = kept!.unsqueeze(-1).cast('float32');
    const found = model.encode(source!, { keyMask: kept! });
    expect(difference(found.mul(visible) as AnyTensor, memory!.mul(visible) as AnyTensor)).toBeLessThan(1e-5);
  });

  test.each([
    ['token by token', Array.from({ length: 16 }, () => 1)],
    ['in pieces', [3, 1, 7, 5]],
  ])('%s, with caches, logits are the same', (_, lengths) => {
    const { source, begun, kept, started, logits, masked } = reference;
    const visible = started!.unsqueeze(-1).cast('float32');
    const decoder = model.given(source!, { keyMask: kept! });
    const [caches, hiding] = [decoder.makeCaches(), decoder.makeCaches()];
    let start = 0;
    for (const length of lengths) {
      const piece = begun!.narrow(1, start, length);
      const part = (x: AnyTensor): AnyTensor => x.narrow(1, start, length);
      const found = noGrad(() => decoder.forward(piece, { caches }));
      expect(difference(found, part(logits!))).toBeLessThan(1e-5);
      const keyMask = started!.narrow(1, 0, start + length);
      const shown = noGrad(() => decoder.forward(piece, { caches: hiding, keyMask })).mul(part(visible as AnyTensor));
      expect(difference(shown as AnyTensor, part(masked!.mul(visible) as AnyTensor))).toBeLessThan(1e-5);
      start += length;
    }
    const last = decoder.forward(begun!, { lastOnly: true });
    expect(difference(last, logits!.narrow(1, -1, 1))).toBeLessThan(1e-5);
  });

  const losses: [string, (inputs: Reference) => AnyTensor][] = [
    [
      'the cross entropy of logits',
      ({ source, begun, kept, targets }) =>
        nn.functional.crossEntropy(
          model.forward(source!, begun!, { sourceKeyMask: kept! }).flatten(0, 1),
          targets!.flatten() as never,
        ),
    ],
    ['loss()', ({ source, kept, targets }) => model.loss(source!, targets!, { sourceKeyMask: kept! })],
    [
      'loss(), in pieces of the logits',
      ({ source, kept, targets }) => model.loss(source!, targets!, { sourceKeyMask: kept!, rowsAtOnce: 5 }),
    ],
  ];
  test.each(losses)('%s and its gradients are those of the reference', async (_, lossOf) => {
    const found = lossOf(reference);
    expect(difference(found, reference['loss']!.squeeze() as AnyTensor)).toBeLessThan(1e-5);
    model.zeroGrad();
    found.backward();
    expectGradients(model, await kind.load(folderOf(name)), reference);
  });

  test('the likeliest targets are those of the reference', async () => {
    const { source, kept, greedy } = reference;
    for (const row of [0, 1]) {
      const own = (x: AnyTensor): AnyTensor => x.narrow(0, row, 1);
      const decoder = model.given(own(source!), { keyMask: own(kept!) });
      const [first, ...rest] = Array.from(own(greedy!).dataSync(), Number) as [number, ...number[]];
      expect(first).toBe(model.start);
      expect(await collect(models.generate(decoder, [first], { maxTokens: rest.length, temperature: 0 }))).toEqual(
        rest,
      );
    }
    // The same of a source without what fills it up.
    const one = source!.narrow(0, 0, 1);
    const given = name === 'whisper' ? one : Array.from(one.narrow(1, 0, 17).dataSync(), Number);
    const [, ...rest] = Array.from(greedy!.narrow(0, 0, 1).dataSync(), Number);
    expect(await collect(models.generate(model, given, { maxTokens: 14, temperature: 0 }))).toEqual(rest);
    const [, , stop] = rest;
    const upTo = rest.slice(0, rest.indexOf(stop!) + 1);
    expect(await collect(models.generate(model, given, { maxTokens: 14, temperature: 0, stop: stop! }))).toEqual(upTo);
  });

  test('saved and read into another, it is the same', async () => {
    const { source, begun, kept, logits } = reference;
    const folder = mkdtempSync(join(tmpdir(), 'hadal-saved-'));
    const file = join(folder, 'model.safetensors');
    await io.writeSafetensors(file, model.stateDict());
    const other = await kind.load(folderOf(name));
    for (const parameter of other.parameters()) nn.init.zeros_(parameter);
    other.loadStateDict(await io.readSafetensors(file));
    rmSync(folder, { recursive: true });
    expect(difference(other.forward(source!, begun!, { sourceKeyMask: kept! }), logits!)).toBeLessThan(1e-5);
  });
});
