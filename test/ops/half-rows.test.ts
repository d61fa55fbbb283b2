// Rows of bfloat16, which are walked by pairs of vectors: the same as in float32, rounded once at the end.
import {
  allCloseSync,
  arange,
  gradients,
  groupNorm,
  instanceNorm,
  manualSeed,
  nn,
  randn,
  tensor,
  type AnyTensor,
} from '../../lib/index';

const values = (x: AnyTensor): unknown => x.toArraySync();
const half = (shape: number[]): AnyTensor => randn(shape).cast('bfloat16') as AnyTensor;

beforeEach(() => manualSeed(5));

test('every bfloat16 goes through an op as through float32', () => {
  const x = tensor(
    Uint16Array.from({ length: 2 ** 16 }, (_, i) => i),
    { dtype: 'bfloat16' },
  ) as AnyTensor;
  const calls: Record<string, (y: AnyTensor, z: AnyTensor) => AnyTensor> = {
    neg: (y) => y.neg(),
    'a number that makes ties': (y) => y.mul(1.00390625),
    'the other end first': (y, z) => y.add(z),
    sqrt: (y) => y.sqrt(),
  };
  for (const [name, call] of Object.entries(calls)) {
    const wide = call(x.cast('float32') as AnyTensor, x.flip(0).cast('float32') as AnyTensor);
    expect([name, values(call(x, x.flip(0) as AnyTensor))]).toEqual([name, values(wide.cast('bfloat16'))]);
  }
});

test.each([31, 32, 33, 255, 256, 300, 1000])('sums and extrema of rows of %d', (n) => {
  // Sums of whole numbers are exact in float32.
  const x = arange(3 * n)
    .remainder(113)
    .sub(50)
    .reshape([3, n]) as AnyTensor;
  const y = x.cast('bfloat16') as AnyTensor;
  const calls: Record<string, (x: AnyTensor) => AnyTensor> = {
    sum: (x) => x.sum(1),
    'sum of all': (x) => x.sum(),
    amax: (x) => x.amax(1),
    amin: (x) => x.amin(1),
    argmax: (x) => x.argmax(1),
  };
  for (const [name, call] of Object.entries(calls)) {
    const result = call(y);
    expect([name, values(result)]).toEqual([name, values(call(x).cast(result.dtype))]);
  }
});

describe('norms', () => {
  const batchNorm = (x: AnyTensor, training: boolean): AnyTensor => {
    const norm = new nn.BatchNorm2d(4);
    if (!training) norm.eval();
    return norm.forward(x as never);
  };
  const normalised = (x: AnyTensor, axes: number[]): AnyTensor => {
    const centred = x.sub(x.mean(axes, { keepDims: true }));
    return centred.div(centred.square().mean(axes, { keepDims: true }).add(1e-5).sqrt()) as AnyTensor;
  };
  // The kernel, and the same of other ops.
  const calls: Record<string, [(x: AnyTensor) => AnyTensor, (x: AnyTensor) => AnyTensor]> = {
    'batch norm': [(x) => batchNorm(x, true), (x) => normalised(x, [0, 2, 3])],
    'batch norm in evaluation': [(x) => batchNorm(x, false), (x) => x.div(Math.sqrt(1 + 1e-5)) as AnyTensor],
    'group norm': [
      (x) => groupNorm(x, 2) as AnyTensor,
      (x) => normalised(x.reshape([3, 2, -1]) as AnyTensor, [2]).reshape(x.shape) as AnyTensor,
    ],
    'instance norm': [(x) => instanceNorm(x) as AnyTensor, (x) => normalised(x, [2, 3])],
  };
  test.each(Object.entries(calls))('%s', (_, [call, reference]) => {
    for (const [height, width] of [
      [1, 3],
      [4, 8],
      [3, 11],
      [7, 7],
      [8, 16],
      [13, 23],
    ] as const) {
      const x = half([3, 4, height, width]);
      const g = half([3, 4, height, width]);
      const wide = x.cast('float32') as AnyTensor;
      // Half a unit of the last place of bfloat16, relative to the largest terms.
      const near = { rtol: 2 ** -8, atol: 2 ** -8 };
      expect(allCloseSync(call(x).cast('float32') as AnyTensor, reference(wide), near)).toBe(true);
      const slope = (f: (x: AnyTensor) => AnyTensor, y: AnyTensor, by: AnyTensor): AnyTensor =>
        gradients([f(y)], [y], { gradients: [by] })[0]!.cast('float32') as AnyTensor;
      const own = slope(call, x.detach().requiresGrad_() as AnyTensor, g);
      const expected = slope(reference, wide.detach().requiresGrad_() as AnyTensor, g.cast('float32') as AnyTensor);
      expect(allCloseSync(own, expected, near)).toBe(true);
    }
  });
});

test.each([0, 1])('gradients of running sums of exponentials along axis %i are rounded once', (axis) => {
  for (const dtype of ['bfloat16', 'float16'] as const) {
    const [x, g] = [randn([90, 70]).cast(dtype), randn([90, 70]).cast(dtype)] as AnyTensor[];
    const slope = (of: 'float64' | typeof dtype): AnyTensor => {
      const leaf = x!.cast(of).detach().requiresGrad_() as AnyTensor;
      const [gx] = gradients([leaf.logCumSumExp(axis)], [leaf], { gradients: [g!.cast(of) as AnyTensor] });
      return gx!.cast('float64') as AnyTensor;
    };
    // Half a unit of the last place; sums of both signs are formed in float32.
    const unit = dtype === 'bfloat16' ? 2 ** -8 : 2 ** -11;
    expect(allCloseSync(slope(dtype), slope('float64'), { rtol: 1.01 * unit, atol: 1e-6 })).toBe(true);
  }
});
