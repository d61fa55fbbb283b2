/**
 * LSTM, GRU and RNN. With the usual activations they are hadal's ops for whole sequences, in which the gates stand in another order; clipped, with peepholes, coupled gates or other
 * activations they are computed step by step.
 */
import * as ops from '../../ops';
import type { AnyTensor } from '../../tensor/tensor';
import { outputs, type Call, type Operator } from '../call';
import { reversed } from './movement';

type Activation = (x: AnyTensor) => AnyTensor;

/** An activation by its name in any case, with its numbers. */
function activation(call: Call, name: string, alpha: number | undefined, beta: number | undefined): Activation {
  const known: Record<string, Activation> = {
    affine: (x) => x.mul(alpha ?? 1).add(beta ?? 0),
    elu: (x) => ops.elu(x, alpha ?? 1),
    hardsigmoid: (x) =>
      x
        .mul(alpha ?? 0.2)
        .add(beta ?? 0.5)
        .clamp(0, 1),
    leakyrelu: (x) => ops.leakyRelu(x, alpha ?? 0.01),
    relu: (x) => ops.relu(x),
    scaledtanh: (x) =>
      x
        .mul(beta ?? 1)
        .tanh()
        .mul(alpha ?? 1),
    sigmoid: (x) => ops.sigmoid(x),
    softplus: (x) => ops.softplus(x),
    softsign: (x) => ops.softsign(x),
    tanh: (x) => ops.tanh(x),
    thresholdedrelu: (x) => ops.threshold(x, alpha ?? 1, 0),
  };
  return known[name.toLowerCase()] ?? call.refuse('activations', name, Object.keys(known).join(', '));
}

interface Kind {
  readonly op: 'lstm' | 'gru' | 'rnn';
  readonly activations: readonly string[];
  /** Where ours takes each of its gates from. */
  readonly order: readonly number[];
}
const kinds = {
  LSTM: { op: 'lstm', activations: ['sigmoid', 'tanh', 'tanh'], order: [0, 2, 3, 1] },
  GRU: { op: 'gru', activations: ['sigmoid', 'tanh'], order: [1, 0, 2] },
  RNN: { op: 'rnn', activations: ['tanh'], order: [0] },
} as const satisfies Record<string, Kind>;

/** One direction: its weights [gates · h, …], biases [gates · h] of input and state, peepholes [3 · h], first states [b, h]. */
interface Direction {
  readonly w: AnyTensor;
  readonly r: AnyTensor;
  readonly wb: AnyTensor | undefined;
  readonly rb: AnyTensor | undefined;
  readonly p: AnyTensor | undefined;
  readonly h: AnyTensor;
  readonly c: AnyTensor;
}

interface Setting {
  readonly kind: Kind;
  readonly size: number;
  readonly activations: readonly (readonly Activation[])[];
  readonly clip: number | undefined;
  readonly beforeReset: boolean;
  readonly couples: boolean;
}

/** Output and last states of one direction over x [t, b, in], step by step; steps past a sequence's end give zeros and leave the state alone. */
function stepByStep(
  x: AnyTensor,
  way: Direction,
  at: number,
  setting: Setting,
  lengths: AnyTensor | undefined,
): AnyTensor[] {
  const { kind, size, clip, beforeReset, couples } = setting;
  const [f, g, h] = setting.activations[at] as [Activation, Activation, Activation];
  const clipped = (y: AnyTensor): AnyTensor => (clip === undefined ? y : y.clamp(-clip, clip));
  const gate = (y: AnyTensor, i: number): AnyTensor => y.narrow(-1, i * size, size);
  const hole = (c: AnyTensor, i: number): AnyTensor | number => (way.p === undefined ? 0 : c.mul(gate(way.p, i)));
  /** State and cell after a step whose input's gates are `input`. */
  const next = (input: AnyTensor, state: AnyTensor, cell: AnyTensor): [AnyTensor, AnyTensor] => {
    const own = ops.linear(state, way.r, way.rb);
    if (kind.op === 'rnn') return [f(clipped(input.add(own))), cell];
    if (kind.op === 'gru') {
      const [z, r] = [0, 1].map((i) => f(clipped(gate(input, i).add(gate(own, i))))) as [AnyTensor, AnyTensor];
      const last = way.r.narrow(0, 2 * size, size);
      const lastBias = way.rb?.narrow(0, 2 * size, size);
      const inner = beforeReset ? r.mul(gate(own, 2)) : ops.linear(r.mul(state), last, lastBias);
      const candidate = g(clipped(gate(input, 2).add(inner)));
      return [ops.lerp(candidate, state, z), cell];
    }
    const sum = input.add(own);
    const i = f(clipped(gate(sum, 0).add(hole(cell, 0))));
    const forget = couples ? ops.sub(1, i) : f(clipped(gate(sum, 2).add(hole(cell, 2))));
    const after = forget.mul(cell).add(i.mul(g(clipped(gate(sum, 3)))));
    const o = f(clipped(gate(sum, 1).add(hole(after, 1))));
    return [o.mul(h(after)), after];
  };
  const inputs = ops.linear(x, way.w, way.wb);
  let [state, cell] = [way.h, way.c];
  const steps = ops.unbind(inputs, 0).map((input: AnyTensor, t) => {
    const [nextState, nextCell] = next(input, state, cell);
    if (lengths === undefined) {
      [state, cell] = [nextState, nextCell];
      return state;
    }
    const runs = lengths.greater(t).unsqueeze(1);
    state = ops.where(runs, nextState, state);
    cell = ops.where(runs, nextCell, cell);
    return ops.where(runs, state, 0);
  });
  return [ops.stack(steps, 0), state, cell];
}

const recurrent =
  (name: keyof typeof kinds): Operator =>
  (call) => {
    const kind: Kind = kinds[name];
    const isBatchFirst = call.int('layout', 0) === 1;
    const stateAt = name === 'LSTM' ? [5, 6] : [5];
    const x = isBatchFirst ? call.tensor(0).transpose(0, 1) : call.tensor(0);
    const direction = call.choice('direction', 'forward', 'reverse', 'bidirectional');
    const count = direction === 'bidirectional' ? 2 : 1;
    const size = call.tensor(2).shape[2]!;
    const batch = x.shape[1]!;
    const lengths = call.optional(4)?.cast('int64') as AnyTensor | undefined;
    const [hidden, cell] = stateAt.map((i) => {
      const given = call.optional(i);
      return (isBatchFirst ? given?.transpose(0, 1) : given) as AnyTensor | undefined;
    });
    const peepholes = name === 'LSTM' ? call.optional(7) : undefined;
    const clip = call.attributes.protos.has('clip') ? call.float('clip') : undefined;
    const names = call.strings('activations', Array.from({ length: count }, () => kind.activations).flat());
    const beforeReset = call.int('linear_before_reset', 0) !== 0;
    const couples = name === 'LSTM' && call.int('input_forget', 0) !== 0;

    const usual = names.map((each) => each.toLowerCase());
    const own = Array.from({ length: count }, () =>
      name === 'RNN' && usual[0] === 'relu' ? ['relu'] : kind.activations,
    ).flat();
    const isUsual =
      usual.every((each, i) => each === own[i]) &&
      clip === undefined &&
      peepholes === undefined &&
      !couples &&
      (name !== 'GRU' || beforeReset);

    const way = (i: number): Direction => {
      const [wb, rb] = call.has(3) ? (call.tensor(3).select(0, i).chunk(2, 0) as AnyTensor[]) : [];
      const zeros = (): AnyTensor => ops.zeros([batch, size], { dtype: x.dtype as 'float32', device: x.device });
      return {
        w: call.tensor(1).select(0, i),
        r: call.tensor(2).select(0, i),
        wb,
        rb,
        p: peepholes?.select(0, i),
        h: (hidden?.select(0, i) ?? zeros()) as AnyTensor,
        c: (cell?.select(0, i) ?? zeros()) as AnyTensor,
      };
    };
    // Backwards is forwards through what is turned around.
    const turned = (y: AnyTensor): AnyTensor =>
      (lengths === undefined ? y.flip([0]) : reversed(y, lengths, 0, 1)) as AnyTensor;
    const results = isUsual
      ? fused(
          kind,
          x,
          Array.from({ length: count }, (_, i) => way(i)),
          direction,
          turned,
          { hidden, cell, lengths, relu: usual[0] === 'relu' },
        )
      : stepped();
    function stepped(): Result {
      const alphas = call.floats('activation_alpha', []);
      const betas = call.floats('activation_beta', []);
      const each = names.map((activationName, i) => activation(call, activationName, alphas[i], betas[i]));
      const perWay = each.length / count;
      const activations = Array.from({ length: count }, (_, i) => each.slice(i * perWay, (i + 1) * perWay));
      const setting: Setting = { kind, size, activations, clip, beforeReset, couples };
      const ways = Array.from({ length: count }, (_, i) => {
        const isBack = direction === 'reverse' || i === 1;
        const [y, h, c] = stepByStep(isBack ? turned(x) : x, way(i), i, setting, lengths) as [
          AnyTensor,
          AnyTensor,
          AnyTensor,
        ];
        return [isBack ? turned(y) : y, h, c] as const;
      });
      return {
        output: ops.stack(
          ways.map(([y]) => y),
          1,
        ), // [t, directions, b, h]
        hidden: ops.stack(
          ways.map(([, h]) => h),
          0,
        ),
        cell: ops.stack(
          ways.map(([, , c]) => c),
          0,
        ),
      };
    }
    const states = (y: AnyTensor | undefined): AnyTensor | undefined => (isBatchFirst ? y?.transpose(0, 1) : y);
    const output = isBatchFirst ? results.output.permute([2, 0, 1, 3]) : results.output;
    return outputs(output, states(results.hidden), name === 'LSTM' ? states(results.cell) : undefined);
  };

interface Result {
  /** [t, directions, b, h] */
  readonly output: AnyTensor;
  /** [directions, b, h] */
  readonly hidden: AnyTensor;
  readonly cell: AnyTensor | undefined;
}

function fused(
  kind: Kind,
  x: AnyTensor,
  ways: readonly Direction[],
  direction: string,
  turned: (y: AnyTensor) => AnyTensor,
  given: { hidden: AnyTensor | undefined; cell: AnyTensor | undefined; lengths: AnyTensor | undefined; relu: boolean },
): Result {
  const gates = kind.order.length;
  const ordered = (y: AnyTensor): AnyTensor => {
    const parts = y.chunk(gates, 0) as AnyTensor[];
    return gates === 1
      ? y
      : ops.cat(
          kind.order.map((i) => parts[i]!),
          0,
        );
  };
  const layers = ways.map(({ w, r, wb, rb }) => ({
    weightIh: ordered(w),
    weightHh: ordered(r),
    biasIh: wb && ordered(wb),
    biasHh: rb && ordered(rb),
  }));
  const { hidden, cell, lengths, relu } = given;
  const isBack = direction === 'reverse';
  const options = { bidirectional: ways.length === 2, hidden, lengths };
  const input = isBack ? turned(x) : x;
  const result: ops.RecurrentResult & { readonly cell?: AnyTensor } =
    kind.op === 'lstm'
      ? ops.lstm(input, layers, { ...options, cell })
      : kind.op === 'gru'
        ? ops.gru(input, layers, options)
        : ops.rnn(input, layers, { ...options, nonlinearity: relu ? 'relu' : 'tanh' });
  const [t, b] = x.shape as [number, number];
  const size = result.hidden.shape[2]!;
  const output = (isBack ? turned(result.output) : result.output).reshape([t, b, ways.length, size]);
  return { output: output.transpose(1, 2), hidden: result.hidden, cell: result.cell };
}

export const recurrence: Readonly<Record<string, Operator>> = {
  GRU: recurrent('GRU'),
  LSTM: recurrent('LSTM'),
  RNN: recurrent('RNN'),
};
