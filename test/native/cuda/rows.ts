// Ops whose kernels depend on how long rows are and how they lie: norms, softmax, cross entropy and sorts, whose samples elsewhere are short.
import * as hadal from '../../../lib/index';
import { nn, tensor, type AnyTensor, type Device } from '../../../lib/index';
import { expectClose, expectEqual, valuesOf, withGradients, type Reporter } from './checks';

/** Of the largest element. Most is of the gradient of log-softmax, which comes of the rounded result y: e^y is off by |y| / 512 in bfloat16, y being −12. */
const tolerances = { float64: 3e-13, float32: 4e-6, float16: 3e-3, bfloat16: 2.4e-2 };
type Float = keyof typeof tolerances;

/** Rows of each length: of a lane, of a warp by one to four units of 16 bytes, of blocks, too long for registers, and for shared memory. */
const sizes: readonly (readonly [rows: number, length: number])[] = [
  [3, 5],
  [70, 64],
  [33, 768],
  [9, 1000],
  [140, 1024],
  [5, 4096],
  [3, 12_288],
  [3, 16_392],
  [2, 50_257],
  [1, 140_000],
];

/** Groups of channels of images: of a pixel, of less than a unit of 16 bytes, of odd ones, of few and of many channels, of more than a block. */
const images: readonly (readonly [groups: number, shape: readonly number[]])[] = [
  [4, [5, 12, 1]],
  [1, [3, 6, 33, 5]],
  [8, [2, 32, 7, 7]],
  [32, [9, 96, 14, 14]],
  [32, [1, 64, 56, 56]],
  [2, [2, 64, 64, 65]],
];

const { functional } = nn;
type Op = (...inputs: AnyTensor[]) => AnyTensor;

/** Ops of rows x [rows, length], which also get vectors of that length: a weight and a bias. */
const ofRows: Readonly<Record<string, Op>> = {
  'layer norm': (x, weight, bias) => functional.layerNorm(x, [x.shape.at(-1)!], weight, bias) as AnyTensor,
  'RMS norm': (x, weight) => functional.rmsNorm(x, [x.shape.at(-1)!], weight) as AnyTensor,
  // Without a factor elements and gradients of long rows would be next to nothing in float16.
  softmax: (x) => hadal.softmax(x, -1).mul(4 * Math.sqrt(x.shape.at(-1)!)) as AnyTensor,
  'log-softmax': (x) => hadal.logSoftmax(x, -1) as AnyTensor,
};

/** Classes for rows: the last, the first, one that is ignored, and others. */
const targetsOf = (x: AnyTensor): AnyTensor => {
  const classes = x.shape[1]!;
  const all = Array.from({ length: x.shape[0]! }, (_, row) =>
    row % 5 === 3 ? -100 : row === 0 ? classes - 1 : (row * 7919) % classes,
  );
  return tensor(all, { dtype: 'int64', device: x.device });
};
const crossEntropy = functional.crossEntropy as (x: AnyTensor, target: AnyTensor, options: object) => AnyTensor;
const losses: Readonly<Record<string, (x: AnyTensor, weight: AnyTensor) => AnyTensor>> = {
  'cross entropy': (x) => crossEntropy(x, targetsOf(x), { reduction: 'none' }),
  'cross entropy, weighed and smoothed': (x, weight) =>
    crossEntropy(x, targetsOf(x), { reduction: 'none', weight: weight.detach(), labelSmoothing: 0.1 }),
};

/** Results and gradients, against the CPU's in float64. */
function checkOp(f: Op, inputs: readonly AnyTensor[], dtype: Float, what: string): void {
  const results = withGradients(f, inputs);
  const expected = withGradients(
    f,
    inputs.map((input) => input.to('cpu').cast('float64') as AnyTensor),
  );
  expectClose(results, expected, tolerances[dtype], what);
}

/** The same rows, whose distances are not all the same. */
function apart(x: AnyTensor): AnyTensor {
  const [rows, length] = x.shape as [number, number];
  const groups = rows % 5 === 0 ? 5 : 1;
  const room = hadal.zeros([groups, rows / groups + 1, length + 16], { dtype: x.dtype, device: x.device });
  const inner = room.narrow(1, 0, rows / groups).narrow(2, 8, length) as AnyTensor;
  inner.copy_(x.reshape(inner.shape) as never);
  return inner;
}

/** Rows of numbers so large that what they lose by rounding, or once they are multiplied, decides an exponential that is not of an exact difference. */
function checkExtremes(dtype: Float, length: number): void {
  const row = (first: number, rest: number): number[] => [first, ...Array.from({ length: length - 1 }, () => rest)];
  for (const size of [1e4, 6e4, 1e9, 1e10, 1e30, 3.3e38].filter((each) => dtype !== 'float16' || each < 65_504)) {
    const x = tensor([row(-size, -size), row(size, size), row(7, -size), row(size, 7)], { dtype });
    const found = valuesOf(hadal.softmax(x, -1).narrow(1, 0, 2).cast('float64') as AnyTensor);
    const even = valuesOf(tensor([1 / length], { dtype }).cast('float64') as AnyTensor)[0];
    expectEqual(found, [even, even, even, even, 1, 0, 1, 0], `softmax of rows of ${length} by ${size}`);
    const target = tensor([0, 0, 0, 0], { dtype: 'int64' });
    const loss = valuesOf(crossEntropy(x, target, { reduction: 'none' }).cast('float64') as AnyTensor);
    if (!loss.every(Number.isFinite)) throw new Error(`losses of rows of ${length} by ${size}: got ${loss.join(', ')}`);
  }
}

/** Sorted lines, with the places they came from, as on the CPU. */
function checkSorts(lines: number, length: number, dtype: 'float32' | 'bfloat16' | 'int64'): void {
  // Few values, so that order among equal ones counts, -0 among them.
  const drawn = hadal.randn([lines, length]).mul(40).round().cast(dtype) as AnyTensor;
  const k = Math.ceil(length / 3);
  const runs: Readonly<Record<string, (x: AnyTensor) => readonly [AnyTensor, AnyTensor]>> = {
    sort: (x) => hadal.sort(x, { axis: -1 }) as never,
    'sort, descending': (x) => hadal.sort(x, { axis: -1, descending: true }) as never,
    topk: (x) => hadal.topk(x, k, { axis: -1 }) as never,
    kthValue: (x) => hadal.kthValue(x, k, { axis: -1 }) as never,
  };
  for (const [what, run] of Object.entries(runs)) {
    const read = (x: AnyTensor): unknown[] => {
      const [values, indices] = run(x);
      return [valuesOf(values.cast('float64') as AnyTensor), [...indices.dataSync()].map(Number)];
    };
    expectEqual(read(drawn), read(drawn.to('cpu')), `${what} of ${lines} lines of ${length}`);
  }
}

/** Every kernel for rows, by lengths and layouts. */
export async function rows(_: Device, report: Reporter, every: number): Promise<void> {
  const dtypes = Object.keys(tolerances) as Float[];
  for (const [place, [count, length]] of sizes.entries()) {
    for (const dtype of every === 1 ? dtypes : [dtypes[(place + every) % dtypes.length]!]) {
      hadal.manualSeed(3);
      const draw = (shape: readonly number[]): AnyTensor => hadal.randn(shape).cast(dtype) as AnyTensor;
      const x = draw([count, length]);
      const vectors = [1, 2].map(() => draw([length]));
      const what = `${count} rows of ${length} in ${dtype}`;
      for (const [name, f] of Object.entries(ofRows)) {
        await report.check(`${name} of ${what}`, () => {
          checkOp(f, [x, ...vectors].slice(0, f.length), dtype, 'of rows');
          checkOp(f, [apart(x), ...vectors].slice(0, f.length), dtype, 'of rows apart');
        });
      }
      const weight = vectors[0]!.abs().add(0.5) as AnyTensor;
      for (const [name, f] of Object.entries(losses)) {
        await report.check(`${name} of ${what}`, () =>
          checkOp((logits) => f(logits!, weight.to(logits!.device).cast(logits!.dtype)), [x], dtype, 'of rows'),
        );
      }
      await report.check(`extremes of rows of ${length} in ${dtype}`, () => checkExtremes(dtype, length));
    }
  }
  for (const [place, [groups, shape]] of images.entries()) {
    for (const dtype of every === 1 ? dtypes : [dtypes[(place + every) % dtypes.length]!]) {
      hadal.manualSeed(3);
      const draw = (size: readonly number[]): AnyTensor => hadal.randn(size).cast(dtype) as AnyTensor;
      const inputs = [draw(shape), draw([shape[1]!]), draw([shape[1]!])];
      await report.check(`group norm of [${shape.join(', ')}] in ${groups} groups in ${dtype}`, () =>
        checkOp((x, ...vectors) => functional.groupNorm(x!, groups, ...vectors), inputs, dtype, 'of groups'),
      );
    }
  }
  for (const [lines, length] of [
    [1, 1],
    [1, 4097],
    [1, 30_000],
    [7, 1200],
    [300, 33],
  ] as const) {
    for (const dtype of every === 1 ? (['float32', 'bfloat16', 'int64'] as const) : (['float32'] as const)) {
      await report.check(`sorts of ${lines} lines of ${length} in ${dtype}`, () => checkSorts(lines, length, dtype));
    }
  }
}
