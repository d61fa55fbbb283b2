// Samples of attention and of losses. test/nn compares both with PyTorch; here are the shapes, dtypes and layouts.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { generated, ravel, unravel, type Plain, type Sample, type Tolerance } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];

// ---------------------------------------------------------------------------------------------------------------- attention

type Call = (q: AnyTensor, k: AnyTensor, v: AnyTensor, options?: hadal.AttentionOptions) => AnyTensor;
const attention = hadal.scaledDotProductAttention as Call;

interface Attention {
  readonly q: Shape;
  readonly k: Shape;
  readonly width?: number;
  readonly options?: hadal.AttentionOptions;
  readonly mask?: () => AnyTensor;
  /** What is added to the score of a query and a key. */
  readonly bias?: (batch: number, head: number, i: number, j: number) => number;
  readonly order?: 0 | 2;
}
const only = (holds: boolean): number => (holds ? 0 : -Infinity);
const maskValues = [true, false, true, true, true, false];
const addedValues = [0.5, -1, 0, 2, -Infinity, 1];
const attentions: Record<string, Attention> = {
  plain: { q: [2, 2, 3, 2], k: [2, 2, 4, 2] },
  'values of another width': { q: [1, 1, 2, 3], k: [1, 1, 3, 3], width: 2 },
  causal: { q: [1, 2, 3, 2], k: [1, 2, 3, 2], options: { causal: true }, bias: (_, __, i, j) => only(j <= i) },
  scaled: { q: [1, 1, 2, 2], k: [1, 1, 3, 2], options: { scale: 2 } },
  'grouped queries': { q: [1, 4, 2, 2], k: [1, 2, 3, 2] },
  'one head': { q: [2, 3, 2], k: [2, 4, 2] },
  'a bool mask': {
    q: [1, 2, 2, 2],
    k: [1, 2, 3, 2],
    mask: () => hadal.tensor(maskValues, { shape: [2, 3] }),
    bias: (_, __, i, j) => only(maskValues[3 * i + j]!),
  },
  'an added mask': {
    q: [1, 2, 2, 2],
    k: [1, 2, 3, 2],
    mask: () => hadal.tensor(addedValues, { shape: [2, 3] }),
    bias: (_, __, i, j) => addedValues[3 * i + j]!,
  },
  'no queries': { q: [1, 2, 0, 2], k: [1, 2, 3, 2] },
  'no batch': { q: [0, 2, 2, 2], k: [0, 2, 3, 2] },
  'longer than a tile': {
    q: [1, 2, 131, 20],
    k: [1, 1, 131, 20],
    options: { causal: true },
    bias: (_, __, i, j) => only(j <= i),
    order: 0,
  },
};

function attended(q: Plain, k: Plain, v: Plain, { options = {}, bias = () => 0 }: Attention): Plain {
  if (q.shape.length === 3) {
    const batch = (x: Plain): Plain => ({ shape: [1, ...x.shape], values: x.values });
    const { shape, values } = attended(batch(q), batch(k), batch(v), { options, bias, q: [], k: [] });
    return { shape: shape.slice(1), values };
  }
  const [b, h, t, d] = q.shape as [number, number, number, number];
  const [, shared, s] = k.shape as [number, number, number];
  const width = v.shape[3]!;
  const rows = new Map<number, number[]>();
  const weightsOf = (batch: number, head: number, i: number): number[] => {
    const key = ravel([batch, head, i], [b, h, t]);
    const known = rows.get(key);
    if (known !== undefined) return known;
    const scores = Array.from({ length: s }, (_, j) => {
      let dot = 0;
      for (let c = 0; c < d; c++) {
        dot += q.values[ravel([batch, head, i, c], q.shape)]! * k.values[ravel([batch, group(head), j, c], k.shape)]!;
      }
      return dot * (options.scale ?? 1 / Math.sqrt(d)) + bias(batch, head, i, j);
    });
    const top = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - top));
    const total = powers.reduce((x, y) => x + y, 0);
    const weights = powers.map((power) => power / total);
    rows.set(key, weights);
    return weights;
  };
  const group = (head: number): number => Math.floor(head / (h / shared));
  return generated([b, h, t, width], ([batch, head, i, c]) =>
    weightsOf(batch!, head!, i!).reduce(
      (sum, weight, j) => sum + weight * v.values[ravel([batch!, group(head!), j, c!], v.shape)]!,
      0,
    ),
  );
}

// 16-bit products of queries and keys are summed in float, but the weights are 16-bit where a kernel multiplies by pairs.
const weighted: Partial<Record<DType, Tolerance>> = {
  float16: { rtol: 4e-3, atol: 4e-3 },
  bfloat16: { rtol: 2e-2, atol: 2e-2 },
};
const attentionSamples: Sample[] = Object.entries(attentions).map(([variant, sample]) => ({
  op: 'scaledDotProductAttention',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => {
    const { q, k, width = k[k.length - 1]! } = sample;
    return [draw.tensor(q, dtype), draw.tensor(k, dtype), draw.tensor([...k.slice(0, -1), width], dtype)];
  },
  call: (q, k, v) => attention(q, k, v, { ...sample.options, ...(sample.mask && { mask: sample.mask() }) }),
  reference: (q, k, v) => attended(q, k, v, sample),
  order: sample.order ?? 2,
  tolerance: weighted,
}));

// ------------------------------------------------------------------------------------------------------------------- losses

type Loss<Options> = (x: AnyTensor, target: AnyTensor, options?: Options) => AnyTensor;
const crossEntropy = hadal.crossEntropy as Loss<hadal.CrossEntropyOptions>;
const mseLoss = hadal.mseLoss as Loss<hadal.LossOptions>;
const bceWithLogits = hadal.bceWithLogits as Loss<hadal.LossOptions>;
const classWeights = [0.5, 1, 2, 1.5];

interface Classes {
  readonly x: Shape;
  readonly target: Shape;
  readonly options?: hadal.CrossEntropyOptions;
  readonly weights?: readonly number[];
}
const classifications: Record<string, Classes> = {
  rows: { x: [3, 4], target: [3] },
  'one row': { x: [4], target: [] },
  images: { x: [2, 4, 2, 2], target: [2, 2, 2] },
  'no reduction': { x: [3, 4], target: [3], options: { reduction: 'none' } },
  'the sum': { x: [3, 4], target: [3], options: { reduction: 'sum' } },
  smoothed: { x: [3, 4], target: [3], options: { labelSmoothing: 0.2 } },
  'weights of classes': { x: [3, 4], target: [3], weights: classWeights },
  'all options': {
    x: [4, 4],
    target: [4],
    weights: classWeights,
    options: { ignoreIndex: 1, labelSmoothing: 0.1, reduction: 'sum' },
  },
  'no rows': { x: [0, 4], target: [0], options: { reduction: 'sum' } },
};

function entropy(x: Plain, target: Plain, { options = {}, weights = [1, 1, 1, 1] }: Classes): Plain {
  const { ignoreIndex = -100, labelSmoothing = 0, reduction = 'mean' } = options;
  const classAxis = x.shape.length === 1 ? 0 : 1;
  let counted = 0;
  const losses = target.values.map((t, flat) => {
    if (t === ignoreIndex) return 0;
    const at = unravel(flat, target.shape);
    const row = Array.from({ length: 4 }, (_, c) => x.values[ravel(at.toSpliced(classAxis, 0, c), x.shape)]!);
    const total = Math.log(row.reduce((sum, v) => sum + Math.exp(v), 0));
    counted += weights[t]!;
    const even = row.reduce((sum, v, c) => sum + weights[c]! * (total - v), 0) / 4;
    return (1 - labelSmoothing) * weights[t]! * (total - row[t]!) + labelSmoothing * even;
  });
  if (reduction === 'none') return { shape: target.shape, values: losses };
  const sum = losses.reduce((a, b) => a + b, 0);
  return { shape: [], values: [reduction === 'sum' ? sum : sum / counted] };
}

const classificationSamples: Sample[] = Object.entries(classifications).map(([variant, sample]) => ({
  op: 'crossEntropy',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => [draw.tensor(sample.x, dtype), draw.index(sample.target, 4)],
  call: (x, target) => {
    const weight = sample.weights && hadal.tensor([...sample.weights], { dtype: x.dtype });
    return crossEntropy(x, target, { ...sample.options, ...(weight && { weight }) });
  },
  reference: (x, target) => entropy(x, target, sample),
  order: 2,
}));

/** Logits of rows x [..., in] by a layer's weight [4, in], and a bias where there is one. */
const logitsOf = (x: Plain, w: Plain, b?: Plain): Plain => {
  const width = w.shape[1]!;
  return generated([...x.shape.slice(0, -1), 4], (at) => {
    const [row, c] = [ravel(at.with(-1, 0), x.shape), at.at(-1)!];
    const sum = Array.from({ length: width }, (_, i) => x.values[row + i]! * w.values[c * width + i]!);
    return sum.reduce((total, term) => total + term, b?.values[c] ?? 0);
  });
};
const linearCrossEntropy = hadal.nn.functional.linearCrossEntropy as (
  ...args: [AnyTensor, AnyTensor, AnyTensor, hadal.LinearCrossEntropyOptions]
) => AnyTensor;
interface Layer extends Classes {
  readonly bias?: boolean;
  readonly rowsAtOnce?: number;
}
const layers: Record<string, Layer> = {
  rows: { x: [3, 2], target: [3] },
  'in pieces': { x: [5, 2], target: [5], bias: true, rowsAtOnce: 2 },
  'a sum in pieces': { x: [5, 2], target: [5], rowsAtOnce: 2, options: { reduction: 'sum' } },
  'no reduction': { x: [3, 2], target: [3], bias: true, rowsAtOnce: 2, options: { reduction: 'none' } },
  'all options': {
    x: [4, 2],
    target: [4],
    bias: true,
    weights: classWeights,
    rowsAtOnce: 3,
    options: { ignoreIndex: 1, labelSmoothing: 0.1 },
  },
  'no rows': { x: [0, 2], target: [0], options: { reduction: 'sum' } },
};
const layerSamples: Sample[] = Object.entries(layers).map(([variant, sample]) => ({
  op: 'linearCrossEntropy',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => [
    draw.tensor(sample.x, dtype),
    draw.tensor([4, 2], dtype),
    draw.index(sample.target, 4),
    ...(sample.bias === true ? [draw.tensor([4], dtype)] : []),
  ],
  call: (x, w, target, linearBias) => {
    const weight = sample.weights && hadal.tensor([...sample.weights], { dtype: x.dtype });
    const { options, rowsAtOnce } = sample;
    return linearCrossEntropy(x, w, target, { ...options, rowsAtOnce, linearBias, ...(weight && { weight }) });
  },
  reference: (x, w, target, b) => entropy(logitsOf(x, w, b), target, sample),
  order: 2,
  // Logits of up to 8 are rounded.
  tolerance: { float16: { rtol: 4e-3, atol: 8e-3 }, bfloat16: { rtol: 1.6e-2, atol: 6e-2 } },
}));

/** Σ, mean or none of what `f` makes of an input and its target. */
const pairs = (
  op: string,
  call: Loss<hadal.LossOptions>,
  f: (x: number, t: number) => number,
  low: number,
  high: number,
): Sample[] =>
  (['mean', 'sum', 'none'] as const).flatMap((reduction) =>
    (
      [
        ['matrices', [3, 2]],
        ['0-d', []],
        ['empty', [0, 2]],
      ] as const
    )
      // The mean of nothing is NaN, which has no differences.
      .filter(([variant]) => variant !== 'empty' || reduction !== 'mean')
      .map(([variant, shape]): Sample => ({
        op,
        variant: `${variant}, ${reduction}`,
        dtypes: floats,
        inputs: (draw, dtype) => [draw.tensor(shape, dtype), draw.tensor(shape, dtype, low, high)],
        call: (x, target) => call(x, target, { reduction }),
        reference: (x, target) => {
          const losses = x.values.map((v, i) => f(v, target.values[i]!));
          if (reduction === 'none') return { shape, values: losses };
          const sum = losses.reduce((a, b) => a + b, 0);
          return { shape: [], values: [reduction === 'sum' ? sum : sum / losses.length] };
        },
        order: 2,
        // Compositions: a 16-bit float is rounded after every op.
        tolerance: { float16: { rtol: 4e-3, atol: 4e-3 }, bfloat16: { rtol: 3.2e-2, atol: 3.2e-2 } },
      })),
  );

export const samples: Sample[] = [
  ...attentionSamples,
  ...classificationSamples,
  ...layerSamples,
  ...pairs('mseLoss', mseLoss, (x, t) => (x - t) ** 2, -2, 2),
  ...pairs('bceWithLogits', bceWithLogits, (x, t) => Math.max(x, 0) - x * t + Math.log1p(Math.exp(-Math.abs(x))), 0, 1),
];
