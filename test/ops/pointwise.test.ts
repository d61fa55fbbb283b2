// What the samples of the pointwise ops do not show: mixed dtypes, wrapping integers, writing in place, and what is refused.
import {
  add,
  addcdiv,
  addcmul,
  allClose,
  allCloseSync,
  arange,
  ArgumentError,
  AutogradError,
  bitwiseAnd,
  clamp,
  DTypeError,
  div,
  equal,
  equalSync,
  fmax,
  gammainc,
  gammaincc,
  gradients,
  greater,
  hardtanh,
  i1,
  i1e,
  less,
  logAddExp,
  logAddExp2,
  logCumSumExp,
  minimum,
  noGrad,
  ones,
  pad,
  pow,
  ShapeError,
  tensor,
  where,
  zeros,
  zeta,
  type AnyTensor,
  type DType,
  type Tensor,
} from '../../lib/index';

const values = (x: AnyTensor): unknown => x.toArraySync();
const ints = (data: number[], dtype: DType = 'int32'): AnyTensor => tensor(data, { dtype });

describe('dtypes', () => {
  test.each<[string, () => AnyTensor, DType, unknown]>([
    ['int32 + float32', () => add(ints([1, 2]), tensor([0.5, 1])), 'float32', [1.5, 3]],
    ['int32 + 0-d float64', () => add(ints([1, 2]), tensor(0.5, { dtype: 'float64' })), 'float64', [1.5, 2.5]],
    ['float32 + 0-d float64', () => add(tensor([1, 2]), tensor(0.5, { dtype: 'float64' })), 'float32', [1.5, 2.5]],
    [
      'float16 + bfloat16',
      () => add(tensor([1], { dtype: 'float16' }), tensor([2], { dtype: 'bfloat16' })),
      'float32',
      [3],
    ],
    ['uint8 + int8', () => add(ints([200], 'uint8'), ints([-100], 'int8')), 'int16', [100]],
    ['int32 + 2', () => add(ints([1]), 2), 'int32', [3]],
    ['int32 + 1.5', () => add(ints([1]), 1.5), 'float32', [2.5]],
    ['bool + 1', () => add(tensor([true]), 1), 'int64', [2]],
    ['bool + bool', () => add(tensor([true, false]), tensor([true, false])), 'bool', [1, 0]],
    ['int32 / int32', () => div(ints([1]), ints([4])), 'float32', [0.25]],
    ['uint8 wraps', () => add(ints([250], 'uint8'), 10), 'uint8', [4]],
    ['int8 wraps', () => ints([100], 'int8').mul(2), 'int8', [-56]],
    ['clamp with a fraction', () => clamp(ints([0, 5]), 0.5), 'float32', [0.5, 5]],
    ['clamp of int64 without an upper bound', () => clamp(tensor([2n ** 62n]), 0), 'int64', [2 ** 62]],
    ['where of a number and int32', () => where(tensor([true, false]), 7, ints([1, 2])), 'int32', [7, 2]],
    ['where of numbers', () => where(tensor([true, false]), 7, 8), 'float32', [7, 8]],
  ])('%s', (_, make, dtype, expected) => {
    const x = make();
    expect([x.dtype, values(x)]).toEqual([dtype, expected]);
  });

  test.each<DType>(['float16', 'bfloat16'])('a number beside %s is not rounded before it is used', (dtype) => {
    const inputs = Array.from({ length: 1000 }, (_, i) => (i - 500) / 37);
    const x = tensor(inputs, { dtype });
    const wide = x.cast('float32');
    const scale = tensor([0.1, 3], { dtype }).reshape([2, 1]);
    const calls: Record<string, (y: AnyTensor) => AnyTensor> = {
      mul: (y) => y.mul(0.1),
      add: (y) => y.add(1 / 3),
      div: (y) => y.div(0.7),
      'a number first': (y) => div(0.7, y),
      pow: (y) => y.abs().pow(0.1),
      lerp: (y) => y.lerp(2, 0.3),
      addcmul: (y) => y.addcmul(0.1, 0.7),
      'a few elements': (y) => y.slice(0, 3, 6).mul(0.1),
      'one element': (y) => y.slice(0, 3, 4).mul(0.1),
      'a scalar': (y) => y.select(0, 3).div(0.7),
      strided: (y) => y.reshape([10, 100]).transpose().mul(0.1),
      'rows beside a broadcast operand': (y) => y.expand([2, 1000]).addcmul(scale.cast(y.dtype), 0.1),
      'in place': (y) => y.clone().mul_(0.1),
    };
    for (const [name, call] of Object.entries(calls)) {
      expect([name, values(call(x))]).toEqual([name, values(call(wide).cast(dtype))]);
    }
    // What a tensor holds of a number equals the number.
    expect(values(tensor([0.1], { dtype }).equalTo(0.1))).toEqual([1]);
    expect(values(where(tensor([true, false]), 0.1, tensor([1, 2], { dtype })))).toEqual(
      values(tensor([0.1, 2], { dtype })),
    );
  });

  test('a comparison with a number that the dtype does not hold does not wrap', () => {
    expect(values(less(ints([5, 255], 'uint8'), 300))).toEqual([1, 1]);
    expect(values(greater(ints([5, 255], 'uint8'), -1))).toEqual([1, 1]);
    expect(values(ints([127], 'int8').equalTo(383))).toEqual([0]);
    expect(values(greater(300, ints([44], 'uint8')))).toEqual([1]);
  });

  test.each([
    [
      'neg',
      () => tensor([true]).neg(),
      'neg: dtype: got bool, expected float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8',
    ],
    [
      'bitwiseAnd',
      () => bitwiseAnd(tensor([1]), 1),
      'bitwiseAnd: dtype: got float32, expected int64, int32, int16, int8, uint8, bool',
    ],
    ['where', () => where(ints([1]), 1, 2), 'where: condition: got int32, expected bool'],
  ])('%s refuses what it does not take', (_, call, message) => {
    expect(call).toThrow(new DTypeError(message));
  });
});

describe('shapes', () => {
  test('that do not broadcast are named', () => {
    const a: AnyTensor = zeros([2, 3]);
    const b: AnyTensor = zeros([2, 4]);
    expect(() => a.add(b)).toThrow(new ShapeError('add: shapes [2, 3] and [2, 4] do not broadcast: 3 vs 4 at axis -1'));
    expect(() => where(a.less(1), a, b)).toThrow(ShapeError);
  });

  test('what is no tensor is refused', () => {
    expect(() => tensor([1]).add('x' as never)).toThrow('add: second operand: got string x, expected a tensor');
    expect(() => add(1, 2)).toThrow('add: got two numbers, expected at least one tensor');
    expect(() => tensor([1]).add({} as never)).toThrow('add: second operand: got an object, expected a tensor');
  });

  test('integers to a negative power', () => {
    expect(() => pow(ints([2]), -1)).toThrow(
      'pow: exponent: got -1, expected at least 0 for a base of int32; cast it to a float',
    );
  });
});

// A 4-d tensor of small whole numbers that repeats along the axes of `mask`, laid out plainly, as part of longer rows, or with its
// rows across; and its value at a place.
type Laid = { x: AnyTensor; at: (place: number[]) => number };
function laid(shape: readonly number[], mask: number, layout: string, dtype: DType, seed: number): Laid {
  const own = shape.map((size, axis) => ((mask >> axis) & 1 ? 1 : size));
  const [a, b, c, d] = own as [number, number, number, number];
  const at = (place: number[]): number => {
    const sum = place.reduce((total, i, axis) => total + (own[axis] === 1 ? 0 : i * [11, 7, 5, 3][axis]!), seed);
    return sum % 40;
  };
  const data: number[] = [];
  for (let i = 0; i < a * b * c * d; ++i) {
    data.push(at([Math.floor(i / (b * c * d)), Math.floor(i / (c * d)) % b, Math.floor(i / d) % c, i % d]));
  }
  const plain = tensor(data, { dtype }).reshape(own) as AnyTensor;
  if (layout === 'cut') return { x: pad(plain, [[1, 2]]).narrow(3, 1, d), at };
  if (layout === 'across') return { x: plain.permute([3, 1, 2, 0]).contiguous().permute([3, 1, 2, 0]), at };
  return { x: plain, at };
}

describe('short rows', () => {
  const layouts = ['plain', 'cut', 'across'];
  // In all more than a block of 1024, which so begins and ends inside a row.
  test.each<[number, DType]>([
    [1, 'float32'],
    [2, 'float32'],
    [3, 'bfloat16'],
    [5, 'int8'],
    [7, 'float32'],
    [8, 'float64'],
    [16, 'int16'],
    [33, 'uint8'],
    [49, 'float32'],
    [70, 'bfloat16'],
  ])('of %d elements of %s, of every layout', (n, dtype) => {
    const shape = [3, Math.ceil(130 / n), 7, n];
    const size = shape.reduce((product, length) => product * length, 1);
    const places = Array.from({ length: size }, (_, i) => {
      const rest = [Math.floor(i / n), Math.floor(i / n / 7)] as const;
      return [Math.floor(rest[1] / shape[1]!), rest[1] % shape[1]!, rest[0] % 7, i % n];
    });
    for (let mask = 0; mask < 16; ++mask) {
      for (const [i, layout] of layouts.entries()) {
        const first = laid(shape, mask, layout, dtype, 1);
        const second = laid(shape, (mask * 7 + 5 * i) % 16, layouts[(i + mask) % 3]!, dtype, 2);
        const sums = places.map((place) => first.at(place) + second.at(place));
        const whole = laid(shape, 0, layout, dtype, 3);
        const label = `${mask} ${layout}`;
        const sum = first.x.add(second.x).expand(shape as never) as AnyTensor;
        expect([label, values(sum.reshape([-1]))]).toEqual([label, sums]);
        whole.x.add_(first.x);
        const added = places.map((place) => whole.at(place) + first.at(place));
        expect([label, values(whole.x.reshape([-1]))]).toEqual([label, added]);
      }
    }
  });

  test('what lies between the rows of the result stays', () => {
    const x = tensor(new Array<number>(200 * 2 * 9).fill(5)).reshape([200, 2, 9]) as AnyTensor;
    x.narrow(2, 1, 7).add_(arange(200).reshape([200, 1, 1]));
    const expected = Array.from({ length: 200 }, (_, i) =>
      [0, 1].map(() => [5, ...new Array<number>(7).fill(5 + i), 5]),
    );
    expect(values(x)).toEqual(expected);
  });
});

describe('in place', () => {
  test.each<[string, (x: AnyTensor) => AnyTensor, unknown]>([
    [
      'add_',
      (x) => x.add_(tensor([10, 20])),
      [
        [11, 22],
        [13, 24],
      ],
    ],
    [
      'sub_',
      (x) => x.sub_(1),
      [
        [0, 1],
        [2, 3],
      ],
    ],
    [
      'mul_',
      (x) => x.mul_(tensor([[2], [3]])),
      [
        [2, 4],
        [9, 12],
      ],
    ],
    [
      'div_',
      (x) => x.div_(2),
      [
        [0.5, 1],
        [1.5, 2],
      ],
    ],
    [
      'lerp_',
      (x) => x.lerp_(0, 0.5),
      [
        [0.5, 1],
        [1.5, 2],
      ],
    ],
    [
      'addcmul_',
      (x) => x.addcmul_(tensor([1, 2]), 3, { value: 2 }),
      [
        [7, 14],
        [9, 16],
      ],
    ],
    [
      'addcdiv_',
      (x) => x.addcdiv_(tensor([1, 2]), 4, { value: 2 }),
      [
        [1.5, 3],
        [3.5, 5],
      ],
    ],
    [
      'fill_',
      (x) => x.fill_(5),
      [
        [5, 5],
        [5, 5],
      ],
    ],
    [
      'zero_',
      (x) => x.zero_(),
      [
        [0, 0],
        [0, 0],
      ],
    ],
  ])('%s writes into x, also through a strided view', (_, write, expected) => {
    const x: AnyTensor = tensor([
      [1, 2],
      [3, 4],
    ]);
    const { version } = x.storage;
    expect(write(x)).toBe(x);
    expect(values(x)).toEqual(expected);
    expect(x.storage.version).toBe(version + 1);
    const wide: AnyTensor = tensor([
      [1, 9, 2, 9],
      [3, 9, 4, 9],
    ]);
    write(wide.slice(1, 0, 4, 2));
    const [top, bottom] = expected as number[][];
    expect(values(wide)).toEqual([
      [top![0], 9, top![1], 9],
      [bottom![0], 9, bottom![1], 9],
    ]);
  });

  test('another view of the same memory is read before it changes', () => {
    const x: AnyTensor = arange(4).reshape([2, 2]);
    x.add_(x.transpose());
    expect(values(x)).toEqual([
      [0, 3],
      [3, 6],
    ]);
    const line: AnyTensor = arange(4);
    line.slice(0, 1).add_(line.slice(0, 0, 3));
    expect(values(line)).toEqual([0, 1, 3, 5]);
  });

  test('what does not fit is refused and changes nothing', () => {
    const x: AnyTensor = ints([1, 2]);
    expect(() => x.add_(0.5)).toThrow(
      new DTypeError('add_: the result does not fit into the tensor: got the number 0.5, expected what int32 holds'),
    );
    expect(() => x.add_(tensor([1, 2]))).toThrow(
      new DTypeError('add_: the result does not fit into the tensor: got float32, expected what int32 holds'),
    );
    expect(() => x.div_(2)).toThrow('div_: dtype: got int32, expected float64, float32, float16, bfloat16');
    expect(() => x.add_(zeros([2, 2], { dtype: 'int32' }))).toThrow(
      new ShapeError('add_: operand does not fit: got [2, 2], expected one that broadcasts to [2]'),
    );
    expect(values(x)).toEqual([1, 2]);
  });

  test('a leaf that requires a gradient is written to only without recording', () => {
    const x = tensor([1, 2], { requiresGrad: true });
    expect(() => x.add_(1)).toThrow(/in-place write to a tensor that requires a gradient/);
    noGrad(() => x.add_(1));
    expect(values(x)).toEqual([2, 3]);
  });
});

test('a bound of clamp takes the gradient only where it takes the place of x', () => {
  const x = tensor([1, 2, 3, 5], { requiresGrad: true });
  const min = tensor([1, 3, 0, 0], { requiresGrad: true });
  const max = tensor([4], { requiresGrad: true });
  const y = x.clamp(min, max);
  y.sum().backward();
  expect(values(y)).toEqual([1, 3, 3, 4]);
  expect([x.grad!, min.grad!, max.grad!].map(values)).toEqual([[1, 0, 1, 0], [0, 1, 0, 0], [1]]);
});

test('a bound of clamp promotes and broadcasts x', () => {
  const bytes = tensor([1, 200], { dtype: 'uint8' });
  const y = bytes.clamp(tensor(0, { dtype: 'uint8' }), tensor([300, 150], { dtype: 'int32' }));
  expect([y.dtype, values(y)]).toEqual(['int32', [1, 150]]);
  expect(values(bytes.clamp(tensor([2, 2], { dtype: 'uint8' }), 300))).toEqual([2, 200]);
  const x = tensor([0, 3], { requiresGrad: true });
  const z = x.clamp(undefined, tensor([[1], [4]], { dtype: 'float64' }));
  z.sum().backward();
  expect([z.dtype, z.shape, values(z), values(x.grad!)]).toEqual([
    'float64',
    [2, 2],
    [
      [0, 1],
      [0, 3],
    ],
    [2, 1],
  ]);
  expect(() => x.clamp(0, tensor([1, 2, 3]))).toThrow(
    new ShapeError('clamp: shapes [2] and [3] do not broadcast: 2 vs 3 at axis -1'),
  );
});

const bytes = (): AnyTensor => tensor([1, 200], { dtype: 'uint8' });
const mask = (): AnyTensor => tensor([true, false]);
test.each<[string, (value: number) => AnyTensor]>([
  ['maximum', (value) => bytes().maximum(value)],
  ['fmax', (value) => fmax(bytes(), value) as AnyTensor],
  ['minimum', (value) => minimum(value, bytes()) as AnyTensor],
  ['where', (value) => where(mask() as Tensor<[2], 'bool'>, bytes(), value) as AnyTensor],
  ['maskedFill', (value) => bytes().maskedFill(mask() as Tensor<[2], 'bool'>, value)],
  ['indexFill', (value) => bytes().indexFill(0, tensor([0], { dtype: 'int32' }), value)],
  ['setAt', (value) => bytes().setAt([0], value)],
  ['scatter', (value) => bytes().scatter(0, tensor([0], { dtype: 'int32' }), value)],
  ['pad', (value) => bytes().pad([[0, 1]], { value })],
])('%s refuses a number that integers do not hold, and does not wrap it', (op, call) => {
  for (const value of [300, -1]) {
    expect(() => call(value)).toThrow(new DTypeError(`${op}: uint8 cannot hold a value: got ${value}`));
  }
  expect(() => call(255)).not.toThrow();
});

test.each<[string, () => unknown, string]>([
  ['addcmul', () => addcmul(tensor([1]), 2, 3, { value: true as never }), 'value: got boolean true, expected a number'],
  ['addcdiv', () => addcdiv(tensor([1]), 2, 3, { value: '1' as never }), 'value: got string 1, expected a number'],
  ['hardtanh', () => hardtanh(tensor([1]), 1, -1), 'bounds: got 1 and -1, expected the lower one first'],
])('%s refuses an argument', (op, call, message) => {
  expect(call).toThrow(new ArgumentError(`${op}: ${message}`));
});

test.each<[string, (x: AnyTensor) => AnyTensor, number, number]>([
  ['logAddExp of equal operands', (x) => logAddExp(x, 3), 3, 1 / 4],
  ['logAddExp2 of equal operands', (x) => logAddExp2(x, 3), 3, Math.LN2 / 4],
  ['i1 at 0', (x) => i1(x), 0, 0],
  ['i1e at 0', (x) => i1e(x), 0, 0],
])('the second derivative of %s', (_, f, at, expected) => {
  const x = tensor([at], { dtype: 'float64', requiresGrad: true });
  const [slope] = gradients([f(x)], [x], { createGraph: true });
  expect(gradients([slope!], [x])[0]!.itemSync()).toBeCloseTo(expected, 12);
});

test('logCumSumExp of nothing has no gradient', () => {
  const x = tensor([-Infinity, -Infinity, 0, 0], { requiresGrad: true });
  const y = logCumSumExp(x, 0);
  expect(values(y)).toEqual([-Infinity, -Infinity, 0, Math.fround(Math.LN2)]);
  y.sum().backward();
  expect(values(x.grad!)).toEqual([0, 0, 1.5, 0.5]);
});

test('allClose and equal answer for whole tensors', async () => {
  const a = tensor([1, 2]);
  expect(await allClose(a, tensor([1.000001, 2]))).toBe(true);
  expect(allCloseSync(a, tensor([1.1, 2]))).toBe(false);
  expect(await a.allClose(2, { atol: 1 })).toBe(true);
  expect(await equal(a, tensor([1, 2]))).toBe(true);
  expect(equalSync(a, tensor([1, 3]))).toBe(false);
  expect(equalSync(a, tensor([[1, 2]]))).toBe(false);
  expect(equalSync(a, ints([1, 2]))).toBe(false);
  expect(equalSync(zeros([0]), ones([0]))).toBe(true);
  expect(() => allCloseSync(a, a, { rtol: -1 })).toThrow(
    'isClose: tolerances: got rtol -1 and atol 1e-8, expected numbers of at least 0',
  );
});

const permutations = (axes: readonly number[]): number[][] =>
  axes.length <= 1
    ? [[...axes]]
    : axes.flatMap((axis) => permutations(axes.filter((other) => other !== axis)).map((rest) => [axis, ...rest]));

test.each([[[9, 3000, 7]], [[2, 1500, 2, 11]], [[3, 40, 5, 40]]])(
  'elements of %p are put in any order of the axes',
  (shape) => {
    const size = shape.reduce((a, b) => a * b);
    const x: AnyTensor = arange(size).reshape(shape);
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    for (const order of permutations(shape.map((_, axis) => axis))) {
      let places = [0];
      for (const axis of order) {
        places = places.flatMap((place) => Array.from({ length: shape[axis]! }, (_, i) => place + i * strides[axis]!));
      }
      const y: AnyTensor = x.permute(order);
      const got = y.contiguous().dataSync();
      expect(places.findIndex((place, i) => got[i] !== place)).toBe(-1);
      expect(y.add(y.neg()).abs().max().itemSync()).toBe(0);
    }
  },
);

test('zeta far left of 0 adds up what lies near it', () => {
  const q = tensor([-1e9 - 0.5, -(2 ** 40) - 0.5, -3.5], { dtype: 'float64' });
  const near = [0.5, 1.5, 2.5, 3.5].map((distance) => distance ** -2).reduce((a, b) => a + b);
  const expected = [Math.PI ** 2 - 1e-9, Math.PI ** 2, Math.PI ** 2 / 2 + near];
  expect(allCloseSync(zeta(2, q), tensor(expected, { dtype: 'float64' }), { rtol: 1e-12 })).toBe(true);
});

test('zeta of an infinite or very large s ends', () => {
  const s = tensor([Infinity, Infinity, Infinity, 1e300, 1e9], { dtype: 'float64' });
  const q = tensor([0.5, 1, 9e9, 9e9, 9e7], { dtype: 'float64' });
  expect(zeta(s, q).toArraySync()).toEqual([Infinity, 1, 0, 0, 0]);
});

test('incomplete gamma functions of an x far below a are 0 and 1', () => {
  const a = tensor([1e20, 1e6, 2e5], { dtype: 'float64' });
  const x = tensor([501, 1e-300, 1e-15], { dtype: 'float64' });
  expect(gammainc(a, x).toArraySync()).toEqual([0, 0, 0]);
  expect(gammaincc(a, x).toArraySync()).toEqual([1, 1, 1]);
});

test.each([
  ['gammainc', 'a', gammainc],
  ['gammaincc', 'a', gammaincc],
  ['zeta', 's', zeta],
] as const)('%s refuses the gradient that it does not have', (op, name, call) => {
  const first = tensor([2]).requiresGrad_();
  expect(() =>
    call(first, tensor([3]))
      .sum()
      .backward(),
  ).toThrow(
    new AutogradError(
      `${op}: ${name}: got a tensor that requires a gradient, expected one without: only the other has one`,
    ),
  );
});
