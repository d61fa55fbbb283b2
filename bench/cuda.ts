/**
 * Workloads of one GPU, for scripts/gpu-check.mjs; bench/peers/gpu.py has PyTorch's side. Values are random: what is compared is time
 * alone, the numbers are checked elsewhere.
 */
import { autocast, cat, compile, models, nn, optim, ones, randint, randn, scope } from 'hadal';
import type { AnyTensor } from 'hadal';

import { GPT } from './training';

export interface GpuWorkload {
  readonly name: string;
  readonly prepare: () => () => void;
  /** Floating-point operations of an iteration. */
  readonly flops?: number;
  /** Bytes that an iteration must move. */
  readonly bytes?: number;
}

const bfloat16 = { dtype: 'bfloat16' } as const;
/** An iteration whose results are freed at its end, as those of the peer are. */
const inScope =
  (f: () => unknown): (() => void) =>
  () =>
    scope(() => void f());
const cast = (shape: readonly number[]): AnyTensor => randn(shape).cast('bfloat16') as AnyTensor;

const gemm = (n: number, dtype: 'bfloat16' | 'float32'): GpuWorkload => ({
  name: `gemm ${n}³ ${dtype}`,
  flops: 2 * n ** 3,
  prepare: () => {
    const [a, b] = [randn([n, n]).cast(dtype), randn([n, n]).cast(dtype)] as [AnyTensor, AnyTensor];
    return inScope(() => a.matmul(b));
  },
});

/** Forward alone, then forward and backward; y gets the gradient g. */
function both(
  name: string,
  work: Pick<GpuWorkload, 'flops' | 'bytes'>,
  backwardWork: number,
  make: () => { leaves: AnyTensor[]; f: () => AnyTensor; g?: AnyTensor },
): GpuWorkload[] {
  const { flops, bytes } = work;
  return [
    {
      name,
      ...work,
      prepare: () => {
        const { f } = make();
        return inScope(f);
      },
    },
    {
      name: `${name}, with gradient`,
      ...(flops === undefined ? {} : { flops: flops * backwardWork }),
      ...(bytes === undefined ? {} : { bytes: bytes * backwardWork }),
      prepare: () => {
        const { leaves, f, g } = make();
        for (const leaf of leaves) leaf.requiresGrad_();
        return () => {
          for (const leaf of leaves) {
            leaf.grad?.dispose();
            leaf.grad = undefined;
          }
          scope(() => f().backward(g === undefined ? {} : { gradient: g }));
        };
      },
    },
  ];
}

const attention = (d: number, t: number): GpuWorkload[] =>
  both(`causal attention d${d} t${t}`, { flops: (4 * 4 * 16 * t * t * d) / 2 }, 3.5, () => {
    const [q, k, v, g] = [1, 2, 3, 4].map(() => cast([4, 16, t, d])) as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
    const f = (): AnyTensor => nn.functional.scaledDotProductAttention(q, k, v, { causal: true });
    return { leaves: [q, k, v], f, g };
  });

const convolution = (layout: string, make: (shape: readonly number[]) => AnyTensor): GpuWorkload[] =>
  both(`convolution 3×3, 256 channels, 64 × 28 × 28${layout}`, { flops: 2 * 64 * 28 * 28 * 256 * 256 * 9 }, 3, () => {
    const [x, weight, g] = [make([64, 256, 28, 28]), make([256, 256, 3, 3]), make([64, 256, 28, 28])];
    return { leaves: [x, weight], f: () => nn.functional.conv2d(x, weight, undefined, { padding: 1 }), g };
  });

/** What {@link compile} makes of a workload's iteration is a row of its own. */
export const compiledToo = ', compiled';

/** A training step, as it stands and compiled. */
function training(
  name: string,
  flops: number | undefined,
  make: () => { model: nn.Module; optimizer: { zeroGrad(): void; step(): void }; lossOf: () => AnyTensor },
): GpuWorkload[] {
  const prepare = (): (() => void) => {
    const { model, optimizer, lossOf } = make();
    model.train();
    return () => {
      optimizer.zeroGrad();
      scope(() => lossOf().backward());
      optimizer.step();
    };
  };
  const work = flops === undefined ? {} : { flops };
  return [
    { name, ...work, prepare },
    { name: name + compiledToo, ...work, prepare: () => compile(prepare()) },
  ];
}

const rows = 8192;
const width = 4096;
const tensorBytes = 2 * rows * width;
const vocabulary = 50_304;

export const gpuWorkloads: readonly GpuWorkload[] = [
  {
    name: 'add, 2²⁷ bfloat16',
    bytes: 3 * 2 * 2 ** 27,
    prepare: () => {
      const [a, b] = [ones([2 ** 27], bfloat16), ones([2 ** 27], bfloat16)];
      return inScope(() => a.add(b));
    },
  },
  gemm(8192, 'bfloat16'),
  gemm(4096, 'bfloat16'),
  gemm(4096, 'float32'),
  ...both('layer norm', { bytes: 2 * tensorBytes }, 2.5, () => {
    const [x, g] = [cast([rows, width]), cast([rows, width])];
    const [weight, bias] = [ones([width], bfloat16), ones([width], bfloat16)] as AnyTensor[];
    return { leaves: [x, weight!, bias!], f: () => nn.functional.layerNorm(x, [width], weight, bias), g };
  }),
  ...both('softmax', { bytes: 2 * tensorBytes }, 2.5, () => {
    const [x, g] = [cast([rows, width]), cast([rows, width])];
    return { leaves: [x], f: () => nn.functional.softmax(x, -1), g };
  }),
  ...both('cross entropy', { bytes: 2 * rows * vocabulary }, 3, () => {
    const x = cast([rows, vocabulary]);
    const target = randint(0, vocabulary, [rows]);
    return { leaves: [x], f: () => nn.functional.crossEntropy(x, target) };
  }),
  ...attention(64, 4096),
  ...attention(128, 4096),
  {
    name: 'AdamW, 124 million',
    bytes: 28 * 124e6,
    prepare: () => {
      const parameters = Array.from({ length: 124 }, () => randn([1000, 1000]).requiresGrad_());
      for (const p of parameters) p.grad = randn([1000, 1000]);
      const optimizer = new optim.AdamW(parameters, { lr: 1e-4 });
      return () => optimizer.step();
    },
  },
  ...training('MLP step, batch 64', undefined, () => {
    const model = new nn.Sequential(new nn.Linear(784, 256), new nn.ReLU(), new nn.Linear(256, 128), new nn.ReLU(), new nn.Linear(128, 10)); // prettier-ignore
    const [x, y] = [randn([64, 784]), randint(0, 10, [64])];
    const lossOf = (): AnyTensor => nn.functional.crossEntropy(model.forward(x), y);
    return { model, optimizer: new optim.Adam(model.parameters(), { lr: 1e-3 }), lossOf };
  }),
  ...training('GPT-2 124M step, bfloat16, 16 × 1024', 6 * 124e6 * 16 * 1024, () => {
    const model = new GPT(vocabulary, 12, 768, 12, 1024);
    model.to('bfloat16');
    const index = randint(0, vocabulary, [16, 1024], { dtype: 'int32' });
    const target = randint(0, vocabulary, [16 * 1024]);
    const lossOf = (): AnyTensor =>
      nn.functional.crossEntropy(model.forward(index).reshape([16 * 1024, vocabulary]), target);
    return { model, optimizer: new optim.AdamW(model.parameters(), { lr: 3e-4 }), lossOf };
  }),
  ...training('ResNet-50 step, autocast bfloat16, 64 × 224 × 224', 3 * 2 * 4.09e9 * 64, () => {
    const model = new models.ResNet(50);
    const [x, y] = [randn([64, 3, 224, 224]), randint(0, 1000, [64])];
    const lossOf = (): AnyTensor => autocast('bfloat16', () => nn.functional.crossEntropy(model.forward(x), y));
    return { model, optimizer: new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }), lossOf };
  }),
  ...convolution('', cast),
  ...convolution(', channels last', ([n, c, h, w]) => cast([n!, h!, w!, c!]).permute([0, 3, 1, 2])),
  {
    name: 'sort, 2²⁴ float32',
    prepare: () => {
      const x = randn([2 ** 24]);
      return inScope(() => x.sort());
    },
  },
  {
    name: 'cumulative sum, 4096 × 4096 float32',
    bytes: 2 * 4 * 4096 ** 2,
    prepare: () => {
      const x = randn([4096, 4096]);
      return inScope(() => x.cumsum(-1));
    },
  },
  {
    name: 'cat of 8, 2²⁵ float32',
    bytes: 2 * 4 * 2 ** 25,
    prepare: () => {
      const parts = Array.from({ length: 8 }, () => randn([2 ** 12, 2 ** 10]));
      return inScope(() => cat(parts, 1));
    },
  },
];
