// The vision Transformer beside the library transformers, whose small model lies in test/golden/transformers.
import { join } from 'node:path';

import { cat, io, manualSeed, models, nn, optim, randint, randn, scope, type AnyTensor } from '../../lib/index';
import { difference, folderOf, referenceOf } from './references';

const folder = folderOf('vit');
const reference = (): Promise<nn.StateDict> => referenceOf('vit');

test('logits are those of the reference', async () => {
  const { images, logits } = await reference();
  expect(difference((await models.ViT.load(folder)).forward(images!), logits!)).toBeLessThan(1e-5);
});

test('positions are interpolated for larger images', async () => {
  const { larger, resized } = await reference();
  const model = await models.ViT.load(folder, { imageSize: 20 });
  expect(difference(model.forward(larger!), resized!)).toBeLessThan(1e-5);
});

test("weights under torchvision's names load too", async () => {
  const { images, logits } = await reference();
  const weights = await io.readSafetensors(join(folder, 'model.safetensors'));
  const of = (name: string): AnyTensor => weights[`vit.${name}`]!;
  const theirs: nn.StateDict = {
    class_token: of('embeddings.cls_token'),
    'encoder.pos_embedding': of('embeddings.position_embeddings'),
  };
  for (const kind of ['weight', 'bias']) {
    theirs[`conv_proj.${kind}`] = of(`embeddings.patch_embeddings.projection.${kind}`);
    theirs[`encoder.ln.${kind}`] = of(`layernorm.${kind}`);
    theirs[`heads.head.${kind}`] = weights[`classifier.${kind}`]!;
    for (const i of [0, 1]) {
      const [own, layer] = [`encoder.layers.encoder_layer_${i}`, `encoder.layer.${i}`];
      const parts = ['query', 'key', 'value'].map((part) => of(`${layer}.attention.attention.${part}.${kind}`));
      theirs[`${own}.self_attention.in_proj_${kind}`] = cat(parts, 0);
      theirs[`${own}.self_attention.out_proj.${kind}`] = of(`${layer}.attention.output.dense.${kind}`);
      theirs[`${own}.ln_1.${kind}`] = of(`${layer}.layernorm_before.${kind}`);
      theirs[`${own}.ln_2.${kind}`] = of(`${layer}.layernorm_after.${kind}`);
      theirs[`${own}.mlp.${i === 0 ? '0' : 'linear_1'}.${kind}`] = of(`${layer}.intermediate.dense.${kind}`);
      theirs[`${own}.mlp.${i === 0 ? '3' : 'linear_2'}.${kind}`] = of(`${layer}.output.dense.${kind}`);
    }
  }
  const sizes = { imageSize: 12, patchSize: 4, channels: 2, width: 16, layers: 2, heads: 4, hidden: 24 };
  const model = new models.ViT({ ...sizes, epsilon: 1e-12, numClasses: 5 }).eval();
  model.loadPublished(theirs);
  expect(difference(model.forward(images!), logits!)).toBeLessThan(1e-5);
});

test('it is of the size that was published', () => {
  const sizes = new models.ViT().parameters().map(({ size }) => size);
  expect(sizes.reduce((a, b) => a + b)).toBe(86_567_656);
});

test('it learns which half of an image is bright', () => {
  manualSeed(0);
  const sizes = { imageSize: 8, patchSize: 4, channels: 1, width: 16, layers: 1, heads: 2, numClasses: 2 };
  const model = new models.ViT({ ...sizes, dropout: 0.1 });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-3 });
  const batch = (): [AnyTensor, AnyTensor] => {
    const labels = randint(0, 2, [32]);
    const bright = nn.functional
      .oneHot(labels, 2)
      .cast('float32')
      .reshape([32, 1, 1, 2])
      .repeatInterleave(4, { axis: 3 });
    return [randn([32, 1, 8, 8]).add(bright), labels];
  };
  for (let step = 0; step < 60; step++) {
    scope(() => {
      const [x, y] = batch();
      optimizer.zeroGrad();
      nn.functional.crossEntropy(model.forward(x), y as never).backward();
      optimizer.step();
    });
  }
  const [x, y] = batch();
  expect(
    model
      .eval()
      .forward(x)
      .argmax(1)
      .equalTo(y as never)
      .cast('float32')
      .mean()
      .itemSync(),
  ).toBeGreaterThan(0.9);
});

test('what does not fit is refused', () => {
  expect(() => new models.ViT({ imageSize: 30, patchSize: 8 })).toThrow(
    'ViT: patchSize: got 8, expected a divisor of the image size 30',
  );
  const model = new models.ViT({ imageSize: 8, patchSize: 4, width: 8, layers: 1, heads: 2, numClasses: 2 });
  expect(() => model.forward(randn([1, 3, 8, 9]))).toThrow('ViT: input: got shape [1, 3, 8, 9], expected [b, 3, 8, 8]');
});
