// What fuzz.test.ts runs in a process of its own: random calls of every public op, with a seed and their number as arguments. Prints the calls
// that threw anything but a HadalError, as JSON, one of each kind.
import * as hadal from '../../lib/index';
import { HadalError, Tensor, type AnyTensor, type DType } from '../../lib/index';
import * as exported from '../../lib/ops';
import { dtypes } from '../../lib/tensor/dtype';
import { Draw } from './sample';

const seed = process.argv[2] ?? '';
const calls = Number(process.argv[3]);
const only = process.argv[4];
const memoryLimit = 64 * 2 ** 20;
/** A call that takes longer, on a busy machine too, does work that nobody asked for. */
const longestCall = 3000;

const ops = Object.entries(exported as Record<string, unknown>).filter(
  (entry): entry is [string, (...args: unknown[]) => unknown] =>
    typeof entry[1] === 'function' && !['creation', 'ownShape', 'checkDType'].includes(entry[0]),
);

/** Random arguments, the same for the same seed. */
class Arguments {
  readonly #draw: Draw;
  readonly #tensors: AnyTensor[];

  constructor(name: string) {
    this.#draw = new Draw(name);
    this.#tensors = this.#makeTensors();
  }

  below(n: number): number {
    return Math.floor(n * this.#draw.unit());
  }
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  #makeTensors(): AnyTensor[] {
    const shapes = [[], [1], [3], [0], [2, 3], [3, 3], [1, 3], [2, 0], [2, 3, 4], [1, 2, 4, 4], [2, 2, 3, 3, 3]];
    const tensors = shapes.flatMap((shape) => dtypes.map((dtype) => this.#draw.tensor(shape, dtype, 0, 2)));
    const released = hadal.ones([2, 3]);
    released.dispose();
    return [
      ...tensors,
      ...tensors.filter(({ rank }) => rank > 1).map((x) => x.permute()),
      ...tensors.filter(({ dtype }) => dtype === 'float32').map((x) => x.detach().requiresGrad_()),
      hadal.tensor([NaN, Infinity, -Infinity]),
      hadal.tensor([-1, 5, 2 ** 31 - 1], { dtype: 'int32' }),
      hadal.tensor([2 ** 60, -1], { dtype: 'int64' }),
      hadal.ones([1, 1, 1, 1, 1, 1, 1, 2]),
      released,
    ];
  }

  tensor(): AnyTensor {
    return this.pick(this.#tensors);
  }

  number(): number {
    const kind = this.below(10);
    if (kind < 6) return this.below(6) - 2;
    return this.pick([NaN, Infinity, -Infinity, 0.5, -0, 1e9, 2 ** 31, 2 ** 53, -(2 ** 53), 1e300, 1e-300, -1.5]);
  }

  list(): unknown[] {
    const length = this.below(this.below(20) === 0 ? 12 : 4);
    const element = this.pick([() => this.below(4), () => this.number(), () => this.tensor(), () => this.any(1)]);
    return Array.from({ length }, element);
  }

  options(depth: number): Record<string, unknown> {
    const result = (this.below(8) === 0 ? Object.create(null) : {}) as Record<string, unknown>;
    for (let i = this.below(4); i > 0; i--) {
      result[this.pick(optionNames)] =
        this.below(3) === 0 ? this.any(depth) : this.pick([true, false, this.number(), this.word(), null]);
    }
    return result;
  }

  word(): string {
    return this.pick(words);
  }

  any(depth = 2): unknown {
    const kind = this.below(depth > 0 ? 20 : 14);
    if (kind < 5) return this.tensor();
    if (kind < 9) return this.number();
    if (kind < 11) return this.pick([undefined, undefined, null]);
    if (kind === 11) return this.word();
    if (kind === 12) return this.pick([true, false]);
    if (kind === 13) {
      return this.pick([
        () => 3n,
        () => Symbol('fuzz'),
        () => () => 1,
        () => new Float32Array(3),
        () => new Uint8Array(0),
        () => new Map(),
        () => Object.create(null) as unknown,
        () => new Date(NaN),
        () => new Proxy({}, { get: () => null }),
        () => ({ shape: [2], dtype: 'float32' }),
      ])();
    }
    return kind < 17 ? this.list() : this.options(depth - 1);
  }
}

const optionNames = [
  ...[
    'axis',
    'axes',
    'keepDims',
    'dtype',
    'shape',
    'device',
    'requiresGrad',
    'p',
    'q',
    'k',
    'size',
    'stride',
    'padding',
  ],
  ...[
    'dilation',
    'groups',
    'kernelSize',
    'descending',
    'largest',
    'correction',
    'reduction',
    'weight',
    'weights',
    'bias',
  ],
  ...[
    'mask',
    'causal',
    'scale',
    'dropout',
    'epsilon',
    'mode',
    'value',
    'range',
    'density',
    'bins',
    'minLength',
    'alpha',
  ],
  ...['beta', 'threshold', 'approximate', 'ignoreIndex', 'labelSmoothing', 'training', 'interpolation', 'accumulate'],
  ...['includeSelf', 'consecutive', 'right', 'reverse', 'start', 'stop', 'step', 'offset', 'equalNaN', 'rtol', 'atol'],
  ...[
    'outputSize',
    'scaleFactor',
    'alignCorners',
    'replacement',
    'runningMean',
    'runningVar',
    'momentum',
    'paddingIndex',
  ],
  ...['iouThreshold', 'scoreThreshold', 'maxCount', 'classes', 'spatialScale', 'samplingRatio', 'aligned', 'dx', 'x'],
  ...[
    'prepend',
    'append',
    'columns',
    'increasing',
    'invert',
    'n',
    'norm',
    'hopLength',
    'winLength',
    'window',
    'length',
  ],
];
const words: string[] = [
  ...(dtypes as readonly DType[]),
  ...[
    '',
    'sum',
    'mean',
    'none',
    'same',
    'valid',
    'reflect',
    'constant',
    'circular',
    'tanh',
    'amax',
    'nearest',
    'linear',
  ],
  ...[
    'bilinear',
    '...',
    ':',
    '1:',
    '::-1',
    '::0',
    'cpu',
    'cuda:0',
    'constructor',
    '__proto__',
    'ij,jk->ik',
    'i,i',
    'fuzz',
  ],
];

const shown = (value: unknown, depth = 2): string => {
  if (value instanceof Tensor) return `${value.dtype}[${value.shape.join(', ')}]`;
  if (typeof value === 'symbol' || typeof value === 'function') return typeof value;
  if (typeof value === 'bigint') return `${value}n`;
  if (Array.isArray(value) && depth > 0) return `[${value.map((entry) => shown(entry, depth - 1)).join(', ')}]`;
  if (typeof value === 'object' && value !== null && depth > 0) {
    return `{ ${Object.entries(value)
      .map(([key, entry]) => `${key}: ${shown(entry, depth - 1)}`)
      .join(', ')} }`;
  }
  return typeof value === 'string' ? `'${value}'` : String(value as number);
};

/** One call of each kind that failed otherwise than it may. */
const failures = new Map<string, string>();

function judge(name: string, what: () => string, error: unknown): void {
  if (error instanceof HadalError) return;
  const { name: kind, message, stack } = error as Error;
  const key = `${name}: ${kind}: ${message.slice(0, 40)}`;
  if (!failures.has(key)) failures.set(key, `${what()}\n${stack}`);
}

async function run(): Promise<void> {
  hadal.setMemoryLimit(memoryLimit);
  const args = new Arguments(seed);
  const chosen = only === undefined ? ops : ops.filter(([name]) => name === only);
  let waiting: Promise<void>[] = [];
  for (let i = 0; i < calls; i++) {
    const [name, op] = chosen[i % chosen.length]!;
    const given = Array.from({ length: args.below(6) }, (_, place) =>
      place === 0 && args.below(10) < 7 ? args.tensor() : args.any(),
    );
    const what = (): string => `${name}(${given.map((value) => shown(value)).join(', ')})`;
    const start = Date.now();
    try {
      hadal.scope(() => {
        const value = op(...given);
        if (value instanceof Promise) {
          waiting.push(value.then(undefined, (error: unknown) => judge(name, what, error)) as Promise<void>);
        }
      });
    } catch (error) {
      judge(name, what, error);
    }
    const took = Date.now() - start;
    if (took > longestCall) failures.set(`${name}: slow`, `${what()} took ${took} ms`);
    if (i % 50 === 49 || i === calls - 1) {
      await Promise.all(waiting);
      waiting = [];
      try {
        hadal.synchronize();
      } catch (error) {
        judge(name, what, error);
      }
    }
  }
}

void run().then(() => process.stdout.write(JSON.stringify([...failures.values()])));
