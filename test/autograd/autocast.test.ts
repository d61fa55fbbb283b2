// Mixed precision: which dtype ops compute in, gradients, nesting, and the cache of weights.
import {
  abs,
  autocast,
  autocastDType,
  checkpoint,
  exp,
  gradients,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  randn,
  scope,
  tensor,
  type AnyTensor,
  type DType,
} from '../../lib/index';

const f = nn.functional;
const x = (): AnyTensor => randn([4, 4]);
const half = (dtype: DType = 'bfloat16'): AnyTensor => randn([4, 4]).cast(dtype);
const weights = { weightIh: randn([16, 4]), weightHh: randn([16, 4]) };
const classes = tensor([0, 1, 2, 3], { dtype: 'int64' });

describe.each(['bfloat16', 'float16'] as const)('%s', (dtype) => {
  test.each<[string, () => AnyTensor]>([
    ['matmul', () => x().matmul(x())],
    ['linear', () => f.linear(x(), x(), randn([4]))],
    ['conv2d', () => f.conv2d(randn([1, 2, 5, 5]), randn([3, 2, 3, 3]), randn([3]))],
    ['convTranspose2d', () => f.convTranspose2d(randn([1, 2, 5, 5]), randn([2, 3, 3, 3]))],
    ['attention', () => f.scaledDotProductAttention(randn([1, 2, 4, 4]), randn([1, 2, 4, 4]), randn([1, 2, 4, 4]))],
    ['lstm', () => new nn.LSTM(4, 4).forward(randn([3, 2, 4])).output],
    ['lstmCell', () => f.lstmCell(x(), x(), x(), weights)[0]],
    ['prelu', () => x().prelu(tensor([0.1]))],
  ])('%s of float32 comes out in it', (_, call) => {
    expect(autocast(dtype, call).dtype).toBe(dtype);
    expect(call().dtype).toBe('float32');
  });

  test.each<[string, (h: AnyTensor) => AnyTensor]>([
    ['exp', (h) => exp(h)],
    ['log1p', (h) => h.log1p()],
    ['pow', (h) => h.pow(2)],
    ['softplus', (h) => h.softplus()],
    ['softmax', (h) => h.softmax(-1)],
    ['logSoftmax', (h) => h.logSoftmax(-1)],
    ['layerNorm', (h) => f.layerNorm(h, 4, ones([4]), ones([4]))],
    ['groupNorm', (h) => f.groupNorm(h, 2, ones([4]), ones([4]))],
    ['rmsNorm', (h) => f.rmsNorm(h, 4, ones([4]))],
    ['sum', (h) => h.sum(0)],
    ['prod', (h) => h.prod(0)],
    ['cumsum', (h) => h.cumsum(0)],
    ['cumprod', (h) => h.cumprod(0)],
    ['norm', (h) => h.norm()],
    ['normalize', (h) => h.normalize()],
    ['cdist', (h) => f.cdist(h, h)],
    ['cosineSimilarity', (h) => f.cosineSimilarity(h, h)],
    ['crossEntropy', (h) => f.crossEntropy(h, classes)],
    ['nllLoss', (h) => f.nllLoss(h, classes)],
    ['mseLoss', (h) => f.mseLoss(h, x())],
    ['l1Loss', (h) => f.l1Loss(h, half(dtype))],
    ['bceWithLogits', (h) => f.bceWithLogits(h, x())],
    ['marginRankingLoss', (h) => f.marginRankingLoss(h, h, ones([4, 4]))],
    ['multiMarginLoss', (h) => f.multiMarginLoss(h, classes)],
  ])('%s of it comes out in float32', (_, call) => {
    const h = half(dtype).abs().clamp(0.1, 0.9) as AnyTensor;
    expect(autocast(dtype, () => call(h)).dtype).toBe('float32');
  });

  test.each<[string, () => object]>([
    ['alone', () => ({})],
    ['weighted and smoothed', () => ({ weight: tensor([1, 0.3, 2, 0.7]), labelSmoothing: 0.1 })],
    ['row by row', () => ({ reduction: 'none' })],
  ])('crossEntropy reads logits of 16 bits as if they were float32, %s', (_, options) => {
    const logits = half(dtype).requiresGrad_();
    const lossAndGradient = (g: (h: AnyTensor) => AnyTensor): [number[], number[]] => {
      const loss = autocast(dtype, () => f.crossEntropy(g(logits), classes, options())) as AnyTensor;
      const [gradient] = gradients([loss.sum()], [logits]);
      return [loss, gradient!].map((y) => [...(y.cast('float64').flatten().toArraySync() as number[])]) as never;
    };
    expect(lossAndGradient((h) => h)).toEqual(lossAndGradient((h) => h.cast('float32')));
  });

  test('other ops take what they get, and mixed operands are promoted', () => {
    autocast(dtype, () => {
      expect(half(dtype).add(half(dtype)).dtype).toBe(dtype);
      expect(half(dtype).relu().dtype).toBe(dtype);
      expect(half(dtype).mean().dtype).toBe(dtype);
      expect(half(dtype).add(x()).dtype).toBe('float32');
      expect(abs(x()).dtype).toBe('float32');
    });
  });

  test('float64 and integers stay as they are', () => {
    autocast(dtype, () => {
      expect(ones([2, 2], { dtype: 'float64' }).matmul(ones([2, 2], { dtype: 'float64' })).dtype).toBe('float64');
      expect(ones([2, 2], { dtype: 'int32' }).matmul(ones([2, 2], { dtype: 'int32' })).dtype).toBe('int32');
      expect(ones([2], { dtype: 'float64' }).exp().dtype).toBe('float64');
    });
  });
});

test('the product is that of the rounded operands', () => {
  manualSeed(1);
  const [a, b] = [x(), x()];
  const rounded = (t: AnyTensor): AnyTensor => t.cast('bfloat16');
  expect(autocast('bfloat16', () => a.matmul(b)).dataSync()).toEqual(rounded(a).matmul(rounded(b)).dataSync());
});

test('gradients come out in float32, wherever backward is called', () => {
  manualSeed(2);
  const model = new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.LayerNorm(8), new nn.Linear(8, 4));
  const input = x();
  const loss = (): AnyTensor => f.crossEntropy(model.forward(input), classes);
  const gradients = (run: () => void): AnyTensor[] => {
    model.zeroGrad();
    run();
    return model.parameters().map((parameter) => parameter.grad!.clone());
  };
  const outside = gradients(() => autocast('bfloat16', loss).backward());
  const inside = gradients(() => autocast('bfloat16', () => loss().backward()));
  const full = gradients(() => loss().backward());
  outside.forEach((gradient, i) => {
    expect(gradient.dtype).toBe('float32');
    expect(gradient.dataSync()).toEqual(inside[i]!.dataSync());
    expect(gradient.dataSync()).not.toEqual(full[i]!.dataSync());
    expect(gradient.sub(full[i]!).abs().max().itemSync()).toBeLessThan(0.02);
  });
});

test('checkpoint computes again in the same precision', () => {
  manualSeed(3);
  const layer = new nn.Linear(4, 4);
  const input = x().requiresGrad_();
  const gradient = (run: () => AnyTensor): unknown => {
    layer.zeroGrad();
    autocast('bfloat16', run).backward();
    return layer.weight.grad!.dataSync();
  };
  const plain = gradient(() => layer.forward(input).square().sum());
  expect(gradient(() => checkpoint((z: AnyTensor) => layer.forward(z).square(), input).sum())).toEqual(plain);
});

test('regions nest, and end when they throw', () => {
  const product = (): DType => x().matmul(x()).dtype;
  autocast('bfloat16', () => {
    expect(product()).toBe('bfloat16');
    autocast(false, () => {
      expect([product(), autocastDType()]).toEqual(['float32', undefined]);
      expect(autocast('float16', product)).toBe('float16');
    });
    expect([product(), autocastDType()]).toEqual(['bfloat16', 'bfloat16']);
    expect(() =>
      autocast('float16', () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(product()).toBe('bfloat16');
  });
  expect([product(), autocastDType()]).toEqual(['float32', undefined]);
});

describe('a weight is cast once in a region', () => {
  const weight = new nn.Parameter(randn([4, 4]));
  const cast = (): AnyTensor => weight.matmul(ones([4, 1]));

  test('also where a weight is used with and without recording, or changes', () => {
    autocast('bfloat16', () => {
      const first = noGrad(cast).dataSync();
      expect(cast().requiresGrad).toBe(true);
      expect(cast().dataSync()).toEqual(first);
      noGrad(() => weight.mul_(2));
      expect(cast().dataSync()).not.toEqual(first);
    });
  });

  test('and again where its memory went with a scope', () => {
    autocast('bfloat16', () => {
      const first = scope(cast).dataSync();
      expect(cast().dataSync()).toEqual(first);
    });
  });

  test('gradients of all uses add up', () => {
    weight.grad = undefined;
    autocast('bfloat16', () => cast().add(cast()).sum()).backward();
    const both = weight.grad!.clone();
    weight.grad = undefined;
    autocast('bfloat16', () => cast().sum()).backward();
    expect(both.dataSync()).toEqual(weight.grad!.mul(2).dataSync());
  });
});

test.each([
  [
    'a convolutional network',
    () =>
      new nn.Sequential(
        new nn.Conv2d(1, 4, 3),
        new nn.BatchNorm2d(4),
        new nn.ReLU(),
        new nn.MaxPool2d(2),
        new nn.Flatten(),
        new nn.Linear(36, 4),
      ),
    [4, 1, 8, 8],
  ],
  [
    'a Transformer',
    () =>
      new nn.Sequential(
        new nn.Linear(6, 8),
        new nn.TransformerEncoderLayer(8, 2),
        new nn.Lambda((z: AnyTensor) => z.mean(1)),
        new nn.Linear(8, 4),
      ),
    [4, 3, 6],
  ],
] as [string, () => nn.Sequential, number[]][])('%s learns in bfloat16', (_, make, shape) => {
  manualSeed(4);
  const model = make();
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.02 });
  const input = randn(shape);
  const losses: number[] = [];
  for (let step = 0; step < 40; step++) {
    optimizer.zeroGrad();
    const loss = autocast('bfloat16', () => f.crossEntropy(model.forward(input), classes));
    loss.backward();
    optimizer.step();
    losses.push(loss.itemSync());
  }
  expect(losses.at(-1)!).toBeLessThan(0.3 * losses[0]!);
  expect(model.parameters().every(({ dtype }) => dtype === 'float32')).toBe(true);
});

test('what it refuses', () => {
  expect(() => autocast('float32' as never, () => 1)).toThrow(
    new Error('autocast: dtype: got float32, expected bfloat16, float16 or false'),
  );
  expect(() => autocast('bfloat16', () => Promise.resolve(1))).toThrow(
    new Error('autocast: f: got an async function, expected one that returns when it is done'),
  );
  expect(autocastDType()).toBeUndefined();
});
