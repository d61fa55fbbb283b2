/**
 * Workloads of one GPU, for scripts/gpu-check.mjs; bench/peers/cuda.py has PyTorch's side. Values are random: what is compared is time
 * alone, the numbers are checked elsewhere.
 */
import { cat, nn, optim, ones, randint, randn, scope } from 'hadal';
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
const cast = (shape: readonly number[]): AnyTensor => randn(shape).cast('bfloat16') as AnyTensor;

const gemm = (n: number, dtype: 'bfloat16' | 'float32'): GpuWorkload => ({
  name: `gemm ${n}³ ${dtype}`,
  flops: 2 * n ** 3,
  prepare: () => {
    const [a, b] = [randn([n, n]).cast(dtype), randn([n, n]).cast(dtype)] as [AnyTensor, AnyTensor];
    return () => void a.matmul(b);
  },
});

/** Forward alone, then forward and backward. */
function both(name: string, bytes: number, make: (recorded: boolean) => () => AnyTensor): GpuWorkload[] {
  return [
    { name, bytes, prepare: () => { const f = make(false); return () => void f(); } }, // prettier-ignore
    {
      name: `${name}, with gradient`,
      bytes: 3 * bytes,
      prepare: () => {
        const f = make(true);
        return () => f().backward();
      },
    },
  ];
}

const leaf = (x: AnyTensor, recorded: boolean): AnyTensor => (recorded ? x.requiresGrad_() : x);

function attention(d: number, t: number): GpuWorkload[] {
  const [b, h] = [4, 16];
  const flops = (4 * b * h * t * t * d) / 2;
  const inputs = (recorded: boolean): AnyTensor[] => [1, 2, 3].map(() => leaf(cast([b, h, t, d]), recorded));
  const run = ([q, k, v]: AnyTensor[]): AnyTensor =>
    nn.functional.scaledDotProductAttention(q!, k!, v!, { causal: true });
  const name = `causal attention d${d} t${t}`;
  return [
    { name, flops, prepare: () => { const x = inputs(false); return () => void run(x); } }, // prettier-ignore
    {
      name: `${name}, with gradient`,
      flops: 3.5 * flops,
      prepare: () => {
        const x = inputs(true);
        const g = cast([b, h, t, d]);
        return () => run(x).backward(g);
      },
    },
  ];
}

function trained(model: nn.Module, optimizer: { zeroGrad(): void; step(): void }, lossOf: () => AnyTensor): () => void {
  model.train();
  return () => {
    optimizer.zeroGrad();
    scope(() => lossOf().backward());
    optimizer.step();
  };
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
      return () => void a.add(b);
    },
  },
  gemm(8192, 'bfloat16'),
  gemm(4096, 'bfloat16'),
  gemm(4096, 'float32'),
  ...both('layer norm', 2 * tensorBytes, (recorded) => {
    const [x, g] = [leaf(cast([rows, width]), recorded), cast([rows, width])];
    const [weight, bias] = [leaf(ones([width], bfloat16), recorded), leaf(ones([width], bfloat16), recorded)];
    return () => withGradient(nn.functional.layerNorm(x, [width], weight, bias), g, recorded);
  }),
  ...both('softmax', 2 * tensorBytes, (recorded) => {
    const [x, g] = [leaf(cast([rows, width]), recorded), cast([rows, width])];
    return () => withGradient(nn.functional.softmax(x, -1), g, recorded);
  }),
  ...both('cross entropy', 2 * rows * vocabulary, (recorded) => {
    const x = leaf(cast([rows, vocabulary]), recorded);
    const target = randint(0, vocabulary, [rows]);
    return () => nn.functional.crossEntropy(x, target);
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
  {
    name: 'MLP step, batch 64',
    prepare: () => {
      const model = new nn.Sequential(new nn.Linear(784, 256), new nn.ReLU(), new nn.Linear(256, 128), new nn.ReLU(), new nn.Linear(128, 10)); // prettier-ignore
      const [x, y] = [randn([64, 784]), randint(0, 10, [64])];
      const loss = (): AnyTensor => nn.functional.crossEntropy(model.forward(x), y);
      return trained(model, new optim.Adam(model.parameters(), { lr: 1e-3 }), loss);
    },
  },
  {
    name: 'GPT-2 124M step, bfloat16, 16 × 1024',
    flops: 6 * 124e6 * 16 * 1024,
    prepare: () => {
      const model = new GPT(vocabulary, 12, 768, 12, 1024);
      model.to('bfloat16');
      const index = randint(0, vocabulary, [16, 1024], { dtype: 'int32' });
      const target = randint(0, vocabulary, [16 * 1024]);
      const loss = (): AnyTensor =>
        nn.functional.crossEntropy(model.forward(index).reshape([16 * 1024, vocabulary]), target);
      return trained(model, new optim.AdamW(model.parameters(), { lr: 3e-4 }), loss);
    },
  },
  {
    name: 'convolution 3×3, 256 channels, 64 × 28 × 28, with gradient',
    flops: 3 * 2 * 64 * 28 * 28 * 256 * 256 * 9,
    prepare: () => {
      const [x, weight] = [cast([64, 256, 28, 28]).requiresGrad_(), cast([256, 256, 3, 3]).requiresGrad_()];
      const g = cast([64, 256, 28, 28]);
      return () => nn.functional.conv2d(x, weight, undefined, { padding: 1 }).backward(g);
    },
  },
  {
    name: 'sort, 2²⁴ float32',
    prepare: () => {
      const x = randn([2 ** 24]);
      return () => void x.sort(0);
    },
  },
  {
    name: 'cumulative sum, 4096 × 4096 float32',
    bytes: 2 * 4 * 4096 ** 2,
    prepare: () => {
      const x = randn([4096, 4096]);
      return () => void x.cumsum(-1);
    },
  },
  {
    name: 'cat of 8, 2²⁵ float32',
    bytes: 2 * 4 * 2 ** 25,
    prepare: () => {
      const parts = Array.from({ length: 8 }, () => randn([2 ** 12, 2 ** 10]));
      return () => void cat(parts, 1);
    },
  },
];

/** y, or where gradients are wanted a number whose backward gives y the gradient g. */
function withGradient(y: AnyTensor, g: AnyTensor, recorded: boolean): AnyTensor {
  return recorded ? y.mul(g).sum() : y;
}
