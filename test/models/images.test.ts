// Image networks: parameters as torchvision has them, training on small inputs, and ResNet-20 with published weights.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { io, manualSeed, models, nn, noGrad, randn, scope, tensor, type AnyTensor } from '../../lib/index';

const sizeOf = (module: nn.Module): number => module.parameters().reduce((sum, { size }) => sum + size, 0);
const names = (module: nn.Module): string[] => Object.keys(module.stateDict());

/** One step of training: every parameter gets a finite gradient, and not all of them are zero. */
function learns(module: nn.Layer, x: AnyTensor): AnyTensor {
  const y = module.forward(x);
  nn.functional
    .crossEntropy(
      y,
      tensor(
        Array.from({ length: y.shape[0]! }, (_, i) => i),
        { dtype: 'int64' },
      ),
    )
    .backward();
  for (const [name, { grad }] of module.namedParameters()) {
    const total = grad?.abs().sum().itemSync();
    if (!Number.isFinite(total)) throw new Error(`gradient of ${name}: got a sum of ${String(total)}`);
  }
  const total = module.parameters().reduce((sum, { grad }) => sum + Number(grad!.abs().sum().itemSync()), 0);
  expect(total).toBeGreaterThan(0);
  return y;
}

test('LeNet-5', () => {
  manualSeed(1);
  const model = new models.LeNet5();
  expect(sizeOf(model)).toBe(61706);
  expect(learns(model, randn([3, 1, 28, 28])).shape).toEqual([3, 10]);
  expect(new models.LeNet5({ channels: 3, imageSize: 32 }).forward(randn([1, 3, 32, 32])).shape).toEqual([1, 10]);
});

test('AlexNet', () => {
  const model = new models.AlexNet({ numClasses: 4, hidden: 8 });
  // 61,100,840 with a hidden width of 4096 and 1000 classes, of which 2,469,696 in the features.
  expect(sizeOf(model.features)).toBe(2469696);
  expect(names(model)).toEqual(
    expect.arrayContaining(['features.10.weight', 'classifier.1.bias', 'classifier.6.weight']),
  );
  expect(learns(model, randn([2, 3, 64, 64])).shape).toEqual([2, 4]);
});

test.each([
  [11, 9220480, 'features.18.weight'],
  [13, 9404992, 'features.22.weight'],
  [16, 14714688, 'features.28.weight'],
  [19, 20024384, 'features.34.weight'],
] as const)('VGG-%i', (depth, size, last) => {
  const model = new models.VGG(depth, { numClasses: 4, hidden: 8 });
  expect(sizeOf(model.features)).toBe(size);
  expect(names(model)).toEqual(expect.arrayContaining([last, 'classifier.0.weight', 'classifier.6.bias']));
  if (depth === 11) expect(learns(model, randn([2, 3, 32, 32])).shape).toEqual([2, 4]);
});

test('VGG with batch normalisation', () => {
  const model = new models.VGG(11, { numClasses: 4, hidden: 8, batchNorm: true });
  expect(names(model)).toEqual(expect.arrayContaining(['features.25.weight', 'features.26.running_var']));
  expect(learns(model, randn([2, 3, 32, 32])).shape).toEqual([2, 4]);
});

test('GoogLeNet', () => {
  const model = new models.GoogLeNet();
  expect(sizeOf(model)).toBe(13004888);
  expect(names(model)).toEqual(
    expect.arrayContaining([
      'conv1.conv.weight',
      'inception3a.branch2.1.bn.bias',
      'inception5b.branch4.1.conv.weight',
      'aux2.fc1.bias',
    ]),
  );
  const small = new models.GoogLeNet({ numClasses: 3, auxLogits: false });
  expect(learns(small, randn([2, 3, 48, 48])).shape).toEqual([2, 3]);
  const { logits, aux1, aux2 } = noGrad(() => model.forwardWithAux(randn([2, 3, 64, 64])));
  expect([logits.shape, aux1.shape, aux2.shape]).toEqual([
    [2, 1000],
    [2, 1000],
    [2, 1000],
  ]);
  expect(() => small.forwardWithAux(randn([2, 3, 48, 48]))).toThrow(
    new Error('GoogLeNet: auxiliary scores: got auxLogits false, expected true'),
  );
});

test.each([
  [18, 11689512],
  [50, 25557032],
] as const)('ResNet-%i', (depth, size) => {
  const model = new models.ResNet(depth);
  expect(sizeOf(model)).toBe(size);
  expect(names(model)).toEqual(
    expect.arrayContaining(['conv1.weight', 'layer2.0.downsample.1.num_batches_tracked', 'layer4.1.bn2.running_mean']),
  );
  expect(learns(model, randn([2, 3, 32, 32])).shape).toEqual([2, 1000]);
});

test('DenseNet-121', () => {
  const model = new models.DenseNet(121);
  expect(sizeOf(model)).toBe(7978856);
  expect(names(model)).toEqual(
    expect.arrayContaining([
      'features.norm0.weight',
      'features.denseblock3.denselayer24.conv2.weight',
      'features.transition1.norm.running_var',
      'classifier.bias',
    ]),
  );
  expect(learns(model, randn([2, 3, 32, 32])).shape).toEqual([2, 1000]);
});

test.each([
  [20, 269722],
  [32, 464154],
  [44, 658586],
  [56, 853018],
] as const)('ResNet-%i for CIFAR', (depth, size) => {
  const model = new models.CifarResNet(depth);
  expect(sizeOf(model)).toBe(size);
  if (depth === 20) expect(learns(model, randn([2, 3, 32, 32])).shape).toEqual([2, 10]);
});

test('the head is replaced to train it alone', () => {
  const model = new models.CifarResNet(20).requiresGrad_(false);
  model.linear = new nn.Linear(model.linear.inFeatures, 3);
  expect(model.forward(randn([2, 3, 32, 32])).shape).toEqual([2, 3]);
  expect(model.parameters().filter(({ requiresGrad }) => requiresGrad)).toEqual([
    model.linear.weight,
    model.linear.bias,
  ]);
});

test('other heads', () => {
  const lenet = new models.LeNet5();
  lenet.fc3 = new nn.Linear(84, 3);
  expect(lenet.forward(randn([2, 1, 28, 28])).shape).toEqual([2, 3]);
  const googlenet = new models.GoogLeNet();
  for (const auxiliary of [googlenet.aux1!, googlenet.aux2!]) auxiliary.fc2 = new nn.Linear(1024, 3);
  googlenet.fc = new nn.Linear(1024, 3);
  const scores = googlenet.forwardWithAux(randn([1, 3, 64, 64]));
  expect(Object.values(scores).map((each: AnyTensor) => each.shape)).toEqual([
    [1, 3],
    [1, 3],
    [1, 3],
  ]);
});

test('a depth that there is not', () => {
  expect(() => new models.ResNet(19 as 18)).toThrow(new Error('ResNet: depth: got 19, expected 18, 34, 50, 101, 152'));
  expect(() => new models.ResNet(18, { groups: 32 })).toThrow(
    new Error('ResNet: depth: got 18 with groups or groupWidth, expected 50, 101 or 152'),
  );
});

const published = join(
  process.env['HADAL_DATA'] ?? join(__dirname, '../../../shared/data'),
  '../models/cifar10_resnet',
);
const present = existsSync(published);
if (!present) process.stdout.write(`skipped: ResNet-20 with published weights: no ${published}\n`);

describe('ResNet-20 with published weights gives the published logits', () => {
  const formats: Record<string, () => Promise<nn.StateDict>> = {
    safetensors: () => io.readSafetensors(join(published, 'ref/resnet20.safetensors')),
    // Saved from a DataParallel, which puts `module.` before every name.
    th: async () => {
      const checkpoint = (await io.readPyTorch(join(published, 'resnet20-12fca82f.th'))) as {
        state_dict: nn.StateDict;
      };
      return Object.fromEntries(
        Object.entries(checkpoint.state_dict).map(([name, value]) => [name.replace(/^module\./, ''), value]),
      );
    },
  };

  (present ? test : test.skip).each(Object.entries(formats))('from %s', async (_, read) => {
    const model = new models.CifarResNet(20);
    const { missing, unexpected } = model.loadStateDict(await read(), { strict: false });
    expect(unexpected).toEqual([]);
    expect(missing.filter((name) => !name.endsWith('num_batches_tracked'))).toEqual([]);
    const reference = await io.readSafetensors(join(published, 'ref/resnet20_ref.safetensors'));
    // The file's header says [n, c, h, w], but the pixels lie as [n, h, w, c].
    const images = reference['x']!.reshape([20, 32, 32, 3]).permute([0, 3, 1, 2]);
    const logits = scope(() => noGrad(() => model.eval().forward(images)));
    const labels = Array.from(reference['labels']!.dataSync(), Number);
    expect(Array.from(logits.argmax(1).dataSync(), Number)).toEqual(labels);
    const expected = Array.from(reference['logits_f64']!.dataSync(), Number);
    const scale = Math.max(...expected.map(Math.abs));
    Array.from(logits.dataSync(), Number).forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-4 * Math.max(Math.abs(expected[i]!), 1e-2 * scale));
    });
  });
});
