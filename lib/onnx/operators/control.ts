/** Branches, loops, and sequences of values. What decides is known before it runs, so nothing is read. */
import { FormatError } from '../../errors';
import * as ops from '../../ops';
import type { AnyTensor } from '../../tensor/tensor';
import { knowing, outputs, type Call, type Operator } from '../call';
import { Known, type Value } from '../value';
import { axisOf } from './shapes';

const branch: Operator = knowing([0], (call) => {
  const [condition] = call.known(0);
  return outputs(...call.body(condition === 0 ? 'else_branch' : 'then_branch')());
});

const scalar = (dtype: 'int64' | 'bool', value: number): Known => new Known(dtype, [], [value]);

/** The values that each step gives, joined along a new first axis. */
function stacked(call: Call, values: readonly Value[]): Value {
  if (values.length === 0) call.refuse('steps', 'none', 'at least one, so that the shape of what they give is known');
  return ops.stack(
    values.map((value) => call.asTensor(value, 'output')),
    0,
  );
}

/** A condition that never ends a loop is an error instead of a thread that hangs. */
const mostTurns = 1_000_000;

const loop: Operator = knowing([0, 1], (call) => {
  const most = call.has(0) ? call.knownScalar(0) : Infinity;
  let goesOn = call.has(1) ? call.knownScalar(1) !== 0 : true;
  let carried = call.inputs.slice(2);
  const body = call.body('body');
  const scans: Value[][] = [];
  for (let i = 0; i < most && goesOn; i++) {
    if (i === mostTurns) call.refuse('turns', `more than ${mostTurns}`, 'fewer');
    const [condition, ...results] = body(scalar('int64', i), scalar('bool', 1), ...carried);
    carried = results.slice(0, carried.length);
    for (const [at, value] of results.slice(carried.length).entries()) (scans[at] ??= []).push(value);
    goesOn =
      condition instanceof Known
        ? condition.values[0] !== 0
        : call.refuse('condition', 'a tensor', 'one that follows from shapes and constants alone');
  }
  const wanted = Math.max(call.names.outputs.length - carried.length, 0);
  const lists = Array.from({ length: wanted }, (_, i) => scans[i] ?? []);
  return outputs(
    ...carried,
    ...lists.map((values, i) => (call.wants(carried.length + i) ? stacked(call, values) : undefined)),
  );
});

const scan: Operator = (call) => {
  if (call.version < 9) call.refuse('version', String(call.version), 'at least 9');
  const count = call.int('num_scan_inputs');
  const states = call.inputs.length - count;
  let carried = call.inputs.slice(0, states);
  const axes = call.ints('scan_input_axes', new Array<number>(count).fill(0));
  const backwards = call.ints('scan_input_directions', new Array<number>(count).fill(0));
  const sequences = Array.from({ length: count }, (_, i) => {
    const x = call.tensor(states + i);
    const slices = ops.unbind(x, axisOf(call, axes[i]!, x.shape)) as readonly AnyTensor[];
    return backwards[i] === 1 ? slices.toReversed() : slices;
  });
  const body = call.body('body');
  const scans: Value[][] = [];
  for (let t = 0; t < (sequences[0]?.length ?? 0); t++) {
    const results = body(...carried, ...sequences.map((slices) => slices[t]));
    carried = results.slice(0, states);
    for (const [at, value] of results.slice(states).entries()) (scans[at] ??= []).push(value);
  }
  const outputAxes = call.ints(
    'scan_output_axes',
    scans.map(() => 0),
  );
  const directions = call.ints(
    'scan_output_directions',
    scans.map(() => 0),
  );
  const joined = scans.map((values, i) => {
    const ordered = directions[i] === 1 ? values.toReversed() : values;
    const y = stacked(call, ordered) as AnyTensor;
    return y.moveAxis(0, outputAxes[i]!) as AnyTensor;
  });
  return outputs(...carried, ...joined);
};

function place(call: Call, i: number, length: number, absent: number): number {
  const given = call.knownScalar(i, absent);
  const at = given < 0 ? given + length : given;
  if (Number.isInteger(at) && at >= 0 && at <= length) return at;
  throw new FormatError(`${call.what}: position: got ${given}, expected one in a sequence of ${length}`);
}

function split(call: Call): readonly Value[] {
  const x = call.tensor(0);
  const axis = axisOf(call, call.int('axis', 0), x.shape);
  if (!call.has(1)) {
    const slices = ops.unbind(x, axis) as readonly AnyTensor[];
    return call.int('keepdims', 1) === 0 ? slices : slices.map((slice) => slice.unsqueeze(axis));
  }
  const sizes = call.known(1);
  return ops.split(x, call.shape(1).length === 0 ? sizes[0]! : (sizes as number[]), axis) as readonly AnyTensor[];
}

const map: Operator = (call) => {
  const first = call.sequence(0);
  const results = first.map((value, i) =>
    call.body('body')(
      value,
      ...call.inputs.slice(1).map((other) => (Array.isArray(other) ? (other as Value[])[i] : other)),
    ),
  );
  return outputs(...call.names.outputs.map((_, i) => results.map((values) => values[i])));
};

export const control: Readonly<Record<string, Operator>> = {
  ConcatFromSequence: (call) => {
    const values = call.sequence(0).map((value) => call.asTensor(value, 'element'));
    const axis = call.int('axis');
    return call.int('new_axis', 0) === 0 ? ops.cat(values, axis) : ops.stack(values, axis);
  },
  If: branch,
  Loop: loop,
  Optional: (call) => call.inputs[0],
  OptionalGetElement: (call) => call.value(0),
  OptionalHasElement: (call) => scalar('bool', Number(call.has(0))),
  Scan: scan,
  SequenceAt: knowing([1], (call) => {
    const values = call.sequence(0);
    return values[place(call, 1, values.length - 1, 0)];
  }),
  SequenceConstruct: (call) => call.inputs,
  SequenceEmpty: () => [],
  SequenceErase: knowing([1], (call) => {
    const values = call.sequence(0);
    return values.toSpliced(place(call, 1, values.length - 1, values.length - 1), 1);
  }),
  SequenceInsert: knowing([2], (call) => {
    const values = call.sequence(0);
    return values.toSpliced(place(call, 2, values.length, values.length), 0, call.value(1));
  }),
  SequenceLength: (call) => scalar('int64', call.sequence(0).length),
  SequenceMap: map,
  SplitToSequence: knowing([1], split),
};
