// Samples of normalisations over groups, rotary embedding, bags, segments and sparse products. test/nn compares layers with PyTorch.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { count, generated, ravel, unravel, type Draw, type Plain, type Sample, type Tolerance } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
// Statistics and powers are rounded one by one.
const rounded: Partial<Record<DType, Tolerance>> = {
  float32: { rtol: 1e-5, atol: 1e-5 },
  float16: { rtol: 5e-3, atol: 5e-3 },
  bfloat16: { rtol: 3e-2, atol: 3e-2 },
};

type Inputs = (draw: Draw, dtype: DType) => readonly AnyTensor[];
const sample = (
  op: string,
  variant: string,
  inputs: Inputs,
  call: Sample['call'],
  more: Partial<Sample> = {},
): Sample => ({
  op,
  variant,
  dtypes: floats,
  inputs,
  call,
  order: 2,
  tolerance: rounded,
  ...more,
});
const tensors =
  (...shapes: Shape[]): Inputs =>
  (draw, dtype) =>
    shapes.map((shape) => draw.tensor(shape, dtype, 0.2, 1.5));
const int = (
  values: readonly number[],
  shape: Shape = [values.length],
  dtype: 'int64' | 'int32' = 'int64',
): AnyTensor => hadal.tensor([...values], { dtype, shape });

// ------------------------------------------------------------------------------------------------------- normalisation

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
/** x [n, c, …] normalised over the elements that `key` puts together, scaled and shifted per channel. */
function normalized(x: Plain, key: (position: number[]) => string, weight?: Plain, bias?: Plain): Plain {
  const groups = new Map<string, number[]>();
  x.values.forEach((value, flat) => {
    const name = key(unravel(flat, x.shape));
    groups.set(name, [...(groups.get(name) ?? []), value]);
  });
  return generated(x.shape, (position) => {
    const group = groups.get(key(position))!;
    const centre = mean(group);
    const variance = mean(group.map((v) => (v - centre) ** 2));
    const channel = position[1]!;
    const value = (x.values[ravel(position, x.shape)]! - centre) / Math.sqrt(variance + 1e-3);
    return value * (weight?.values[channel] ?? 1) + (bias?.values[channel] ?? 0);
  });
}

const epsilon = 1e-3;
const norms: Sample[] = [
  ...(
    [
      [2, 6, 3],
      [2, 4],
      [0, 4, 2],
      [1, 4, 5, 7],
    ] as const
  ).flatMap((shape) => [
    sample(
      'groupNorm',
      `[${shape.join(', ')}]`,
      tensors(shape, [shape[1]], [shape[1]]),
      (x, w, b) => hadal.groupNorm(x!, 2, w!, b!, { epsilon }),
      {
        reference: (x, w, b) => normalized(x, ([n, c]) => `${n},${Math.floor(c! / (shape[1] / 2))}`, w, b),
      },
    ),
  ]),
  sample(
    'groupNorm',
    'without parameters',
    tensors([2, 4, 3]),
    (x) => hadal.groupNorm(x!, 4, undefined, undefined, { epsilon }),
    {
      reference: (x) => normalized(x, ([n, c]) => `${n},${c}`),
    },
  ),
  sample(
    'instanceNorm',
    'images',
    tensors([2, 3, 2, 2], [3], [3]),
    (x, w, b) => hadal.instanceNorm(x!, undefined, undefined, w!, b!, { epsilon }),
    {
      reference: (x, w, b) => normalized(x, ([n, c]) => `${n},${c}`, w, b),
    },
  ),
  sample(
    'instanceNorm',
    'running statistics',
    tensors([2, 3, 2]),
    (x) =>
      hadal.instanceNorm(
        x!,
        hadal.tensor([0.5, 1, 2], { dtype: x!.dtype }),
        hadal.tensor([1, 2, 3], { dtype: x!.dtype }),
        undefined,
        undefined,
        { epsilon, useInputStatistics: false },
      ),
    {
      reference: (x) =>
        generated([2, 3, 2], (position) => {
          const c = position[1]!;
          return (x.values[ravel(position, x.shape)]! - [0.5, 1, 2][c]!) / Math.sqrt(c + 1 + epsilon);
        }),
    },
  ),
  ...(
    [
      [[3, 4], [4], true],
      [[2, 3, 2], [3, 2], true],
      [[4], [4], false],
      [[0, 3], [3], true],
    ] as const
  ).map(([shape, end, affine]) =>
    sample(
      'rmsNorm',
      `[${shape.join(', ')}]`,
      tensors(shape, ...(affine ? [end] : [])),
      (x, weight) => hadal.rmsNorm(x! as hadal.Tensor<hadal.Shape, DType>, end as Shape, weight, { epsilon }),
      {
        reference: (x, weight) => {
          const size = count(end);
          return {
            shape,
            values: x.values.map((v, i) => {
              const row = x.values.slice(i - (i % size), i - (i % size) + size);
              return (v / Math.sqrt(mean(row.map((u) => u * u)) + epsilon)) * (weight?.values[i % size] ?? 1);
            }),
          };
        },
      },
    ),
  ),
  ...[2, 3].map((size) =>
    sample(
      'localResponseNorm',
      `${size} channels`,
      tensors([2, 5, 2]),
      (x) => hadal.localResponseNorm(x!, size, { alpha: 0.5, beta: 0.7, k: 2 }),
      {
        reference: (x) =>
          generated(x.shape, ([n, c, i]) => {
            let sum = 0;
            for (let k = c! - Math.floor(size / 2); k < c! - Math.floor(size / 2) + size; k++) {
              if (k >= 0 && k < 5) sum += x.values[ravel([n!, k, i!], x.shape)]! ** 2;
            }
            return x.values[ravel([n!, c!, i!], x.shape)]! / (2 + (0.5 * sum) / size) ** 0.7;
          }),
      },
    ),
  ),
];

// ------------------------------------------------------------------------------------------------------------- positions

const rotated = (x: Plain, pairs: (i: number) => [number, number], at: (row: number) => number): Plain => {
  const size = x.shape.at(-1)!;
  const values = [...x.values];
  for (let row = 0; row < values.length / size; row++) {
    for (let i = 0; i < size / 2; i++) {
      const [a, b] = pairs(i).map((k) => row * size + k) as [number, number];
      const angle = at(row) * 10_000 ** ((-2 * i) / size);
      values[a] = x.values[a]! * Math.cos(angle) - x.values[b]! * Math.sin(angle);
      values[b] = x.values[b]! * Math.cos(angle) + x.values[a]! * Math.sin(angle);
    }
  }
  return { shape: x.shape, values };
};
const rotary: Sample[] = [
  sample('rotaryEmbedding', 'halves', tensors([2, 3, 4]), (x) => hadal.rotaryEmbedding(x!), {
    reference: (x) =>
      rotated(
        x,
        (i) => [i, i + 2],
        (row) => row % 3,
      ),
  }),
  sample(
    'rotaryEmbedding',
    'neighbours, offset',
    tensors([2, 3, 4]),
    (x) => hadal.rotaryEmbedding(x!, { interleaved: true, offset: 5 }),
    {
      reference: (x) =>
        rotated(
          x,
          (i) => [2 * i, 2 * i + 1],
          (row) => 5 + (row % 3),
        ),
    },
  ),
  sample(
    'rotaryEmbedding',
    'positions',
    tensors([2, 2, 6]),
    (x) => hadal.rotaryEmbedding(x!, { positions: int([0, 7, 3, 2], [2, 2]) }),
    {
      reference: (x) =>
        rotated(
          x,
          (i) => [i, i + 3],
          (row) => [0, 7, 3, 2][row]!,
        ),
    },
  ),
  // All pairs turn so often in so long a context that none is slowed down.
  sample(
    'rotaryEmbedding',
    'multiplied by the factor of YaRN',
    tensors([2, 3, 4]),
    (x) => hadal.rotaryEmbedding(x!, { scaling: { kind: 'yarn', factor: 4, originalContext: 1e6 } }),
    {
      reference: (x) => {
        const { shape, values } = rotated(
          x,
          (i) => [i, i + 2],
          (row) => row % 3,
        );
        return { shape, values: values.map((value) => value * (0.1 * Math.log(4) + 1)) };
      },
    },
  ),
  sample('rotaryEmbedding', 'no rows', tensors([0, 2]), (x) => hadal.rotaryEmbedding(x!)),
];

// --------------------------------------------------------------------------------------------------- segments and bags

const index = [2, 0, 2, 2, 0];
type Join = (values: readonly number[]) => number;
const sum: Join = (values) => values.reduce((a, b) => a + b, 0);
const joins = { segmentSum: sum, segmentMean: mean, segmentMax: (values) => Math.max(...values) } satisfies Record<
  string,
  Join
>;
const segmented = (x: Plain, at: readonly number[], segments: number, join: Join): Plain =>
  generated([segments, ...x.shape.slice(1)], ([s, ...rest]) => {
    const own = at.flatMap((place, i) => (place === s ? [x.values[ravel([i, ...rest], x.shape)]!] : []));
    return own.length === 0 ? 0 : join(own);
  });
const segments: Sample[] = (Object.keys(joins) as (keyof typeof joins)[]).flatMap((op) => [
  sample(
    op,
    'rows',
    (draw, dtype) => [draw.distinct([5, 2], dtype)],
    (x) => hadal[op](x!, int(index), 4),
    {
      reference: (x) => segmented(x, index, 4, joins[op]),
    },
  ),
  sample(
    op,
    'numbers, int32',
    (draw, dtype) => [draw.distinct([5], dtype)],
    (x) => hadal[op](x!, int(index, [5], 'int32'), 3),
    {
      reference: (x) => segmented(x, index, 3, joins[op]),
    },
  ),
  sample(op, 'nothing', tensors([0, 2]), (x) => hadal[op](x!, int([]), 2), {
    reference: () => generated([2, 2], () => 0),
  }),
]);
const softmaxes = sample('segmentSoftmax', 'rows', tensors([5, 2]), (x) => hadal.segmentSoftmax(x!, int(index), 3), {
  reference: (x) =>
    generated([5, 2], ([i, j]) => {
      const powers = index.map((_, k) => Math.exp(x.values[2 * k + j!]!));
      return powers[i!]! / sum(powers.filter((_, k) => index[k] === index[i!]));
    }),
});

const bags = [1, 3, 0, 3, 2, 2];
const offsets = [0, 2, 2, 5];
const bagOf = (i: number): number => [0, 0, 2, 2, 2, 3][i]!;
type Mode = 'sum' | 'mean' | 'max';
const bagged: Sample[] = (['sum', 'mean', 'max'] as Mode[]).flatMap((mode) => {
  const join = { sum, mean, max: joins.segmentMax }[mode];
  const rows = (w: Plain, at: readonly number[]): Plain =>
    generated([at.length, 2], ([i, j]) => w.values[2 * at[i!]! + j!]!);
  return [
    sample(
      'embeddingBag',
      `${mode} of rows`,
      (draw, dtype) => [draw.distinct([4, 2], dtype)],
      (w) => hadal.embeddingBag(w!, int(bags, [2, 3]), { mode }),
      {
        reference: (w) => segmented(rows(w, bags), [0, 0, 0, 1, 1, 1], 2, join),
      },
    ),
    sample(
      'embeddingBag',
      `${mode} by offsets`,
      (draw, dtype) => [draw.distinct([4, 2], dtype)],
      (w) => hadal.embeddingBag(w!, int(bags), { mode, offsets: int(offsets) }),
      {
        reference: (w) =>
          segmented(
            rows(w, bags),
            bags.map((_, i) => bagOf(i)),
            4,
            join,
          ),
      },
    ),
    sample(
      'embeddingBag',
      `${mode} without the padding`,
      (draw, dtype) => [draw.distinct([4, 2], dtype)],
      (w) =>
        // The padding row gets no gradient, though differences would find one if a bag held it.
        hadal.embeddingBag(w!, int(bags), { mode, offsets: int(offsets), paddingIndex: 3 }),
      {
        reference: (w) =>
          segmented(
            rows(w, bags),
            bags.map((row, i) => (row === 3 ? -1 : bagOf(i))),
            4,
            join,
          ),
      },
    ),
  ];
});
const weighted = sample(
  'embeddingBag',
  'weights',
  tensors([4, 2], [6]),
  (w, factors) => hadal.embeddingBag(w!, int(bags), { mode: 'sum', offsets: int(offsets), perSampleWeights: factors! }),
  {
    reference: (w, factors) =>
      segmented(
        generated([6, 2], ([i, j]) => w.values[2 * bags[i!]! + j!]! * factors.values[i!]!),
        bags.map((_, i) => bagOf(i)),
        4,
        sum,
      ),
  },
);

// ------------------------------------------------------------------------------------------------------------- products

const entries = { rows: [2, 0, 2, 0, 2], columns: [1, 3, 0, 0, 1] };
const sparse: Sample[] = [
  sample(
    'spmm',
    'a repeated place and an empty row',
    tensors([5], [4, 2]),
    (values, dense) => hadal.spmm(hadal.csrFromCoo(int(entries.rows), int(entries.columns), values, [3, 4]), dense!),
    {
      reference: (values, dense) =>
        generated([3, 2], ([i, j]) =>
          sum(
            entries.rows.map((row, k) =>
              row === i ? values.values[k]! * dense.values[2 * entries.columns[k]! + j!]! : 0,
            ),
          ),
        ),
    },
  ),
  sample(
    'spmm',
    'no entries',
    tensors([0], [2, 3]),
    (values, dense) => hadal.spmm(hadal.csrFromCoo(int([]), int([]), values, [2, 2]), dense!),
    {
      reference: () => generated([2, 3], () => 0),
    },
  ),
  sample(
    'csrFromCoo',
    'values in the order of rows',
    tensors([5]),
    (values) => hadal.csrFromCoo(int(entries.rows), int(entries.columns), values, [3, 4]).values,
    {
      reference: (values) => ({ shape: [5], values: [1, 3, 0, 2, 4].map((k) => values.values[k]!) }),
    },
  ),
  sample(
    'csrFromCoo',
    'pointers, rows and columns',
    () => [int(entries.rows), int(entries.columns)],
    (rows, columns) => {
      const matrix = hadal.csrFromCoo(rows!, columns!, undefined, [3, 4]);
      return [matrix.rowPointers, matrix.rows, matrix.columns];
    },
    {
      dtypes: ['int64'],
      order: 0,
      reference: () =>
        [
          [0, 2, 2, 5],
          [0, 0, 2, 2, 2],
          [3, 0, 1, 0, 1],
        ].map((values) => ({ shape: [values.length], values })),
    },
  ),
  sample(
    'bilinear',
    'a batch',
    tensors([2, 3, 2], [2, 3, 3], [4, 2, 3], [4]),
    (a, b, w, bias) => hadal.bilinear(a!, b!, w!, bias),
    {
      reference: (a, b, w, bias) =>
        generated([2, 3, 4], ([n, m, o]) => {
          const row = 3 * n! + m!;
          let total = bias.values[o!]!;
          for (let i = 0; i < 2; i++)
            for (let j = 0; j < 3; j++)
              total += a.values[2 * row + i]! * w.values[6 * o! + 3 * i + j]! * b.values[3 * row + j]!;
          return total;
        }),
    },
  ),
];

/** Attention where the first of two queries sees no key: zeros, and no gradient passes. */
const blind = (variant: string, mask: () => AnyTensor): Sample =>
  sample(
    'scaledDotProductAttention',
    variant,
    tensors([1, 1, 2, 2], [1, 1, 2, 2], [1, 1, 2, 2]),
    (q, k, v) => hadal.scaledDotProductAttention(q!, k!, v! as never, { mask: mask() }),
    {
      reference: (q, k, v) => {
        const scores = [0, 1].map(
          (j) => (q.values[2]! * k.values[2 * j]! + q.values[3]! * k.values[2 * j + 1]!) / Math.SQRT2,
        );
        const powers = scores.map(Math.exp);
        const seen = [0, 1].map((c) => (powers[0]! * v.values[c]! + powers[1]! * v.values[2 + c]!) / sum(powers));
        return { shape: [1, 1, 2, 2], values: [0, 0, ...seen] };
      },
    },
  );
const hidden: Sample[] = [
  blind('a bool mask that hides every key', () =>
    hadal.tensor([
      [false, false],
      [true, true],
    ]),
  ),
  blind('an added mask that hides every key', () =>
    hadal.tensor([
      [-Infinity, -Infinity],
      [0, 0],
    ]),
  ),
];

// ------------------------------------------------------------------------------------------------------- random choices

/** A call that draws the same numbers every time. */
const seeded =
  (call: (x: AnyTensor) => AnyTensor): Sample['call'] =>
  (x) => {
    const state = hadal.getRandomState();
    hadal.manualSeed(7);
    try {
      return call(x!);
    } finally {
      hadal.setRandomState(state);
    }
  };
const choices: Sample[] = [
  sample(
    'gumbelSoftmax',
    'soft',
    tensors([3, 4]),
    seeded((x) => hadal.gumbelSoftmax(x, { temperature: 0.7 })),
    { tolerance: { ...rounded, float16: { rtol: 1e-2, atol: 1e-2 } } },
  ),
  sample(
    'gumbelSoftmax',
    'first axis',
    tensors([3, 2]),
    seeded((x) => hadal.gumbelSoftmax(x, { axis: 0 })),
  ),
];

export const samples: Sample[] = [
  ...norms,
  ...rotary,
  ...segments,
  softmaxes,
  ...bagged,
  weighted,
  ...sparse,
  ...hidden,
  ...choices,
];
