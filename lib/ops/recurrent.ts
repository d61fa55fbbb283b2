/**
 * Recurrent networks over whole sequences: stacks of layers in one direction or both, of rnn, gru and lstm cells. The inputs' part of all
 * gates is one matrix product; the steps are one native op, and its gradient another. The cells by themselves are composed.
 */
import { ArgumentError, DTypeError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { recording, type Gradients } from '../tensor/node';
import type { Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { lowerPrecision, operand } from './autocast';
import { arange, zeros } from './creation';
import { checkDType, checkOptions, checkTensor, defineOp, floats, runMany } from './define';
import { describe } from '../tensor/describe';
import { checkIndex } from './indexing';
import { linear } from './matmul';
import { cat, stack } from './movement';
import { where } from './pointwise-compare';
import { dropout } from './random';

/** The weights of one layer in one direction, under PyTorch's names. `h` units; gates one above the other (gru: reset, update, new; lstm: input, forget, cell, output). */
export interface RecurrentWeights {
  /** [gates · h, in] */
  readonly weightIh: AnyTensor;
  /** [gates · h, h], or [gates · h, p] with projections. */
  readonly weightHh: AnyTensor;
  /** [gates · h] */
  readonly biasIh?: AnyTensor | undefined;
  /** [gates · h] */
  readonly biasHh?: AnyTensor | undefined;
  /** lstm only, [p, h]: the state is the projection of the output to p features. */
  readonly weightHr?: AnyTensor | undefined;
}

export interface RecurrentOptions {
  /** Layers run in both directions, and `layers` holds forward and backward weights in turn; false unless given. */
  readonly bidirectional?: boolean;
  /** x and the output are [b, t, …] instead of [t, b, …]; false unless given. */
  readonly batchFirst?: boolean;
  /** The steps of each sequence, [b], int32 or int64: later ones give zeros and leave the state alone, and the backward direction starts at them. */
  readonly lengths?: AnyTensor | undefined;
  /** The first state of each layer and direction, [layers · directions, b, h]; zeros unless given. */
  readonly hidden?: AnyTensor | undefined;
  /** Of the outputs of each layer but the last; 0 unless given. */
  readonly dropout?: number;
  /** Whether dropout is applied; true unless given. */
  readonly training?: boolean;
}

export interface RnnOptions extends RecurrentOptions {
  /** `'tanh'` unless given. */
  readonly nonlinearity?: 'tanh' | 'relu';
}

export interface LstmOptions extends RecurrentOptions {
  /** The first cell of each layer and direction, [layers · directions, b, h]; zeros unless given. */
  readonly cell?: AnyTensor | undefined;
}

export interface RecurrentResult {
  /** The states of the last layer at every step, [t, b, directions · h]. */
  readonly output: AnyTensor;
  /** The last state of each layer and direction, [layers · directions, b, h]. */
  readonly hidden: AnyTensor;
}

export interface LstmResult extends RecurrentResult {
  /** The last cell of each layer and direction, [layers · directions, b, h]. */
  readonly cell: AnyTensor;
}

/** What tells the kinds of cells apart. */
interface Cell {
  /** Its code in the kernels. */
  readonly code: number;
  readonly gates: number;
  /** Values per unit and step that the kernel saves. */
  readonly saved: number;
}
const cells = {
  tanh: { code: 0, gates: 1, saved: 1 },
  relu: { code: 1, gates: 1, saved: 1 },
  gru: { code: 2, gates: 3, saved: 4 },
  lstm: { code: 3, gates: 4, saved: 4 },
} as const satisfies Record<string, Cell>;
type CellName = keyof typeof cells;

interface RecurrentContext {
  readonly kind: CellName;
  readonly reverse: boolean;
  readonly lengths: AnyTensor | undefined;
}

const recurrentOp = defineOp<RecurrentContext>('recurrent', {
  dtypes: floats,
  saves: { inputs: true, outputs: true },
  differentiableOutputs: 3,
  gradient: (gy, node, [ghn, gcn]) => {
    const [weight, bias, h0] = [node.input(1), node.operand(2) as AnyTensor | undefined, node.input(3)];
    const { kind, reverse, lengths } = node.context;
    if (recording.enabled) {
      const c0 = node.operand(4) as AnyTensor | undefined;
      return composedGradients([gy, ghn, gcn], node.input(0), weight, bias, h0, c0, node.context);
    }
    const { code, gates } = cells[kind];
    const [t, b, h] = gy.shape as [number, number, number];
    const y = node.output(0);
    const sums = { shape: [t, b, gates * h], dtype: gy.dtype };
    const state = { shape: [b, h], dtype: gy.dtype };
    const none = { shape: [0], dtype: gy.dtype };
    const [gx, gh, gh0, gc0] = runMany(
      recurrentBackwardOp,
      [dense(gy), ghn, gcn, weight, h0, node.operand(4), lengths, y, node.output(3), node.output(4)],
      [sums, kind === 'gru' ? sums : none, state, kind === 'lstm' ? state : none],
      [code, Number(reverse)],
    ) as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
    const byState = kind === 'gru' ? gh : gx;
    return [
      gx,
      node.needs(1)
        ? byState
            .reshape([t * b, gates * h])
            .transpose()
            .matmul(statesBefore(y, h0, node.context).reshape([t * b, h]))
        : undefined,
      bias !== undefined && node.needs(2) ? byState.sum([0, 1]) : undefined,
      gh0,
      kind === 'lstm' ? gc0 : undefined,
    ];
  },
});
const recurrentBackwardOp = defineOp('recurrentBackward', { dtypes: floats });

/** x with its last axis adjacent in memory, as the kernels want it. */
const dense = (x: AnyTensor): AnyTensor => (x.strides[x.rank - 1] === 1 ? x : x.contiguous());

/** The state that each step began with: y moved on by one step, and h0 where a sequence begins. */
function statesBefore(y: AnyTensor, h0: AnyTensor, { reverse, lengths }: RecurrentContext): AnyTensor {
  const steps = y.shape[0]!;
  if (steps === 0) return y;
  const first = h0.unsqueeze(0);
  if (!reverse) return cat([first, y.narrow(0, 0, steps - 1)], 0);
  const moved = cat([y.narrow(0, 1, steps - 1), first], 0);
  if (lengths === undefined) return moved;
  return where(activeAt(steps, lengths, 1), moved, first);
}

/** Whether step i + `ahead` is inside each sequence: [steps, b, 1]. */
function activeAt(steps: number, lengths: AnyTensor, ahead = 0): Tensor<Shape, 'bool'> {
  const at: AnyTensor = arange(steps, { dtype: 'int64', device: lengths.device }).reshape([steps, 1]);
  return at.add(ahead).less(lengths).unsqueeze(-1) as Tensor<Shape, 'bool'>;
}

/** One step of a cell, over ops: from the sums by the input and by the state, the next state and cell, and the gates. */
function advance(
  kind: CellName,
  byInput: AnyTensor,
  byState: AnyTensor,
  h: AnyTensor,
  c: AnyTensor | undefined,
): { h: AnyTensor; c: AnyTensor | undefined; gates: readonly AnyTensor[] } {
  if (kind === 'gru') {
    const [xr, xz, xn] = byInput.chunk(3, -1) as [AnyTensor, AnyTensor, AnyTensor];
    const [hr, hz, hn] = byState.chunk(3, -1) as [AnyTensor, AnyTensor, AnyTensor];
    const [reset, update] = [xr.add(hr).sigmoid(), xz.add(hz).sigmoid()];
    const fresh = xn.add(reset.mul(hn)).tanh();
    return { h: fresh.add(update.mul(h.sub(fresh))), c, gates: [reset, update, fresh, hn] };
  }
  const sums = byInput.add(byState);
  if (kind !== 'lstm') return { h: kind === 'tanh' ? sums.tanh() : sums.relu(), c, gates: [] };
  const [i, f, g, o] = sums.chunk(4, -1) as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
  const gates = [i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()] as const;
  const next = gates[1].mul(c!).add(gates[0].mul(gates[2]));
  return { h: gates[3].mul(next.tanh()), c: next, gates };
}

/** The gradients over ops: the steps are done again and walked backwards. In place of the kernel when the backward pass is itself recorded. */
function composedGradients(
  [gy, ghn, gcn]: readonly [AnyTensor, AnyTensor | undefined, AnyTensor | undefined],
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | undefined,
  h0: AnyTensor,
  c0: AnyTensor | undefined,
  { kind, reverse, lengths }: RecurrentContext,
): Gradients {
  const steps = x.shape[0]!;
  const active = lengths === undefined ? undefined : activeAt(steps, lengths);
  const order = Array.from({ length: steps }, (_, step) => (reverse ? steps - 1 - step : step));
  const past: { h: AnyTensor; c: AnyTensor | undefined; next: ReturnType<typeof advance> }[] = [];
  let [h, c] = [h0, c0];
  for (const t of order) {
    const next = advance(kind, x.select(0, t), linear(h, weight, bias), h, c);
    past.push({ h, c, next });
    const goes = active?.select(0, t) as Tensor<Shape, 'bool'> | undefined;
    h = goes === undefined ? next.h : where(goes, next.h, h);
    if (c !== undefined) c = goes === undefined ? next.c! : where(goes, next.c!, c);
  }
  let flow: AnyTensor = ghn ?? h0.mul(0);
  let cellFlow: AnyTensor | undefined = c0 === undefined ? undefined : (gcn ?? c0.mul(0));
  const byInput = new Array<AnyTensor>(steps);
  let byWeight: AnyTensor = weight.mul(0);
  let byBias = bias?.mul(0) as AnyTensor | undefined;
  for (const t of order.reverse()) {
    const { h: before, c: cellBefore, next } = past.pop()!;
    const only = (g: AnyTensor): AnyTensor => (active === undefined ? g : g.mul(active.select(0, t).cast(g.dtype)));
    const rest = (g: AnyTensor): AnyTensor => (active === undefined ? g.mul(0) : g.sub(only(g)));
    const dh = only(flow.add(gy.select(0, t)));
    let direct: AnyTensor = rest(flow);
    let dx: AnyTensor;
    let ds: AnyTensor;
    if (kind === 'gru') {
      const [reset, update, fresh, part] = next.gates as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
      const dn = dh.mul(update.neg().add(1)).mul(fresh.square().neg().add(1));
      const dr = dn.mul(part).mul(slope(reset));
      const dz = dh.mul(before.sub(fresh)).mul(slope(update));
      [dx, ds] = [cat([dr, dz, dn], -1), cat([dr, dz, dn.mul(reset)], -1)];
      direct = direct.add(dh.mul(update));
    } else if (kind === 'lstm') {
      const [i, f, g, o] = next.gates as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
      const squashed = next.c!.tanh();
      const dc = only(cellFlow!).add(dh.mul(o).mul(squashed.square().neg().add(1)));
      const di = dc.mul(g).mul(slope(i));
      const df = dc.mul(cellBefore!).mul(slope(f));
      const dg = dc.mul(i).mul(g.square().neg().add(1));
      dx = ds = cat([di, df, dg, dh.mul(squashed).mul(slope(o))], -1);
      cellFlow = rest(cellFlow!).add(dc.mul(f));
    } else {
      dx = ds = dh.mul(kind === 'tanh' ? next.h.square().neg().add(1) : next.h.greater(0).cast(dh.dtype));
    }
    byInput[t] = dx;
    byWeight = byWeight.add(ds.transpose().matmul(before));
    byBias = byBias?.add(ds.sum(0));
    flow = direct.add(ds.matmul(weight));
  }
  return [steps === 0 ? x.mul(0) : stack(byInput, 0), byWeight, byBias, flow, cellFlow];
}

/** The derivative of a sigmoid by its value. */
const slope = (y: AnyTensor): AnyTensor => y.mul(y.neg().add(1));

/** One layer in one direction: x [t, b, in] to y [t, b, h] with the last state and cell. */
function direction(
  kind: CellName,
  x: AnyTensor,
  weights: RecurrentWeights,
  h0: AnyTensor,
  c0: AnyTensor | undefined,
  reverse: boolean,
  lengths: AnyTensor | undefined,
): { y: AnyTensor; hn: AnyTensor; cn: AnyTensor } {
  const { weightIh, weightHh, biasIh, biasHh, weightHr } = weights;
  // The state's bias acts apart from the input's in a gru only.
  const apart = kind === 'gru' || biasIh === undefined;
  const sums: AnyTensor = linear(x, weightIh, apart || biasHh === undefined ? biasIh : biasIh.add(biasHh));
  const bias = apart ? biasHh : undefined;
  const steps = x.shape[0]!;
  if (weightHr !== undefined) return projected(sums, weightHh, weightHr, bias, h0, c0!, reverse, lengths);
  const { code, saved } = cells[kind];
  const [b, h] = h0.shape as [number, number];
  const cellShape = kind === 'lstm' ? [b, h] : [0];
  const kept = x.dtype === 'float64' ? ('float64' as const) : ('float32' as const);
  const [y, hn, cn] = runMany(
    recurrentOp,
    [dense(sums), weightHh, bias, h0, c0, lengths],
    [
      { shape: [steps, b, h], dtype: x.dtype },
      { shape: [b, h], dtype: x.dtype },
      { shape: cellShape, dtype: x.dtype },
      { shape: [steps, b, saved * h], dtype: kept },
      { shape: kind === 'lstm' ? [steps, b, h] : [0], dtype: kept },
    ],
    [code, Number(reverse)],
    { kind, reverse, lengths },
  ) as [AnyTensor, AnyTensor, AnyTensor];
  return { y, hn, cn };
}

/** An lstm whose state is a projection of its output, step by step. Sak et al., 2014. */
function projected(
  sums: AnyTensor,
  weightHh: AnyTensor,
  weightHr: AnyTensor,
  bias: AnyTensor | undefined,
  h0: AnyTensor,
  c0: AnyTensor,
  reverse: boolean,
  lengths: AnyTensor | undefined,
): { y: AnyTensor; hn: AnyTensor; cn: AnyTensor } {
  const steps = sums.shape[0]!;
  const active = lengths === undefined ? undefined : activeAt(steps, lengths);
  const ys = new Array<AnyTensor>(steps);
  let [h, c] = [h0, c0];
  for (let step = 0; step < steps; step++) {
    const t = reverse ? steps - 1 - step : step;
    const next = advance('lstm', sums.select(0, t), linear(h, weightHh, bias), h, c);
    const state: AnyTensor = linear(next.h, weightHr);
    const goes = active?.select(0, t) as Tensor<Shape, 'bool'> | undefined;
    ys[t] = goes === undefined ? state : where(goes, state, 0);
    h = goes === undefined ? state : where(goes, state, h);
    c = goes === undefined ? next.c! : where(goes, next.c!, c);
  }
  return {
    y: steps === 0 ? zeros([0, ...h0.shape], { dtype: h0.dtype, device: h0.device }) : stack(ys, 0),
    hn: h,
    cn: c,
  };
}

function expectShape(op: string, name: string, x: AnyTensor, shape: Shape, like: AnyTensor): void {
  checkTensor(op, x, name);
  if (!sameShape(x.shape, shape)) {
    throw new ShapeError(`${op}: ${name} does not fit: got shape ${show(x.shape)}, expected ${show(shape)}`);
  }
  if (x.dtype !== like.dtype) {
    throw new DTypeError(`${op}: ${name}: got dtype ${x.dtype}, expected ${like.dtype} as x`);
  }
}

/** Throws unless the weights of a layer fit an input of `size` features; answers its units and the size of its state. */
function checkWeights(
  op: string,
  kind: CellName,
  x: AnyTensor,
  size: number,
  weights: RecurrentWeights,
  name: string,
): { units: number; state: number } {
  if (typeof weights !== 'object' || weights === null) {
    throw new ArgumentError(`${op}: layers: got ${describe(weights)}, expected weights`);
  }
  const { weightIh, weightHh, biasIh, biasHh, weightHr } = weights;
  checkTensor(op, weightIh, `${name}weightIh`);
  const { gates } = cells[kind];
  const rows = weightIh.shape[0] ?? 0;
  const units = rows / gates;
  if (weightIh.rank !== 2 || !Number.isInteger(units) || units === 0) {
    throw new ShapeError(
      `${op}: ${name}weightIh does not fit: got shape ${show(weightIh.shape)}, expected [${gates} · h, ${size}]`,
    );
  }
  if (weightHr !== undefined && kind !== 'lstm') {
    throw new ArgumentError(`${op}: ${name}weightHr: got a projection, expected none outside lstm`);
  }
  const state = weightHr?.shape[0] ?? units;
  expectShape(op, `${name}weightIh`, weightIh, [rows, size], x);
  expectShape(op, `${name}weightHh`, weightHh, [rows, state], x);
  if (biasIh !== undefined) expectShape(op, `${name}biasIh`, biasIh, [rows], x);
  if (biasHh !== undefined) expectShape(op, `${name}biasHh`, biasHh, [rows], x);
  if (weightHr !== undefined) expectShape(op, `${name}weightHr`, weightHr, [state, units], x);
  return { units, state };
}

/** Weights as mixed precision wants them. Each is read once: it may be computed at each read. */
function cast(weights: RecurrentWeights): RecurrentWeights {
  if (typeof weights !== 'object' || weights === null) return weights;
  return {
    weightIh: operand(lowerPrecision, weights.weightIh),
    weightHh: operand(lowerPrecision, weights.weightHh),
    biasIh: operand(lowerPrecision, weights.biasIh),
    biasHh: operand(lowerPrecision, weights.biasHh),
    weightHr: operand(lowerPrecision, weights.weightHr),
  } as RecurrentWeights;
}

function recur(
  op: string,
  kind: CellName,
  x: AnyTensor,
  layers: readonly RecurrentWeights[],
  options: LstmOptions,
): LstmResult {
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  x = operand(lowerPrecision, x);
  if (x.rank !== 2 && x.rank !== 3) {
    throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [t, b, in] or [t, in]`);
  }
  const { bidirectional = false, batchFirst = false, lengths, dropout: probability = 0 } = options;
  const hidden = operand(lowerPrecision, options.hidden);
  const cell = operand(lowerPrecision, options.cell);
  if (x.rank === 2) {
    const one = {
      batchFirst: false,
      ...(hidden && { hidden: hidden.unsqueeze(1) }),
      ...(cell && { cell: cell.unsqueeze(1) }),
    };
    const result = recur(op, kind, x.unsqueeze(1), layers, { ...options, ...one });
    return {
      output: result.output.squeeze(1),
      hidden: result.hidden.squeeze(1),
      cell: kind === 'lstm' ? result.cell.squeeze(1) : result.cell,
    };
  }
  const directions = bidirectional ? 2 : 1;
  if (!Array.isArray(layers)) {
    throw new ArgumentError(`${op}: layers: got ${describe(layers)}, expected an array of weights`);
  }
  if (layers.length === 0 || layers.length % directions !== 0) {
    throw new ArgumentError(
      `${op}: layers: got ${layers.length} sets of weights, expected ${bidirectional ? 'two for each layer' : 'at least one'}`,
    );
  }
  let y: AnyTensor = batchFirst ? x.transpose(0, 1) : x;
  const b = y.shape[1]!;
  if (lengths !== undefined) {
    checkIndex(op, lengths, 'lengths');
    if (!sameShape(lengths.shape, [b])) {
      throw new ShapeError(`${op}: lengths do not fit: got shape ${show(lengths.shape)}, expected [${b}]`);
    }
  }
  const sizes = { units: 0, state: 0 };
  const hiddens: AnyTensor[] = [];
  const lastCells: AnyTensor[] = [];
  for (let layer = 0; layer * directions < layers.length; layer++) {
    const parts = layers.slice(layer * directions, (layer + 1) * directions).map((given, side) => {
      const weights = cast(given);
      const at = layer * directions + side;
      const own = checkWeights(op, kind, x, y.shape[2]!, weights, `layers[${at}].`);
      if (at === 0) {
        Object.assign(sizes, own);
        if (hidden !== undefined) expectShape(op, 'hidden', hidden, [layers.length, b, own.state], x);
        if (cell !== undefined) expectShape(op, 'cell', cell, [layers.length, b, own.units], x);
      } else if (own.units !== sizes.units || own.state !== sizes.state) {
        throw new ShapeError(
          `${op}: layers[${at}]: got ${own.units} units, expected ${sizes.units} as in the first layer`,
        );
      }
      const zero = (size: number): AnyTensor => zeros([b, size], { dtype: x.dtype, device: x.device });
      const h0: AnyTensor = hidden === undefined ? zero(own.state) : hidden.select(0, at);
      const c0 = kind === 'lstm' ? (cell === undefined ? zero(own.units) : cell.select(0, at)) : undefined;
      return direction(kind, y, weights, h0, c0, side === 1, lengths?.detach().to(x.device) as AnyTensor | undefined);
    });
    y = bidirectional
      ? cat(
          parts.map((part) => part.y),
          -1,
        )
      : parts[0]!.y;
    hiddens.push(...parts.map(({ hn }) => hn));
    lastCells.push(...parts.map(({ cn }) => cn));
    if (probability > 0 && (layer + 1) * directions < layers.length) {
      y = dropout(y, probability, { training: options.training ?? true });
    }
  }
  return { output: batchFirst ? y.transpose(0, 1) : y, hidden: stack(hiddens, 0), cell: stack(lastCells, 0) };
}

/**
 * A stack of simple recurrent layers over sequences x [t, b, in]: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu. `layers` holds the weights
 * of each layer, and direction, in turn.
 *
 * @throws ShapeError, DTypeError, ArgumentError; IndexError at the next read for a length outside [0, t].
 * @see Elman, 1990, Finding structure in time.
 * @example
 * rnn(ones([5, 2, 3]), [{ weightIh: zeros([4, 3]), weightHh: zeros([4, 4]) }]).output.shape; // [5, 2, 4]
 */
export function rnn(x: AnyTensor, layers: readonly RecurrentWeights[], options: RnnOptions = {}): RecurrentResult {
  checkOptions('rnn', options);
  const { output, hidden } = recur('rnn', checkNonlinearity('rnn', options.nonlinearity), x, layers, options);
  return { output, hidden };
}

function checkNonlinearity(op: string, name: 'tanh' | 'relu' = 'tanh'): 'tanh' | 'relu' {
  if (name === 'tanh' || name === 'relu') return name;
  throw new ArgumentError(`${op}: nonlinearity: got ${shown(name)}, expected tanh or relu`);
}

/**
 * A stack of gated recurrent layers over sequences x [t, b, in]: r = σ(x_r + h_r), z = σ(x_z + h_z), n = tanh(x_n + r ∘ h_n),
 * h' = (1 − z) ∘ n + z ∘ h with x_g = W_ih x + b_ih and h_g = W_hh h + b_hh. `layers` holds the weights of each layer, and direction, in turn.
 *
 * @throws ShapeError, DTypeError, ArgumentError; IndexError at the next read for a length outside [0, t].
 * @see Cho et al., 2014, Learning phrase representations using RNN encoder–decoder.
 * @example
 * gru(ones([5, 2, 3]), [{ weightIh: zeros([12, 3]), weightHh: zeros([12, 4]) }]).hidden.shape; // [1, 2, 4]
 */
export function gru(
  x: AnyTensor,
  layers: readonly RecurrentWeights[],
  options: RecurrentOptions = {},
): RecurrentResult {
  checkOptions('gru', options);
  const { output, hidden } = recur('gru', 'gru', x, layers, options);
  return { output, hidden };
}

/**
 * A stack of long short-term memory layers over sequences x [t, b, in]: i, f, o = σ(…), g = tanh(…) of W_ih x + b_ih + W_hh h + b_hh,
 * c' = f ∘ c + i ∘ g, h' = o ∘ tanh(c'). `layers` holds the weights of each layer, and direction, in turn.
 *
 * @throws ShapeError, DTypeError, ArgumentError; IndexError at the next read for a length outside [0, t].
 * @see Hochreiter and Schmidhuber, 1997, Long short-term memory.
 * @example
 * lstm(ones([5, 2, 3]), [{ weightIh: zeros([16, 3]), weightHh: zeros([16, 4]) }]).cell.shape; // [1, 2, 4]
 */
export function lstm(x: AnyTensor, layers: readonly RecurrentWeights[], options: LstmOptions = {}): LstmResult {
  checkOptions('lstm', options);
  return recur('lstm', 'lstm', x, layers, options);
}

/** One step of a cell from x [b, in] or [in] and its state. */
function stepOnce(
  op: string,
  kind: CellName,
  x: AnyTensor,
  h: AnyTensor,
  c: AnyTensor | undefined,
  weights: RecurrentWeights,
): { h: AnyTensor; c: AnyTensor | undefined } {
  checkTensor(op, x);
  checkDType(op, x.dtype, floats);
  [x, h, c, weights] = [
    operand(lowerPrecision, x),
    operand(lowerPrecision, h),
    operand(lowerPrecision, c),
    cast(weights),
  ];
  if (x.rank !== 1 && x.rank !== 2) {
    throw new ShapeError(`${op}: wrong rank: got shape ${show(x.shape)}, expected [b, in] or [in]`);
  }
  const { units } = checkWeights(op, kind, x, x.shape[x.rank - 1]!, { ...weights, weightHr: undefined }, '');
  const state = [...x.shape.slice(0, -1), units];
  expectShape(op, 'h', h, state, x);
  if (kind === 'lstm') expectShape(op, 'c', c!, state, x);
  return advance(kind, linear(x, weights.weightIh, weights.biasIh), linear(h, weights.weightHh, weights.biasHh), h, c);
}

/**
 * One step of {@link rnn}: the state after x [b, in] from the state h [b, h].
 *
 * @throws ShapeError, DTypeError, ArgumentError.
 * @example
 * rnnCell(ones([2, 3]), zeros([2, 4]), { weightIh: zeros([4, 3]), weightHh: zeros([4, 4]) }).shape; // [2, 4]
 */
export function rnnCell(
  x: AnyTensor,
  h: AnyTensor,
  weights: RecurrentWeights,
  options: Pick<RnnOptions, 'nonlinearity'> = {},
): AnyTensor {
  checkOptions('rnnCell', options);
  return stepOnce('rnnCell', checkNonlinearity('rnnCell', options.nonlinearity), x, h, undefined, weights).h;
}

/**
 * One step of {@link gru}: the state after x [b, in] from the state h [b, h].
 *
 * @throws ShapeError, DTypeError.
 * @example
 * gruCell(ones([2, 3]), zeros([2, 4]), { weightIh: zeros([12, 3]), weightHh: zeros([12, 4]) }).shape; // [2, 4]
 */
export function gruCell(x: AnyTensor, h: AnyTensor, weights: RecurrentWeights): AnyTensor {
  return stepOnce('gruCell', 'gru', x, h, undefined, weights).h;
}

/**
 * One step of {@link lstm}: state and cell after x [b, in] from the state h and the cell c, both [b, h].
 *
 * @throws ShapeError, DTypeError.
 * @example
 * lstmCell(ones([2, 3]), zeros([2, 4]), zeros([2, 4]), { weightIh: zeros([16, 3]), weightHh: zeros([16, 4]) }).length; // 2
 */
export function lstmCell(
  x: AnyTensor,
  h: AnyTensor,
  c: AnyTensor,
  weights: RecurrentWeights,
): [h: AnyTensor, c: AnyTensor] {
  const next = stepOnce('lstmCell', 'lstm', x, h, c, weights);
  return [next.h, next.c!];
}
