// Calls with one argument, option or input replaced by a value that makes no sense, one after the other. Each may return, or throw a HadalError
// that begins with what was called; anything else is listed.
import { cat, HadalError, ones, scope, stack, synchronize, Tensor, tensor, zeros, type AnyTensor } from '../lib/index';
import { dtypes, isFloat } from '../lib/tensor/dtype';

type Named = readonly [name: string, value: unknown];

const released = ones([2, 3]);
released.dispose();

/** In the place of a size, a rate, a list, an object or a function. */
export const wrongValues: readonly Named[] = [
  ...[NaN, -1, 0, 1.5, 2 ** 53, Infinity, '3', '', null, undefined, true].map((value): Named => [String(value), value]),
  ...([[], [NaN], [null], [1, 2, 3, 4, 5], [[1], [2, 3]]] as const).map((value): Named => [
    JSON.stringify(value),
    value,
  ]),
  ['{}', {}],
  ['a Map', new Map()],
  ['a function', () => 1],
  ['a tensor', ones([2]).keep()],
  ['a released tensor', released],
  ['a list of released tensors', [released]],
];

/** In the place of a tensor: no tensors, and other shapes, dtypes, layouts and contents. */
export function wrongTensors(x: AnyTensor): Named[] {
  const list: Named[] = [
    ...[null, undefined, 3, 'abc', [], [[1], [2, 3]], {}].map((value): Named => [
      JSON.stringify(value) ?? 'undefined',
      value,
    ]),
    ['a released tensor', released],
    ['a scalar', tensor(1)],
    ['an empty vector', zeros([0])],
    ['eight axes', ones([1, 1, 1, 1, 1, 1, 1, 2])],
  ];
  for (let axis = 0; axis < x.rank; axis++) {
    list.push([`axis ${axis} empty`, x.slice(axis, 0, 0)], [`axis ${axis} twice as long`, cat([x, x], axis)]);
    list.push([`axis ${axis} missing`, x.select(axis, 0)], [`an axis more at ${axis}`, x.unsqueeze(axis)]);
  }
  for (const dtype of dtypes) list.push([dtype, x.cast(dtype)]);
  const nothing: AnyTensor = x.mul(0);
  const [large, odd] = isFloat(x.dtype) ? [Infinity, NaN] : [2 ** 31 - 1, -5];
  list.push(['transposed', x.permute()], ['strided', stack([x, x], x.rank).select(x.rank, 0)]);
  list.push([`all ${large}`, nothing.add(large)], [`all ${odd}`, nothing.add(odd)]);
  return list;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** The arguments with each of them, and each entry of those that are objects, replaced by each of what `replacements` gives for it. */
export function* replaced(
  args: readonly unknown[],
  replacements: (value: unknown) => readonly Named[],
): Generator<[what: string, args: unknown[]]> {
  for (const [i, arg] of args.entries()) {
    for (const [name, value] of replacements(arg)) yield [`argument ${i}: ${name}`, args.with(i, value)];
    if (!isRecord(arg)) continue;
    for (const [key, old] of Object.entries(arg)) {
      for (const [name, value] of replacements(old)) yield [`${key}: ${name}`, args.with(i, { ...arg, [key]: value })];
    }
  }
}

/** Everything that a result holds is computed, and what can be differentiated is. */
function compute(result: unknown): void {
  if (result instanceof Tensor) {
    const y: AnyTensor = result;
    if (y.requiresGrad) y.sum().backward({ retainGraph: true });
    y.dataSync();
  } else if (Array.isArray(result)) result.forEach(compute);
  else if (isRecord(result)) Object.values(result).forEach(compute);
}

/** Adds to `failures` an error that is none of ours, or that does not say what was called. */
function judge(failures: string[], what: string, error: unknown): void {
  if (error instanceof HadalError && /^[\w.]+: \S/.test(error.message)) return;
  failures.push(
    `${what}: ${error instanceof Error ? (error.stack ?? '').split('\n').slice(0, 3).join(' | ') : String(error)}`,
  );
}

/** Runs a call and adds to `failures` how it went wrong otherwise than it may. */
export function attempt(failures: string[], what: string, call: () => unknown): void {
  try {
    scope(() => {
      compute(call());
      synchronize();
    });
  } catch (error) {
    judge(failures, what, error);
    try {
      synchronize();
    } catch (later) {
      judge(failures, what, later);
    }
  }
}

/** The same for a call that is waited for. */
export async function attemptLater(failures: string[], what: string, call: () => unknown): Promise<void> {
  try {
    compute(await call());
    synchronize();
  } catch (error) {
    judge(failures, what, error);
  }
}
