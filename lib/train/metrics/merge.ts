/**
 * Metrics over several processes: the states of all go to each, which merges them in the order of the ranks, so that all compute one value: that of one
 * process with all batches. The states may differ in size.
 */
import { deserialize, serialize } from 'node:v8';

import { allGather } from '../../distributed/collectives';
import { worldSize } from '../../distributed/process-group';
import { tensor } from '../../ops/creation';
import { checkObject } from '../../ops/define';
import { checkMethods } from '../../tensor/checks';
import type { ArrayOf, DType } from '../../tensor/dtype';
import type { Shape } from '../../tensor/shape-types';
import { Tensor, type AnyTensor } from '../../tensor/tensor';
import type { Metric, MetricState } from './metric';

type Metrics = Readonly<Record<string, Metric>>;

/** What a metric must have to be computed over several processes. */
export const mergingMethods = ['stateDict', 'reset', 'merge'];

/**
 * Gives each metric the batches of all processes, so that `compute` answers the same value in all of them: the one of a single process that has seen
 * all batches, up to rounding. All must call it, with metrics of the same names. A process alone has all batches already.
 *
 * @throws ArgumentError for a metric without `merge`; DistributedError at the read of what does not come.
 * @example
 * const f1 = new train.F1Score(10);
 * f1.update(randn([32, 10]), randint(0, 10, [32])); // the share of this process
 * await train.mergeMetrics({ f1 });
 * await f1.compute(); // over all shares
 */
export async function mergeMetrics(metrics: Metrics): Promise<void> {
  checkObject('mergeMetrics', metrics, 'metrics');
  for (const [name, metric] of Object.entries<unknown>(metrics)) {
    checkMethods('mergeMetrics', `metrics: ${name}`, metric, mergingMethods);
  }
  if (worldSize() > 1) await mergeStates(metrics, await statesOf(metrics));
}

/** What metrics have gathered by now, read from the device. They may be changed as soon as this returns. */
export async function statesOf(metrics: Metrics): Promise<Uint8Array> {
  const tensors: Promise<StoredTensor>[] = [];
  const states = Object.entries(metrics).map(([name, metric]) => [name, stored(metric.stateDict(), tensors)] as const);
  return serialize({ states: Object.fromEntries(states), tensors: await Promise.all(tensors) });
}

/** Replaces what metrics have gathered by the states of all processes. */
export async function mergeStates(metrics: Metrics, own: Uint8Array): Promise<void> {
  for (const metric of Object.values(metrics)) metric.reset();
  for (const bytes of await gathered(own)) {
    const { states, tensors } = deserialize(bytes) as Stored;
    for (const [name, metric] of Object.entries(metrics)) metric.merge!(restored(states[name], tensors) as MetricState);
  }
}

interface Stored {
  readonly states: Readonly<Record<string, unknown>>;
  readonly tensors: readonly StoredTensor[];
}

interface StoredTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: ArrayOf<DType>;
}

/** A state whose tensors are maps, which plain data has none of, to their place in `tensors`. */
function stored(value: unknown, tensors: Promise<StoredTensor>[]): unknown {
  if (!(value instanceof Tensor)) return mapped(value, (each) => stored(each, tensors));
  const { dtype, shape } = value as AnyTensor;
  const numbers = (value as AnyTensor).data().then((data) => ({ dtype, shape, data }));
  return new Map([['tensor', tensors.push(numbers) - 1]]);
}

function restored(value: unknown, tensors: readonly StoredTensor[]): unknown {
  if (!(value instanceof Map)) return mapped(value, (each) => restored(each, tensors));
  return tensor(tensors[value.get('tensor') as number]!, { device: 'cpu' });
}

/** A list or a plain object with other entries; anything else as it is. */
function mapped(value: unknown, f: (each: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(f);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, f(each)]));
}

/** The bytes of all processes, by rank. */
async function gathered(bytes: Uint8Array): Promise<Uint8Array[]> {
  const lengths = await allGather(tensor([bytes.length], { dtype: 'float64', device: 'cpu' })).data();
  const longest = Math.max(...lengths);
  const padded = new Uint8Array(longest);
  padded.set(bytes);
  const all = await allGather(tensor(padded, { device: 'cpu' })).data();
  return Array.from(lengths, (length, rank) => all.subarray(rank * longest, rank * longest + length));
}
