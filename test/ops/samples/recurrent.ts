// Samples of recurrent layers and their cells. The reference is the cell's formula, step by step; test/nn compares with PyTorch.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import type { Plain, Sample, Tolerance } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];

// Every step rounds the state once more, and gates compute from sums of rounded products.
const stepped: Partial<Record<DType, Tolerance>> = {
  float16: { rtol: 5e-3, atol: 5e-3 },
  bfloat16: { rtol: 4e-2, atol: 4e-2 },
};

type Kind = 'tanh' | 'relu' | 'gru' | 'lstm';
const gatesOf: Record<Kind, number> = { tanh: 1, relu: 1, gru: 3, lstm: 4 };
const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));

/** W x + b for one vector. */
const affine = (weight: Plain, x: readonly number[], bias: Plain | undefined): number[] =>
  Array.from({ length: weight.shape[0]! }, (_, i) =>
    x.reduce((sum, v, j) => sum + weight.values[i * x.length + j]! * v, bias?.values[i] ?? 0),
  );

interface Weights {
  weightIh: Plain;
  weightHh: Plain;
  biasIh?: Plain | undefined;
  biasHh?: Plain | undefined;
  weightHr?: Plain | undefined;
}

/** One step for one sequence: the next state and cell. */
function step(kind: Kind, w: Weights, x: number[], h: number[], c: number[]): { h: number[]; c: number[] } {
  const a = affine(w.weightIh, x, w.biasIh);
  const b = affine(w.weightHh, h, w.biasHh);
  const units = a.length / gatesOf[kind];
  const each = (f: (u: number, gate: (g: number) => number) => number): number[] =>
    Array.from({ length: units }, (_, u) => f(u, (g) => a[g * units + u]! + b[g * units + u]!));
  if (kind === 'tanh') return { h: each((_, gate) => Math.tanh(gate(0))), c };
  if (kind === 'relu') return { h: each((_, gate) => Math.max(gate(0), 0)), c };
  if (kind === 'gru') {
    const next = each((u, gate) => {
      const n = Math.tanh(a[2 * units + u]! + sigmoid(gate(0)) * b[2 * units + u]!);
      const z = sigmoid(gate(1));
      return (1 - z) * n + z * h[u]!;
    });
    return { h: next, c };
  }
  const cell = each((u, gate) => sigmoid(gate(1)) * c[u]! + sigmoid(gate(0)) * Math.tanh(gate(2)));
  const out = each((u, gate) => sigmoid(gate(3)) * Math.tanh(cell[u]!));
  return { h: w.weightHr === undefined ? out : affine(w.weightHr, out, undefined), c: cell };
}

/** All layers: output, hidden and cell. x is [t, b, in]. */
function reference(
  kind: Kind,
  x: Plain,
  layers: Weights[],
  directions: number,
  h0: Plain | undefined,
  c0: Plain | undefined,
  lengths: readonly number[] | undefined,
): [Plain, Plain, Plain] {
  const [t, b] = x.shape as [number, number];
  const units = layers[0]!.weightIh.shape[0]! / gatesOf[kind];
  const size = layers[0]!.weightHr?.shape[0] ?? units;
  let inputs = Array.from({ length: t }, (_, i) =>
    Array.from({ length: b }, (_, r) => x.values.slice((i * b + r) * x.shape[2]!, (i * b + r + 1) * x.shape[2]!)),
  );
  const hidden: number[] = [];
  const cell: number[] = [];
  for (let layer = 0; layer * directions < layers.length; layer++) {
    const outputs = inputs.map((row) => row.map((): number[] => []));
    for (let side = 0; side < directions; side++) {
      const at = layer * directions + side;
      for (let r = 0; r < b; r++) {
        const startOf = (s: Plain | undefined, n: number): number[] =>
          Array.from({ length: n }, (_, u) => s?.values[(at * b + r) * n + u] ?? 0);
        let state = { h: startOf(h0, size), c: startOf(c0, units) };
        for (let i = 0; i < t; i++) {
          const time = side === 0 ? i : t - 1 - i;
          if (time >= (lengths?.[r] ?? t)) {
            outputs[time]![r]!.push(...new Array<number>(size).fill(0));
            continue;
          }
          state = step(kind, layers[at]!, inputs[time]![r]!, state.h, state.c);
          outputs[time]![r]!.push(...state.h);
        }
        hidden.push(...state.h);
        cell.push(...state.c);
      }
    }
    inputs = outputs;
  }
  return [
    { shape: [t, b, directions * size], values: inputs.flat(2) },
    { shape: [layers.length, b, size], values: hidden },
    { shape: [layers.length, b, units], values: cell },
  ];
}

interface Case {
  readonly kind: Kind;
  readonly t?: number;
  readonly b?: number;
  readonly input?: number;
  readonly units?: number;
  readonly layers?: number;
  readonly bidirectional?: boolean;
  readonly bias?: boolean;
  readonly initial?: boolean;
  readonly lengths?: readonly number[];
  readonly projection?: number;
  readonly order?: 0 | 2;
}
const cases: Record<string, Case> = {};
for (const kind of ['tanh', 'relu', 'gru', 'lstm'] as const) {
  cases[`${kind}: one layer`] = { kind };
  cases[`${kind}: an initial state, without biases`] = { kind, t: 2, initial: true, bias: false };
  cases[`${kind}: two layers, both directions, lengths`] = {
    kind,
    t: 3,
    b: 3,
    units: 2,
    layers: 2,
    bidirectional: true,
    initial: true,
    lengths: [2, 3, 0],
  };
  cases[`${kind}: no steps`] = { kind, t: 0, initial: true };
  cases[`${kind}: wider than a block, more rows than a tile`] = {
    kind,
    t: 3,
    b: 17,
    units: 37,
    lengths: [1, 2, 3, 3, 0, 2, 3, 3, 3, 1, 2, 3, 3, 3, 2, 1, 3],
    order: 0,
  };
}
cases['lstm: projections'] = {
  kind: 'lstm',
  t: 2,
  units: 3,
  projection: 2,
  initial: true,
  bidirectional: true,
  lengths: [1, 2],
};
cases['gru: no sequences'] = { kind: 'gru', b: 0 };

const opOf: Record<Kind, string> = { tanh: 'rnn', relu: 'rnn', gru: 'gru', lstm: 'lstm' };

const sequences = Object.entries(cases).map(([variant, spec]): Sample => {
  const {
    kind,
    t = 3,
    b = 2,
    input = 2,
    units = 3,
    layers = 1,
    bidirectional = false,
    bias = true,
    initial = false,
  } = spec;
  const directions = bidirectional ? 2 : 1;
  const count = layers * directions;
  const size = spec.projection ?? units;
  const parts = 2 + (bias ? 2 : 0) + (spec.projection === undefined ? 0 : 1);
  const split = <X>(all: readonly X[]): { x: X; sets: Record<string, X>[]; h0: X | undefined; c0: X | undefined } => {
    const sets = Array.from({ length: count }, (_, i) => {
      const own = all.slice(1 + i * parts, 1 + (i + 1) * parts);
      const names = [
        'weightIh',
        'weightHh',
        ...(bias ? ['biasIh', 'biasHh'] : []),
        ...(spec.projection ? ['weightHr'] : []),
      ];
      return Object.fromEntries(names.map((name, j) => [name, own[j]!]));
    });
    const rest = all.slice(1 + count * parts);
    return { x: all[0]!, sets, h0: rest[0], c0: rest[1] };
  };
  return {
    op: opOf[kind],
    variant,
    dtypes: floats,
    inputs: (draw, dtype) => {
      const weight = (shape: Shape): AnyTensor => draw.tensor(shape, dtype, -0.8, 0.8);
      const all = [draw.tensor([t, b, input], dtype)];
      for (let i = 0; i < count; i++) {
        const rows = gatesOf[kind] * units;
        all.push(weight([rows, i < directions ? input : directions * size]), weight([rows, size]));
        if (bias) all.push(weight([rows]), weight([rows]));
        if (spec.projection) all.push(weight([spec.projection, units]));
      }
      if (initial) all.push(draw.tensor([count, b, size], dtype, -1, 1));
      if (initial && kind === 'lstm') all.push(draw.tensor([count, b, units], dtype, -1, 1));
      return all;
    },
    call: (...all) => {
      const { x, sets, h0, c0 } = split(all);
      const lengths = spec.lengths && hadal.tensor([...spec.lengths], { dtype: 'int64' });
      const options = {
        bidirectional,
        ...(lengths && { lengths }),
        ...(h0 && { hidden: h0 }),
        ...(c0 && { cell: c0 }),
      };
      const own = sets as unknown as hadal.RecurrentWeights[];
      if (kind === 'lstm') {
        const { output, hidden, cell } = hadal.lstm(x, own, options);
        return [output, hidden, cell];
      }
      const { output, hidden } =
        kind === 'gru' ? hadal.gru(x, own, options) : hadal.rnn(x, own, { ...options, nonlinearity: kind });
      return [output, hidden];
    },
    reference: (...all) => {
      const { x, sets, h0, c0 } = split(all);
      const [output, hidden, cell] = reference(kind, x, sets as unknown as Weights[], directions, h0, c0, spec.lengths);
      return kind === 'lstm' ? [output, hidden, cell] : [output, hidden];
    },
    order: spec.order ?? 2,
    tolerance: stepped,
  };
});

const single = (['tanh', 'relu', 'gru', 'lstm'] as const).flatMap((kind): Sample[] =>
  ([true, false] as const).map((batch) => ({
    op: `${opOf[kind]}Cell`,
    variant: `${kind}, ${batch ? 'a batch' : 'one row'}`,
    dtypes: floats,
    inputs: (draw, dtype) => {
      const rows = gatesOf[kind] * 3;
      const front = batch ? [2] : [];
      const states = [
        draw.tensor([...front, 3], dtype),
        ...(kind === 'lstm' ? [draw.tensor([...front, 3], dtype)] : []),
      ];
      const shapes: Shape[] = [[rows, 2], [rows, 3], [rows], [rows]];
      return [
        draw.tensor([...front, 2], dtype),
        ...shapes.map((shape) => draw.tensor(shape, dtype, -0.8, 0.8)),
        ...states,
      ];
    },
    call: (x, weightIh, weightHh, biasIh, biasHh, h, c) => {
      const weights = { weightIh: weightIh!, weightHh: weightHh!, biasIh, biasHh };
      if (kind === 'lstm') return hadal.lstmCell(x!, h!, c!, weights);
      return kind === 'gru' ? hadal.gruCell(x!, h!, weights) : hadal.rnnCell(x!, h!, weights, { nonlinearity: kind });
    },
    reference: (x, weightIh, weightHh, biasIh, biasHh, h, c) => {
      const weights = { weightIh: weightIh!, weightHh: weightHh!, biasIh, biasHh };
      const count = batch ? 2 : 1;
      const rows = Array.from({ length: count }, (_, r) =>
        step(
          kind,
          weights,
          x!.values.slice(2 * r, 2 * r + 2),
          h!.values.slice(3 * r, 3 * r + 3),
          c?.values.slice(3 * r, 3 * r + 3) ?? [],
        ),
      );
      const next = { shape: h!.shape, values: rows.flatMap((row) => row.h) };
      return kind === 'lstm' ? [next, { shape: h!.shape, values: rows.flatMap((row) => row.c) }] : next;
    },
    order: 2,
    tolerance: stepped,
  })),
);

export const samples: Sample[] = [...sequences, ...single];
