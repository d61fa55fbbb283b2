// What gpu-check checks, in parts that run in a process of their own each. A part reports what it finds as it goes, so that a crash
// loses nothing that came before.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import * as hadal from '../../../lib/index';
import { nn, optim, scope, tensor, type AnyTensor, type Device } from '../../../lib/index';
import { observeSubmissions } from '../../../lib/runtime/recorder';
import { isFloat } from '../../../lib/tensor/dtype';
import { channelsLastStrides } from '../../../lib/tensor/shapes';
import { checkForward, checkGradients, compareWithCpu, differentiable } from '../../ops/check-sample';
import { checkRandomStep } from '../../ops/random-calls/step';
import { checkRandomCalls } from '../../ops/random-calls/check';
import { kinds } from '../../ops/random-calls/kinds';
import { titleOf, type Sample } from '../../ops/sample';
import { samples } from '../../ops/samples';
import { expectClose, expectEqual, valuesOf, withGradients, type Part, type Reporter } from './checks';
import { elsewhere } from './elsewhere';
import { rows } from './rows';

type Step = (x: AnyTensor) => AnyTensor;

/** Samples i, i + n, … of those that are wanted, with their numbers. */
function shard(all: readonly Sample[], i: number, n: number, every: number): (readonly [number, Sample])[] {
  const seen = new Set<string>();
  const wanted = all.filter(({ op }, place) => {
    const first = !seen.has(op);
    seen.add(op);
    return first || place % every === 0;
  });
  return [...wanted.entries()].filter(([place]) => place % n === i);
}

/** That training compiled gives the losses of training as it stands, from the same seed on two inputs in turn. */
function checkCompiled(
  shape: readonly number[],
  make: () => { model: nn.Module; lossOf: (x: AnyTensor) => AnyTensor },
): void {
  const losses = (wrap: (step: Step) => Step): number[] => {
    hadal.manualSeed(3);
    const { model, lossOf } = make();
    const optimizer = new optim.SGD(model.parameters(), { lr: 1e-3 });
    const inputs = [1, 2].map(() => hadal.randn(shape) as AnyTensor);
    const step = wrap((x) => {
      optimizer.zeroGrad();
      const loss = lossOf(x);
      loss.backward();
      optimizer.step();
      return loss;
    });
    return Array.from({ length: 8 }, (_, i) => step(inputs[i % 2]!).itemSync());
  };
  const plain = losses((step) => (x) => scope(() => step(x)));
  const compiled = losses((step) => hadal.compile(step));
  expectEqual(compiled, plain, 'losses');
}

/** That a device computes at all, reports what kernels find, and goes on. */
async function basics(device: Device, report: Reporter): Promise<void> {
  await report.check('arithmetic', () => {
    const x = tensor([1, 2, 3, 4]).reshape([2, 2]);
    expectEqual(valuesOf(x.matmul(x).add(1)), [8, 11, 16, 23], 'x·x + 1');
  });
  await report.check('asynchronous reading', async () => {
    expectEqual([...(await hadal.arange(5, { dtype: 'int32' }).data())], [0, 1, 2, 3, 4], 'arange(5)');
  });
  await report.check('copies between devices', () => {
    const x = hadal.randn([1000, 1001]);
    const there = x.to('cpu').to(device);
    expectEqual(there.sub(x).abs().max().itemSync(), 0, 'the largest difference');
  });
  await report.check('an index out of range is an error, and the next op runs', () => {
    let message = '';
    try {
      tensor([1, 2, 3])
        .gather(0, tensor([0, 7], { dtype: 'int64' }))
        .dataSync();
    } catch (error) {
      message = (error as Error).message;
    }
    if (!message.includes('index 7 at position 1 out of range for 3')) throw new Error(`the error: got '${message}'`);
    expectEqual(valuesOf(tensor([1, 2]).add(1)), [2, 3], 'the op after it');
  });
  await report.check('a box that cannot be used is an error', () => {
    const messages = [
      [1, 0, 0, 1, 1],
      [0, 0, NaN, 1, 1],
    ].map((box) => {
      try {
        hadal.roiAlign(hadal.ones([1, 1, 2, 2]), tensor([[0, 0, 0, 1, 1], box])).dataSync();
        return 'none';
      } catch (error) {
        return (error as Error).message;
      }
    });
    expectEqual(messages, ['roiAlign: box 1 names no image of 1', 'roiAlign: box 1 is not finite'], 'the errors');
  });
}

const forward = (i: number, n: number): Part => ({
  name: `ops ${i + 1} of ${n}`,
  limit: 150,
  run: async (device, report, every) => {
    for (const [place, sample] of shard(samples, i, n, every)) {
      const { dtypes } = sample;
      const looser = looserFor(sample, device);
      for (const dtype of every === 1 ? dtypes : [dtypes[place % dtypes.length]!]) {
        await report.check(`${titleOf(sample)} in ${dtype}`, () => checkForward(sample, dtype, looser));
      }
    }
  },
});

const gradients = (i: number, n: number): Part => ({
  name: `gradients ${i + 1} of ${n}`,
  limit: 200,
  run: async (_, report, every) => {
    for (const [place, sample] of shard(samples.filter(differentiable), i, n, every)) {
      if (every === 1) {
        await report.check(titleOf(sample), () => checkGradients(sample));
        continue;
      }
      const dtypes = sample.dtypes.filter(isFloat);
      const dtype = dtypes[place % dtypes.length]!;
      await report.check(`${titleOf(sample)} in ${dtype}`, () => compareWithCpu(sample, dtype));
    }
  },
});

/** Whether convolutions and attention go to cuDNN unless HADAL_CUDNN=0. */
const hasCudnn = (device: Device): boolean =>
  device !== 'cpu' &&
  !/cuDNN was not found/.test(hadal.devices().find(({ name }) => name === device)?.description ?? '');

/**
 * What results of a convolution may be off where cuDNN adds it to a bias: it rounds both the convolution and the sum, so that little is left
 * where they cancel. Half a unit in the last place of numbers of up to 4.
 */
const roundedTwice = { float16: { rtol: 1e-3, atol: 1e-3 }, bfloat16: { rtol: 1.6e-2, atol: 8e-3 } };
const looserFor = ({ op }: Sample, device: Device): typeof roundedTwice | undefined =>
  /^conv.d$/.test(op) && process.env['HADAL_CUDNN'] !== '0' && hasCudnn(device) ? roundedTwice : undefined;

/** Of the largest element. */
const layerTolerances = { float32: 1e-5, float16: 5e-3, bfloat16: 4e-2 };

interface Layer {
  readonly what: string;
  readonly x: readonly number[];
  readonly weight: readonly number[];
  readonly bias?: number;
  readonly options: object;
  /** Large enough for what libraries keep for large ones. */
  readonly large?: boolean;
}
const layers: readonly Layer[] = [
  { what: 'a layer', x: [2, 16, 8, 10], weight: [24, 16, 3, 3], bias: 24, options: { padding: 1 } },
  { what: 'three channels', x: [2, 3, 17, 16], weight: [16, 3, 5, 5], options: { stride: 2, padding: 2 } },
  { what: 'groups', x: [2, 32, 6, 7], weight: [32, 8, 3, 3], options: { groups: 4 } },
  {
    what: 'a large layer',
    x: [8, 64, 28, 28],
    weight: [128, 64, 3, 3],
    bias: 128,
    options: { padding: 1 },
    large: true,
  },
  { what: 'one channel per group', x: [2, 64, 28, 28], weight: [64, 1, 3, 3], options: { groups: 64 }, large: true },
  { what: 'a volume', x: [1, 32, 6, 12, 14], weight: [32, 32, 3, 3, 3], options: { padding: 1 }, large: true },
];
/** The same tensor with its channels side by side. */
function withChannelsInside(x: AnyTensor): AnyTensor {
  const [images, channels, ...positions] = [...x.shape.keys()] as [number, number, ...number[]];
  const inside = x.permute([images, ...positions, channels]).contiguous();
  return inside.permute([images, x.rank - 1, ...positions.map((axis) => axis - 1)]) as AnyTensor;
}

/** A convolution and its gradients, in two layouts, against the CPU's in float64, twice. */
function checkLayer({ x, weight, bias, options }: Layer, dtype: keyof typeof layerTolerances): void {
  hadal.manualSeed(3);
  const draw = (shape: readonly number[]): AnyTensor => hadal.randn(shape).mul(0.25).cast(dtype) as AnyTensor;
  const inputs = [draw(x), draw(weight), ...(bias === undefined ? [] : [draw([bias])])];
  const convolve = (weight.length === 5 ? nn.functional.conv3d : nn.functional.conv2d) as (
    ...args: unknown[]
  ) => AnyTensor;
  const run = (given: readonly AnyTensor[]): number[][] =>
    withGradients((first, second, third) => convolve(first, second, third, options), given);
  const expected = run(inputs.map((input) => input.to('cpu').cast('float64') as AnyTensor));
  for (const first of [inputs[0]!, withChannelsInside(inputs[0]!)]) {
    const results = run([first, ...inputs.slice(1)]);
    expectClose(results, expected, layerTolerances[dtype], `of x with strides [${first.strides.join(', ')}]`);
    expectEqual(run([first, ...inputs.slice(1)]), results, 'a second run');
  }
}

/** Ops of images that lie as their input does. */
const imageOps: Readonly<Record<string, (x: AnyTensor) => AnyTensor>> = {
  'batch norm': (x) => {
    const [weight, bias] = [1, 2].map((i) => hadal.arange(x.shape[1]!).cast(x.dtype).add(i));
    // Without x the gradient would be nothing but rounding: squares of what is normed have the same sum whatever x is.
    return nn.functional.batchNorm(x, undefined, undefined, weight, bias, { training: true }).add(x) as AnyTensor;
  },
  'batch norm and ReLU': (x) => {
    const [weight, bias] = [1, 2].map((i) => hadal.arange(x.shape[1]!).cast(x.dtype).add(i).mul(0.125));
    const options = { training: true, activation: 'relu' } as const;
    return nn.functional.batchNorm(x, undefined, undefined, weight, bias, options) as AnyTensor;
  },
  'batch norm, a residual and ReLU': (x) => {
    const options = { training: true, activation: 'relu', residual: x.tanh() } as const;
    return nn.functional.batchNorm(x, undefined, undefined, undefined, undefined, options) as AnyTensor;
  },
  'batch norm by running statistics': (x) => {
    const [mean, variance] = [0, 1].map((i) => hadal.arange(x.shape[1]!).cast(x.dtype).add(i));
    return nn.functional.batchNorm(x, mean, variance, variance, mean) as AnyTensor;
  },
  'max pooling': (x) => nn.functional.maxPool2d(x, 3, { stride: 2, padding: 1 }) as AnyTensor,
  'dilated max pooling': (x) => nn.functional.maxPool2d(x, 2, { stride: 1, dilation: 3 }) as AnyTensor,
  'average pooling': (x) =>
    nn.functional.avgPool2d(x, 3, { stride: 2, padding: 1, countIncludePad: false }) as AnyTensor,
  'adaptive pooling': (x) => nn.functional.adaptiveAvgPool2d(x, [3, 4]) as AnyTensor,
  interpolation: (x) => nn.functional.interpolate(x, { size: [9, 5], mode: 'bilinear' }) as AnyTensor,
  padding: (x) =>
    x.pad(
      [
        [1, 0],
        [2, 1],
      ],
      { mode: 'reflect' },
    ) as AnyTensor,
  'concatenation of channels': (x) => hadal.cat([x, x.tanh()], 1) as AnyTensor,
  'arithmetic with a vector of channels': (x) =>
    x
      .mul(hadal.arange(x.shape[1]!).cast(x.dtype).reshape([-1, 1, 1]))
      .relu()
      .add(x) as AnyTensor,
  dropout: (x) => {
    hadal.manualSeed(5);
    return nn.functional.dropout(x, 0.5);
  },
};

/** That an op gives the same values and gradients for images with their channels side by side, and leaves them so. */
function checkImageOp(
  f: (x: AnyTensor) => AnyTensor,
  dtype: keyof typeof layerTolerances,
  channels: number,
  device: Device,
): void {
  hadal.manualSeed(3);
  const x = hadal.randn([2, channels, 8, 7]).cast(dtype) as AnyTensor;
  const inside = withChannelsInside(x);
  expectClose(withGradients(f, [inside]), withGradients(f, [x]), layerTolerances[dtype], `of ${channels} channels`);
  const { shape, strides } = f(inside);
  if (device !== 'cpu') expectEqual(strides, channelsLastStrides(shape), 'strides');
}

/** A bottleneck of a residual network behind its stem: two convolutions with a batch norm each, pooling, and a way around. */
class Residual extends nn.Module {
  readonly stem = new nn.Conv2d(3, 16, 5, { stride: 2, padding: 2, bias: false });
  readonly bn1 = new nn.BatchNorm2d(16, { activation: 'relu' });
  readonly conv1 = new nn.Conv2d(16, 16, 3, { padding: 1, bias: false });
  readonly bn2 = new nn.BatchNorm2d(16, { activation: 'relu' });
  readonly conv2 = new nn.Conv2d(16, 16, 1);
  readonly images: AnyTensor[] = [];

  forward(x: AnyTensor): AnyTensor {
    const first = nn.functional.maxPool2d(this.bn1.forward(this.stem.forward(x)), 3, { stride: 2, padding: 1 });
    const inner = this.bn2.forward(this.conv1.forward(first), first as AnyTensor);
    const y = this.conv2.forward(inner).add(first).relu() as AnyTensor;
    this.images.splice(0, Infinity, first as AnyTensor, inner, y);
    return nn.functional.adaptiveAvgPool2d(y, 1).flatten(1) as AnyTensor;
  }
}

/** That a step of training in mixed precision has images with their channels side by side from the first one on, and no other copies than casts. */
function checkMixedPrecision(): void {
  hadal.manualSeed(3);
  const model = new Residual();
  const x = hadal.randn([4, 3, 17, 16]);
  const copied: string[] = [];
  observeSubmissions((op) => copied.push(op));
  try {
    const y = hadal.autocast('bfloat16', () => model.forward(x as AnyTensor));
    y.cast('float32').square().mean().backward();
  } finally {
    observeSubmissions(undefined);
  }
  // To 16 bits the images, three weights and a bias, back the gradients of the latter four; the result and its gradient.
  expectEqual(copied.filter((op) => op === 'copy').length, 1 + 4 + 4 + 2, 'copies');
  for (const { shape, strides } of model.images) expectEqual(strides, channelsLastStrides(shape), 'strides of images');
  for (const parameter of model.parameters())
    expectEqual(parameter.grad!.isContiguous, true, 'a gradient in the order of its parameter');
}

/** Convolutions by cuDNN, or by kernels of our own: all samples, some layers, and in CUDA graphs. */
const convolutions = (name: string, environment: Record<string, string>): Part => ({
  name,
  limit: 100,
  environment,
  run: async (device, report, every) => {
    if (process.env['HADAL_CUDNN'] !== '0' && !hasCudnn(device)) return report.note('skipped: cuDNN was not found');
    const some = samples.filter(({ op }) => op.startsWith('conv'));
    for (const [place, sample] of shard(some, 0, 1, every)) {
      const looser = looserFor(sample, device);
      for (const dtype of every === 1 ? sample.dtypes : [sample.dtypes[place % sample.dtypes.length]!]) {
        await report.check(`${titleOf(sample)} in ${dtype}`, () => checkForward(sample, dtype, looser));
        if (!differentiable(sample)) continue;
        await report.check(`${titleOf(sample)}, gradients in ${dtype}`, () => compareWithCpu(sample, dtype));
      }
    }
    for (const layer of layers.filter(({ large }) => large !== true || every === 1)) {
      for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
        await report.check(`${layer.what} in ${dtype}`, () => checkLayer(layer, dtype));
      }
    }
    for (const [what, f] of Object.entries(imageOps)) {
      for (const dtype of every === 1 ? (['float32', 'float16', 'bfloat16'] as const) : (['bfloat16'] as const)) {
        for (const channels of [16, 5]) {
          await report.check(`${what} of ${channels} channels side by side in ${dtype}`, () =>
            checkImageOp(f, dtype, channels, device),
          );
        }
      }
    }
    if (device !== 'cpu') {
      await report.check('a network in mixed precision keeps channels side by side', checkMixedPrecision);
      await report.check('a gradient of images lies as they do, and is no copy', () => {
        const draw = (shape: readonly number[]): AnyTensor => hadal.randn(shape).cast('bfloat16') as AnyTensor;
        const x = withChannelsInside(draw([2, 16, 8, 7])).requiresGrad_();
        const y = nn.functional.conv2d(x as never, draw([16, 16, 3, 3]) as never);
        const g = withChannelsInside(draw(y.shape));
        const copied: string[] = [];
        observeSubmissions((op) => copied.push(op));
        try {
          y.backward({ gradient: g });
        } finally {
          observeSubmissions(undefined);
        }
        expectEqual(x.grad!.strides, x.strides, 'strides of the gradient');
        expectEqual(copied.filter((op) => op === 'copy').length, 0, 'copies');
      });
    }
    for (const precision of [false, 'bfloat16'] as const) {
      const title = `a compiled training step gives the losses of the plain one, autocast ${precision}`;
      await report.check(title, () =>
        checkCompiled([2, 3, 17, 16], () => {
          const model = new Residual();
          const lossOf = (x: AnyTensor): AnyTensor =>
            hadal
              .autocast(precision, () => model.forward(x))
              .square()
              .mean();
          return { model, lossOf };
        }),
      );
    }
  },
});

/** Rows, and widths: of the input, inside and of the output. Others than multiples of eight are not for cuBLASLt's epilogues with a second matrix. */
const networks: readonly (readonly [number, number, number, number])[] = [
  [33, 24, 40, 16],
  [70, 64, 136, 8],
  [9, 10, 12, 7],
];

/** A feed-forward network and its gradients, with and without biases, against the CPU's in float64, twice. */
function checkNetwork(
  [rows, size, hidden, out]: (typeof networks)[number],
  activation: hadal.FeedForwardActivation,
  dtype: keyof typeof layerTolerances,
): void {
  hadal.manualSeed(3);
  // Eighths: no sum of their products is so close to 0 that rounding takes it to ReLU's other side.
  const draw = (...shape: number[]): AnyTensor => hadal.randn(shape).mul(2).round().mul(0.125).cast(dtype) as AnyTensor;
  const inputs = [draw(rows, size), draw(hidden, size), draw(out, hidden), draw(hidden), draw(out)];
  const network = hadal.feedForward as (...args: unknown[]) => AnyTensor;
  const run = (given: readonly AnyTensor[]): number[][] =>
    withGradients((x, w1, w2, b1, b2) => network(x, w1, b1, w2, b2, { activation }), given);
  for (const given of [inputs, inputs.slice(0, 3)]) {
    const expected = run(given.map((input) => input.to('cpu').cast('float64') as AnyTensor));
    const results = run(given);
    expectClose(results, expected, layerTolerances[dtype], `of ${given.length} inputs`);
    expectEqual(run(given), results, 'a second run');
    const turned = given.map(
      (input) => (input.rank === 2 ? input.transpose().contiguous().transpose() : input) as AnyTensor,
    );
    expectClose(run(turned), expected, layerTolerances[dtype], `of ${given.length} inputs, by columns`);
  }
}

/** Logits of so many classes that their rows lie apart, and the loss with all gradients, against the CPU's in float64, twice. */
function checkClasses(dtype: 'float16' | 'bfloat16', device: Device): void {
  hadal.manualSeed(3);
  const [rows, size, classes] = [6, 16, 1029];
  const inputs = [[2, rows / 2, size], [classes, size], [classes]].map((shape) => hadal.randn(shape).cast(dtype));
  const targets = hadal.randint(0, classes, [rows]);
  let strides: readonly number[] = [];
  const run = (given: readonly AnyTensor[]): number[][] =>
    withGradients((x, weight, bias) => {
      const logits = hadal.linear(x!, weight!, bias) as AnyTensor;
      strides = logits.strides;
      const loss = nn.functional.crossEntropy(logits.reshape([rows, classes]), targets.to(x!.device));
      return hadal.cat([loss.reshape([1]), logits.logSumExp(-1).reshape([rows]).cast(loss.dtype)]);
    }, given);
  const results = run(inputs as AnyTensor[]);
  const line = device === 'cpu' ? classes : 1032;
  expectEqual(strides, [(rows / 2) * line, line, 1], 'strides of logits');
  expectClose(
    results,
    run(inputs.map((input) => input.to('cpu').cast('float64') as AnyTensor)),
    layerTolerances[dtype],
    'classes',
  );
  expectEqual(run(inputs as AnyTensor[]), results, 'a second run');
}

/** Products by cuBLASLt where it is there: all samples, what is written with them, and in CUDA graphs. */
async function products(device: Device, report: Reporter, every: number): Promise<void> {
  const some = samples.filter(({ op }) => ['matmul', 'linear', 'feedForward', 'bmm', 'baddbmm'].includes(op));
  for (const [place, sample] of shard(some, 0, 1, every)) {
    for (const dtype of every === 1 ? sample.dtypes : [sample.dtypes[place % sample.dtypes.length]!]) {
      await report.check(`${titleOf(sample)} in ${dtype}`, () => checkForward(sample, dtype));
      if (!differentiable(sample) || !isFloat(dtype)) continue;
      await report.check(`${titleOf(sample)}, gradients in ${dtype}`, () => compareWithCpu(sample, dtype));
    }
  }
  for (const sizes of networks) {
    for (const activation of ['relu', 'gelu', 'geluTanh', 'silu'] as const) {
      for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
        const what = `a network of ${sizes.join(', ')} with ${activation} in ${dtype}`;
        await report.check(what, () => checkNetwork(sizes, activation, dtype));
      }
    }
  }
  for (const dtype of ['float16', 'bfloat16'] as const) {
    await report.check(`many classes in ${dtype}`, () => checkClasses(dtype, device));
  }
  await report.check('a compiled step gives the losses of the plain one', () =>
    checkCompiled([2, 4, 16], () => {
      const model = new nn.TransformerEncoderLayer(16, 2, { activation: 'geluTanh', dropout: 0 });
      return { model, lossOf: (x: AnyTensor): AnyTensor => model.forward(x).square().mean() };
    }),
  );
}

interface Attending {
  readonly what: string;
  /** Batch, query heads, key heads, queries, keys, width of keys and of values. */
  readonly sizes: readonly [number, number, number, number, number, number, number];
  readonly options?: hadal.AttentionOptions;
  /** A mask that hides half of the keys, and from some queries all. */
  readonly masked?: boolean;
  readonly large?: boolean;
}
const attendings: readonly Attending[] = [
  { what: 'attention', sizes: [2, 2, 2, 20, 20, 64, 64] },
  { what: 'causal attention', sizes: [2, 2, 2, 33, 33, 32, 32], options: { causal: true } },
  { what: 'more keys than queries', sizes: [2, 2, 2, 9, 21, 32, 32], options: { causal: true } },
  { what: 'more queries than keys', sizes: [1, 2, 2, 21, 9, 32, 32], options: { causal: true, scale: 0.3 } },
  { what: 'grouped queries', sizes: [2, 6, 2, 10, 12, 48, 48], options: { causal: true } },
  { what: 'wider values', sizes: [1, 2, 1, 12, 10, 32, 64] },
  ...[8, 12, 16, 24, 40].map((d): Attending => ({ what: `heads of ${d}`, sizes: [1, 2, 2, 10, 10, d, d] })),
  { what: 'one query', sizes: [2, 2, 2, 1, 9, 32, 32] },
  { what: 'dropout', sizes: [1, 2, 2, 9, 9, 32, 32], options: { dropout: 0.2 } },
  // Several tiles of keys and of queries, to which kernels add in turn.
  { what: 'more keys, tiles', sizes: [1, 2, 1, 130, 260, 64, 64], options: { causal: true } },
  { what: 'more queries, tiles', sizes: [1, 4, 2, 200, 140, 24, 40] },
  { what: 'causal wide tiles', sizes: [1, 2, 1, 270, 270, 80, 128], options: { causal: true }, large: true },
  { what: 'masked tiles', sizes: [2, 2, 1, 70, 140, 64, 64], masked: true, large: true },
  {
    what: 'masked wide tiles',
    sizes: [1, 2, 2, 140, 150, 128, 72],
    masked: true,
    options: { dropout: 0.2 },
    large: true,
  },
  {
    what: 'causal tiles with dropout',
    sizes: [1, 2, 2, 150, 140, 64, 64],
    options: { causal: true, dropout: 0.2 },
    large: true,
  },
  { what: 'long causal attention', sizes: [2, 4, 2, 300, 300, 64, 64], options: { causal: true }, large: true },
  { what: 'wide heads', sizes: [1, 2, 2, 260, 140, 128, 128], large: true },
];

/** The same tensor [b, h, t, d] as a part of [b, t, parts, h, d]. */
function withHeadsInside(x: AnyTensor, parts: number): AnyTensor {
  const inside = hadal.stack(Array<AnyTensor>(parts).fill(x.permute([0, 2, 1, 3]) as AnyTensor), 2);
  return inside.select(2, parts - 1).permute([0, 2, 1, 3]) as AnyTensor;
}

/** Attention and its gradients, with heads inside of so many parts, against the CPU's in float64, twice. */
function checkAttending(
  { sizes, options, masked }: Attending,
  dtype: 'float16' | 'bfloat16',
  layouts: readonly number[],
): void {
  hadal.manualSeed(3);
  const [b, h, hk, t, s, d, dv] = sizes;
  const shapes = [[b, h, t, d] as const, [b, hk, s, d] as const, [b, hk, s, dv] as const];
  const inputs = shapes.map((shape) => hadal.randn([...shape]).cast(dtype) as AnyTensor);
  const half = hadal.rand([t, s]).greater(0.5);
  const mask = half.logicalAnd(hadal.arange(t).remainder(7).greater(0).reshape([t, 1])) as AnyTensor;
  const run = (given: readonly AnyTensor[]): number[][] => {
    hadal.manualSeed(4);
    const all = masked === true ? { ...options, mask: mask.to(given[0]!.device) as AnyTensor } : options;
    return withGradients((q, k, v) => nn.functional.scaledDotProductAttention(q!, k!, v!, all), given);
  };
  const expected = run(inputs.map((input) => input.to('cpu').cast('float64') as AnyTensor));
  for (const parts of layouts) {
    const given = parts === 0 ? inputs : inputs.map((input) => withHeadsInside(input, parts));
    const results = run(given);
    expectClose(results, expected, layerTolerances[dtype], `of q with strides [${given[0]!.strides.join(', ')}]`);
    expectEqual(run(given), results, 'a second run');
  }
}

/** Attention with two heads, whose queries, keys and values are parts of x [b, t, 3 · c]. */
function attendingParts(x: AnyTensor): AnyTensor {
  const [b, t, width] = x.shape as [number, number, number];
  const heads = (part: AnyTensor): AnyTensor => part.reshape([b, t, 2, width / 6]).transpose(1, 2);
  const [q, k, v] = x.split(width / 3, -1).map(heads) as [AnyTensor, AnyTensor, AnyTensor];
  return nn.functional.scaledDotProductAttention(q, k, v, { causal: true });
}

/** Attention of 16-bit floats by cuDNN, or by kernels of our own: all samples, some sizes, and in CUDA graphs. */
const attention = (name: string, environment: Record<string, string>): Part => ({
  name,
  limit: 150,
  environment,
  run: async (device, report, every) => {
    if (process.env['HADAL_CUDNN'] !== '0' && !hasCudnn(device)) return report.note('skipped: cuDNN was not found');
    const some = samples.filter(({ op }) => op === 'scaledDotProductAttention');
    for (const [, sample] of shard(some, 0, 1, every)) {
      for (const dtype of ['float16', 'bfloat16'] as const) {
        await report.check(`${titleOf(sample)} in ${dtype}`, () => checkForward(sample, dtype));
        await report.check(`${titleOf(sample)}, gradients in ${dtype}`, () => compareWithCpu(sample, dtype));
      }
    }
    const wanted = attendings.filter(({ large }) => large !== true || every === 1);
    for (const [i, attending] of wanted.entries()) {
      // Each layout is another kernel to compile.
      const layouts = i === 0 ? [0, 1, 3] : [[0, 1, 3][i % 3]!];
      for (const dtype of ['float16', 'bfloat16'] as const) {
        await report.check(`${attending.what} in ${dtype}`, () => checkAttending(attending, dtype, layouts));
      }
    }
    for (const dtype of ['float16', 'bfloat16'] as const) {
      await report.check(`queries, keys and values in one tensor in ${dtype}`, () => {
        hadal.manualSeed(3);
        const x = hadal.randn([2, 21, 3 * 2 * 32]).cast(dtype) as AnyTensor;
        const run = (given: AnyTensor): number[][] => withGradients((part) => attendingParts(part!), [given]);
        expectClose(run(x), run(x.to('cpu').cast('float64') as AnyTensor), layerTolerances[dtype], 'of parts');
      });
    }
    await report.check('a compiled step gives the gradients of the plain one', () => {
      const gradients = (wrap: (step: Step) => Step): number[][] => {
        hadal.manualSeed(3);
        const step = wrap((x) => {
          const leaf = x.detach().requiresGrad_() as AnyTensor;
          return hadal.gradients([attendingParts(leaf).square().sum()], [leaf])[0]!;
        });
        const inputs = [1, 2].map(() => hadal.randn([1, 70, 3 * 2 * 32]).cast('bfloat16') as AnyTensor);
        return Array.from({ length: 8 }, (_, i) => valuesOf(step(inputs[i % 2]!).cast('float32')));
      };
      const plain = gradients((step) => (x) => scope(() => step(x)));
      expectEqual(
        gradients((step) => hadal.compile(step)),
        plain,
        'gradients',
      );
    });
  },
});

/** Programs, on a GPU as CUDA graphs: with random numbers, counts and addresses that change between runs. */
async function compiled(_: Device, report: Reporter): Promise<void> {
  const losses = (wrap: (step: Step) => Step, batches: number): number[] => {
    hadal.manualSeed(3);
    const model = new nn.Sequential(new nn.Linear(64, 128), new nn.GELU(), new nn.Dropout(0.1), new nn.Linear(128, 10));
    const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-3 });
    const schedule = new optim.StepLR(optimizer, { stepSize: 3, gamma: 0.5 });
    const inputs = Array.from({ length: batches }, () => hadal.randn([32, 64]));
    const y = hadal.arange(32, { dtype: 'int64' }).remainder(10);
    const step = wrap((x) => {
      optimizer.zeroGrad();
      const loss = nn.functional.crossEntropy(model.forward(x), y);
      loss.backward();
      optimizer.step();
      return loss;
    });
    return Array.from({ length: 12 }, (_, i) => {
      const loss = step(inputs[i % batches]!).itemSync();
      schedule.step();
      return loss;
    });
  };
  for (const batches of [1, 3]) {
    await report.check(`a compiled training step gives the losses of the plain one, ${batches} batches`, () => {
      const plain = losses((step) => (x) => scope(() => step(x)), batches);
      expectEqual(
        losses((step) => hadal.compile(step), batches),
        plain,
        'losses',
      );
    });
  }
  await report.check('an error in a compiled function is thrown, and the next run is right', () => {
    const x = tensor([1, 2, 3]);
    const pick = hadal.compile((index: AnyTensor) => x.gather(0, index as never) as AnyTensor);
    const run = (index: number): number =>
      pick(tensor([index], { dtype: 'int64' }))
        .sum()
        .itemSync();
    for (const index of [0, 1, 2, 1]) expectEqual(run(index), index + 1, 'an element');
    let message = '';
    try {
      run(7);
    } catch (error) {
      message = (error as Error).message;
    }
    if (!message.includes('index 7 at position 0 out of range for 3')) throw new Error(`the error: got '${message}'`);
    expectEqual(run(2), 3, 'the element after it');
  });
}

function classifier(): { step: () => AnyTensor } {
  hadal.manualSeed(3);
  const model = new nn.Sequential(new nn.Linear(64, 128), new nn.ReLU(), new nn.Dropout(0.1), new nn.Linear(128, 10));
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-3 });
  const x = hadal.randn([32, 64]);
  const y = hadal.arange(32, { dtype: 'int64' }).remainder(10);
  return {
    step: () => {
      optimizer.zeroGrad();
      const loss = scope(() => {
        const value = nn.functional.crossEntropy(model.forward(x), y);
        value.backward();
        return value.detach();
      });
      optimizer.step();
      return loss;
    },
  };
}

/** Flat memory over many steps, recovery from running out of it, and the same bits again. */
async function memory(device: Device, report: Reporter): Promise<void> {
  await report.check('10,000 training steps in flat memory', () => {
    const { step } = classifier();
    for (let i = 0; i < 200; i++) scope(() => void step());
    hadal.synchronize(device);
    const before = hadal.memory(device);
    for (let i = 0; i < 10_000; i++) scope(() => void step());
    hadal.synchronize(device);
    const after = hadal.memory(device);
    report.note(
      `live ${before.liveBytes} → ${after.liveBytes}, cached ${before.cachedBytes} → ${after.cachedBytes} bytes`,
    );
    if (after.liveBytes > before.liveBytes || after.cachedBytes > before.cachedBytes + (1 << 20)) {
      throw new Error('memory grew');
    }
  });
  await report.check('the same seed gives the same bits', () => {
    const losses = [1, 2].map(() => {
      const { step } = classifier();
      return Array.from({ length: 50 }, () => step()).map((loss) => loss.itemSync());
    });
    expectEqual(losses[0], losses[1], 'losses');
  });
  await report.check('JavaScript is not blocked by kernels', async () => {
    const x = hadal.randn([4096, 4096]);
    // The first use of memory maps it, which takes JavaScript's time; here it is there already.
    const products = (): AnyTensor => {
      let y = x;
      for (let i = 0; i < 200; i++) y = scope(() => x.matmul(y).mul(1e-3));
      return y;
    };
    scope(() => products().sum().itemSync());
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    const sum = scope(() => products().sum());
    await sum.item();
    clearInterval(timer);
    report.note(`the event loop waited ${longest.toFixed(1)} ms at most`);
    if (device !== 'cpu' && longest > 100) throw new Error(`the event loop waited ${longest} ms`);
  });
  // On the CPU that would take the memory of others.
  if (device === 'cpu') return;
  await report.check('running out of memory is an error, and the next op runs', () => {
    let name = '';
    try {
      const held: AnyTensor[] = [];
      for (let i = 0; i < 4096; i++) held.push(hadal.empty([1 << 28]));
    } catch (error) {
      name = (error as Error).constructor.name;
    }
    expectEqual(name, 'OutOfMemoryError', 'the error');
    hadal.releaseMemory(device);
    expectEqual(
      hadal
        .ones([1 << 20])
        .sum()
        .itemSync(),
      1 << 20,
      'the op after it',
    );
  });
}

/** Collectives, a process for each GPU there is; one alone goes through NCCL too. Skipped where that is not found. */
async function collectives(device: Device, report: Reporter): Promise<void> {
  const gpus = hadal.devices().filter(({ name, available }) => available && name !== 'cpu').length;
  const [processes, kind] = device === 'cpu' ? [2, 'cpu'] : [gpus, 'cuda'];
  // This file is TypeScript in the repository, and JavaScript in the folder that scripts/gpu-check.mjs makes.
  const path = (...parts: string[]): string => join(__dirname, '../../..', ...parts) + __filename.slice(-3);
  const launched = ['launch', '--processes', `${processes}`, path('test', 'distributed', 'collectives'), kind];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, path('lib', 'cli', 'main'), ...launched],
    {
      encoding: 'utf8',
    },
  );
  if (/NCCL was not found/.test(stderr)) return report.note('skipped: NCCL was not found');
  await report.check(`collectives of ${processes} processes`, () => {
    if (status !== 0) throw new Error(`got status ${status} on ${device}: ${stderr.slice(0, 2000)}`);
    report.note(stdout.trim());
  });
}

/** Calls at random sizes and layouts, for what depends on sizes that no sample has. An emulated device takes long for large ones. */
async function randomCalls(device: Device, report: Reporter, every: number): Promise<void> {
  const isEmulated = hadal.devices().some(({ name, description }) => name === device && /emulated/.test(description));
  for (const kind of Object.keys(kinds)) {
    const calls = Math.ceil((kind === 'convolution' ? 400 : 40) / every);
    await report.check(kind, () => checkRandomCalls(kind, 1, calls, device, isEmulated ? 4_000 : 200_000));
  }
}

/** Training steps of random ops, as CUDA graphs on a GPU. */
async function randomSteps(device: Device, report: Reporter, every: number): Promise<void> {
  for (let seed = 1; seed <= 60; seed += every) {
    await report.check(`a compiled step of random ops, seed ${seed}`, () => checkRandomStep(seed, device));
  }
}

const ops = 6;
const many = (make: (i: number, n: number) => Part): Part[] => Array.from({ length: ops }, (_, i) => make(i, ops));

/** In the order of their importance; those of one group run side by side. */
export const groups: readonly (readonly Part[])[] = [
  [
    { name: 'basics', limit: 60, run: basics },
    { name: 'elsewhere', limit: 60, run: elsewhere },
  ],
  many(forward),
  many(gradients),
  [{ name: 'products', limit: 60, run: products }],
  [{ name: 'rows', limit: 60, run: rows }],
  [{ name: 'random calls', limit: 90, run: randomCalls }],
  [convolutions('convolutions by cuDNN', {}), convolutions('convolutions without cuDNN', { HADAL_CUDNN: '0' })],
  [attention('attention by cuDNN', { HADAL_CUDNN: 'all' }), attention('attention without cuDNN', { HADAL_CUDNN: '0' })],
  [{ name: 'compile', limit: 60, run: compiled }],
  [{ name: 'random steps', limit: 60, run: randomSteps }],
  [{ name: 'memory', limit: 90, run: memory }],
  [{ name: 'collectives', limit: 60, run: collectives }],
];

export const parts: readonly Part[] = groups.flat();
