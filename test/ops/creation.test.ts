// Creation: values, dtypes, what is refused, and that nothing is shared with the caller.
import * as hadal from '../../lib/index';
import {
  arange,
  ArgumentError,
  diag,
  DTypeError,
  empty,
  eye,
  fromBuffer,
  full,
  linspace,
  logspace,
  meshgrid,
  oneHot,
  ones,
  onesLike,
  ShapeError,
  tensor,
  zeros,
  zerosLike,
  type AnyTensor,
  type data,
  type DType,
} from '../../lib/index';

const seen = (x: AnyTensor): [DType, readonly number[], unknown] => [x.dtype, x.shape, x.toArraySync()];

const item = <D extends DType>(dtype: D, data: data.ArrayItem<D>['data']): data.ArrayItem<D> => ({
  dtype,
  shape: [1, 2],
  data,
});

describe('tensor', () => {
  test.each<[string, AnyTensor, DType, number[], unknown]>([
    ['a number', tensor(3), 'float32', [], 3],
    ['a boolean', tensor(true), 'bool', [], 1],
    ['a bigint', tensor(5n), 'int64', [], 5],
    [
      'nested numbers',
      tensor([
        [1, 2],
        [3, 4],
      ]),
      'float32',
      [2, 2],
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['booleans', tensor([[true], [false]]), 'bool', [2, 1], [[1], [0]]],
    ['booleans among numbers', tensor([true, 2]), 'float32', [2], [1, 2]],
    ['bigints', tensor([1n, -2n]), 'int64', [2], [1, -2]],
    ['numbers as int32', tensor([1.9, -1.9], { dtype: 'int32' }), 'int32', [2], [1, -1]],
    ['numbers as float64', tensor([[0.1]], { dtype: 'float64' }), 'float64', [1, 1], [[0.1]]],
    ['numbers as float16', tensor([0.1], { dtype: 'float16' }), 'float16', [1], [0.0999755859375]],
    ['a Float32Array', tensor(Float32Array.of(1, 2)), 'float32', [2], [1, 2]],
    ['a Float64Array', tensor(Float64Array.of(0.1)), 'float64', [1], [0.1]],
    ['an Int16Array', tensor(Int16Array.of(-7)), 'int16', [1], [-7]],
    ['a BigInt64Array', tensor(BigInt64Array.of(9n)), 'int64', [1], [9]],
    ['a Buffer', tensor(Buffer.from([1, 255])), 'uint8', [2], [1, 255]],
    [
      'a typed array in a shape',
      tensor(Int8Array.of(1, 2, 3, 4), { shape: [2, 2] }),
      'int8',
      [2, 2],
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['a typed array in another dtype', tensor(Uint8Array.of(0, 3), { dtype: 'bool' }), 'bool', [2], [0, 1]],
    ['bits of bfloat16', tensor(Uint16Array.of(0x3f80), { dtype: 'bfloat16' }), 'bfloat16', [1], [1]],
    [
      'rows that are typed arrays',
      tensor([Float32Array.of(1, 2), Float32Array.of(3, 4)]),
      'float32',
      [2, 2],
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['what a reader answers', tensor(item('uint8', Uint8Array.of(7, 8))), 'uint8', [1, 2], [[7, 8]]],
    ['that in another dtype', tensor(item('uint8', Uint8Array.of(7, 8)), { dtype: 'float32' }), 'float32', [1, 2], [[7, 8]]], // prettier-ignore
    ['that in another shape', tensor(item('bool', Uint8Array.of(1, 0)), { shape: [2] }), 'bool', [2], [1, 0]],
    ['bits that a reader answers', tensor(item('bfloat16', Uint16Array.of(0x3f80, 0x4000))), 'bfloat16', [1, 2], [[1, 2]]], // prettier-ignore
    ['those bits as numbers', tensor(item('float16', Uint16Array.of(0x3c00, 0x4000)), { dtype: 'int32' }), 'int32', [1, 2], [[1, 2]]], // prettier-ignore
    ['nothing', tensor([]), 'float32', [0], []],
    ['rows of nothing', tensor([[], []]), 'float32', [2, 0], [[], []]],
  ])('%s', (_, x, dtype, shape, expected) => {
    expect(seen(x)).toEqual([dtype, shape, expected]);
  });

  const endless: unknown[] = [];
  endless.push(endless);

  test.each<[string, unknown, object, Error]>([
    ['an array that holds itself', endless, {}, new ShapeError('tensor: too many axes: got 9, expected at most 8')],
    ['a short row', [[1, 2], [3]], {}, new ShapeError('tensor: ragged array: got length 1 at [1], expected length 2')],
    [
      'a deep short row',
      [
        [[1], [2]],
        [[3], [4, 5]],
      ],
      {},
      new ShapeError('tensor: ragged array: got length 2 at [1][1], expected length 1'),
    ],
    [
      'a number for a row',
      [[1], 2],
      {},
      new ShapeError('tensor: ragged array: got number 2 at [1], expected an array of length 1'),
    ],
    [
      'a row for a number',
      [1, [2]],
      {},
      new ShapeError('tensor: ragged array: got an array at [1], expected a number'),
    ],
    [
      'text',
      ['1'],
      {},
      new ArgumentError('tensor: an element is not a number: got string, expected number, bigint or boolean'),
    ],
    [
      "a reader's array of another size",
      { dtype: 'uint8', shape: [3], data: Uint8Array.of(1) },
      {},
      new ShapeError('tensor: data does not fill the shape: got 1 elements, expected 3 for [3]'),
    ],
    [
      'null',
      null,
      {},
      new ArgumentError('tensor: an element is not a number: got null, expected number, bigint or boolean'),
    ],
    [
      'undefined',
      [undefined],
      {},
      new ArgumentError('tensor: an element is not a number: got undefined, expected number, bigint or boolean'),
    ],
    ['NaN for an integer', [NaN], { dtype: 'int32' }, new DTypeError('tensor: int32 cannot hold a value: got NaN')],
    ['256 for uint8', [256], { dtype: 'uint8' }, new DTypeError('tensor: uint8 cannot hold a value: got 256')],
    [
      'an unknown dtype',
      [1],
      { dtype: 'float8' },
      new ArgumentError(`tensor: dtype: got string float8, expected ${hadalDTypes()}`),
    ],
    [
      'a gradient of integers',
      [1],
      { dtype: 'int32', requiresGrad: true },
      new ArgumentError('tensor: requiresGrad: got dtype int32, expected a floating dtype'),
    ],
    [
      'too many elements',
      Float32Array.of(1, 2, 3),
      { shape: [2] },
      new ShapeError('tensor: data does not fill the shape: got 3 elements, expected 2 for [2]'),
    ],
    [
      'a Uint32Array',
      Uint32Array.of(1),
      {},
      new ArgumentError(
        'tensor: data: got a Uint32Array, which has no dtype of its own, expected options with a dtype',
      ),
    ],
    [
      'an unknown device',
      [1],
      { device: 'tpu' },
      new hadal.DeviceError('tensor: device: got tpu, expected cpu, cuda or cuda:<number>'),
    ],
  ])('refuses %s', (_, data, options, error) => {
    expect(() => tensor(data as never, options)).toThrow(error);
  });

  function hadalDTypes(): string {
    return 'float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8, bool';
  }

  test('copies its data', () => {
    const data = Float32Array.of(1, 2);
    const x = tensor(data);
    data[0] = 9;
    expect(x.toArraySync()).toEqual([1, 2]);
  });

  test('reads a million numbers within a second', () => {
    const rows = Array.from({ length: 1000 }, (_, i) => Array.from({ length: 1000 }, (_, j) => i + j));
    const start = performance.now();
    const x = tensor(rows);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(x.select(0, 999).select(0, 999).itemSync()).toBe(1998);
  });

  test('requiresGrad makes a leaf', () => {
    const x = tensor([1], { requiresGrad: true });
    expect([x.requiresGrad, x.isLeaf]).toEqual([true, true]);
  });
});

describe('sizes', () => {
  test.each<[string, unknown, Error]>([
    ['NaN', [NaN], new ShapeError('zeros: not a size: got NaN in shape [NaN], expected a non-negative integer')],
    ['-1', [2, -1], new ShapeError('zeros: not a size: got -1 in shape [2, -1], expected a non-negative integer')],
    ['a fraction', [1.5], new ShapeError('zeros: not a size: got 1.5 in shape [1.5], expected a non-negative integer')],
    [
      '2^53',
      [2 ** 53],
      new ShapeError(
        'zeros: not a size: got 9007199254740992 in shape [9007199254740992], expected a non-negative integer',
      ),
    ],
    [
      'a product of 2^60',
      [2 ** 30, 2 ** 30],
      new ShapeError(
        'zeros: too many elements: got shape [1073741824, 1073741824], expected at most 2^53 - 1 elements',
      ),
    ],
    ['nine axes', [1, 1, 1, 1, 1, 1, 1, 1, 1], new ShapeError('zeros: too many axes: got 9, expected at most 8')],
    ['no array', 3, new ArgumentError('zeros: shape: got 3, expected an array of sizes')],
  ])('%s is refused', (_, shape, error) => {
    expect(() => zeros(shape as number[])).toThrow(error);
  });

  test('more memory than there is raises OutOfMemoryError, and the next op works', () => {
    expect(() => zeros([2 ** 50])).toThrow(hadal.OutOfMemoryError);
    expect(zeros([1]).itemSync()).toBe(0);
  });

  test('the caller may change the shape it gave', () => {
    const shape = [2, 3];
    const x = zeros(shape);
    shape[0] = 7;
    expect(x.shape).toEqual([2, 3]);
  });
});

describe('arange of more than a vector', () => {
  // Whole numbers of every width, a step that wraps in the dtype, and ends where double stops being exact or the dtype ends.
  test.each<[DType, number, number, number]>([
    ['int64', 0, 70_000, 1],
    ['int64', 2 ** 52 - 50, 2 ** 52 + 50, 1],
    ['int64', -(2 ** 62), 2 ** 62, 2 ** 53],
    ['int64', 2 ** 63 - 2 ** 20, 2 ** 63 + 2 ** 20, 2 ** 12],
    ['int32', 7, -200_000, -3],
    ['int32', -(2 ** 31), 2 ** 31, 2 ** 24 + 1],
    ['int32', 2 ** 31 - 40, 2 ** 31 + 40, 1],
    ['int16', -32_768, 32_767, 655],
    ['int8', 127, -129, -5],
    ['int8', 100, 200, 1],
    ['uint8', -20, 300, 1],
    ['uint8', 250, 0, -3],
    ['bool', -3, 60, 1],
    ['float32', -3.5, 70_000, 0.75],
    ['float64', 0.1, 10, 0.1],
    ['bfloat16', 0, 256, 1],
  ])('%s from %d to %d by %d', (dtype, start, end, step) => {
    const x = arange(start, end, step, { dtype });
    const numbers = Float64Array.from({ length: Math.ceil((end - start) / step) }, (_, i) => start + i * step);
    const limits: Partial<Record<DType, [number, number]>> = {
      int32: [-(2 ** 31), 2 ** 31 - 1],
      int16: [-(2 ** 15), 2 ** 15 - 1],
      int8: [-128, 127],
      uint8: [0, 255],
    };
    const [low, high] = limits[dtype] ?? [-Infinity, Infinity];
    const clipped = numbers.map((value) => Math.min(high, Math.max(low, value)));
    if (dtype === 'int64') {
      const bound = 2n ** 63n - 1n;
      const exact = BigInt64Array.from(numbers, (value) => (BigInt(value) > bound ? bound : BigInt(value)));
      expect(x.dataSync()).toEqual(exact);
    } else if (dtype === 'float64') {
      // One rounding or two, as the processor has it.
      expect(x.sub(tensor(numbers, { dtype })).abs().max().itemSync()).toBeLessThan(4e-15);
    } else {
      expect(x.toArraySync()).toEqual(tensor(clipped, { dtype }).toArraySync());
    }
  });
});

describe('filled and counted', () => {
  test.each<[string, AnyTensor, DType, number[], unknown]>([
    ['zeros', zeros([2]), 'float32', [2], [0, 0]],
    ['ones', ones([1, 2], { dtype: 'int8' }), 'int8', [1, 2], [[1, 1]]],
    ['full', full([2], 2.5, { dtype: 'float64' }), 'float64', [2], [2.5, 2.5]],
    ['full of a fraction in integers', full([1], 2.5, { dtype: 'int32' }), 'int32', [1], [2]],
    ['full of true', full([1], true), 'bool', [1], [1]],
    ['full of true in 16 bits', full([1], true, { dtype: 'float16' }), 'float16', [1], [1]],
    ['zerosLike', zerosLike(tensor([1n])), 'int64', [1], [0]],
    ['onesLike in another dtype', onesLike(tensor([1n]), { dtype: 'bool' }), 'bool', [1], [1]],
    ['fullLike', hadal.fullLike(tensor([1.5, 2]), 7), 'float32', [2], [7, 7]],
    ['arange', arange(3), 'float32', [3], [0, 1, 2]],
    ['arange in steps', arange(1, 2, 0.25, { dtype: 'float64' }), 'float64', [4], [1, 1.25, 1.5, 1.75]],
    ['arange downwards', arange(3, 0, -1, { dtype: 'int32' }), 'int32', [3], [3, 2, 1]],
    ['arange of nothing', arange(2, 2), 'float32', [0], []],
    ['linspace', linspace(1, 2, 5), 'float32', [5], [1, 1.25, 1.5, 1.75, 2]],
    ['linspace of one', linspace(1, 2, 1), 'float32', [1], [1]],
    ['linspace of none', linspace(1, 2, 0), 'float32', [0], []],
    ['logspace', logspace(0, 3, 4, { base: 2 }), 'float32', [4], [1, 2, 4, 8]],
    [
      'eye',
      eye(2, 3),
      'float32',
      [2, 3],
      [
        [1, 0, 0],
        [0, 1, 0],
      ],
    ],
    [
      'eye of bool',
      eye(2, { dtype: 'bool' }),
      'bool',
      [2, 2],
      [
        [1, 0],
        [0, 1],
      ],
    ],
    ['eye of nothing', eye(0), 'float32', [0, 0], []],
    [
      'oneHot',
      oneHot(tensor([2, 0], { dtype: 'int64' }), 3, { dtype: 'uint8' }),
      'uint8',
      [2, 3],
      [
        [0, 0, 1],
        [1, 0, 0],
      ],
    ],
    [
      'diag',
      diag(tensor([1, 2]), -1),
      'float32',
      [3, 3],
      [
        [0, 0, 0],
        [1, 0, 0],
        [0, 2, 0],
      ],
    ],
    [
      'fromBuffer',
      fromBuffer(Buffer.from(Float64Array.of(1, 2).buffer), { dtype: 'float64', shape: [2, 1] }),
      'float64',
      [2, 1],
      [[1], [2]],
    ],
  ])('%s', (_, x, dtype, shape, expected) => {
    expect(seen(x)).toEqual([dtype, shape, expected]);
  });

  test('linspace meets both ends exactly', () => {
    const x = linspace(0.1, 0.7, 7, { dtype: 'float64' }).toArraySync() as number[];
    expect([x[0], x[6]]).toEqual([0.1, 0.7]);
  });

  test.each<DType>(['float64', 'float32', 'int32', 'uint8'])('linspace of many %s', (dtype) => {
    // Several blocks of a kernel, an odd and an even number.
    for (const count of [5001, 4096]) {
      const [start, end] = dtype === 'uint8' ? [3, 250] : [-3, 250];
      const step = (end - start) / (count - 1);
      const expected = Array.from({ length: count }, (_, i) =>
        i < count / 2 ? start + i * step : end - (count - 1 - i) * step,
      );
      const own = tensor(Float64Array.from(expected)).cast(dtype);
      const off = linspace(start, end, count, { dtype }).cast('float64').sub(own).abs().max().itemSync();
      // Processors that multiply and add at once round once less, by a unit of the last place of 250.
      expect(off).toBeLessThanOrEqual(dtype === 'float64' ? 2 ** -45 : 0);
    }
  });

  test('logspace of floats and integers', () => {
    expect(logspace(-2, 4, 7, { dtype: 'float64' }).toArraySync()).toEqual([0.01, 0.1, 1, 10, 100, 1000, 10000]);
    expect(logspace(-2, 4, 7).toArraySync()).toEqual([0.01, 0.1, 1, 10, 100, 1000, 10000].map(Math.fround));
    expect(logspace(0, 3, 4, { dtype: 'int32' }).toArraySync()).toEqual([1, 10, 100, 1000]);
    expect(logspace(0, 3, 4, { base: -2 }).toArraySync()).toEqual([1, -2, 4, -8]);
    expect(() => logspace(0, 3, 4, { dtype: 'uint8' })).toThrow('logspace');
  });

  test('empty has the shape', () => {
    expect(hadal.emptyLike(tensor([[1n]])).dataSync()).toHaveLength(1);
    expect([empty([2, 0, 3]).shape, empty([4], { dtype: 'int16' }).dataSync()]).toEqual([
      [2, 0, 3],
      expect.any(Int16Array),
    ]);
  });

  test('meshgrid spans a grid', () => {
    const [x, y] = meshgrid([tensor([1, 2]), tensor([3, 4, 5])]);
    expect(x!.toArraySync()).toEqual([
      [1, 1, 1],
      [2, 2, 2],
    ]);
    expect(y!.toArraySync()).toEqual([
      [3, 4, 5],
      [3, 4, 5],
    ]);
  });

  test.each<[string, () => unknown, Error]>([
    [
      'a step of 0',
      () => arange(0, 1, 0),
      new ArgumentError('arange: step: got 0, expected one that leads from 0 to 1'),
    ],
    [
      'a step away',
      () => arange(0, 1, -1),
      new ArgumentError('arange: step: got -1, expected one that leads from 0 to 1'),
    ],
    [
      'a fraction of integers',
      () => arange(0, 1, 0.5, { dtype: 'int32' }),
      new ArgumentError('arange: bounds: got start 0, end 1, step 0.5, expected finite numbers that fit int32'),
    ],
    [
      'infinity',
      () => arange(Infinity),
      new ArgumentError('arange: bounds: got start 0, end Infinity, step 1, expected finite numbers that fit float32'),
    ],
    [
      'a negative count',
      () => linspace(0, 1, -1),
      new ShapeError('linspace: not a size: got -1 in shape [-1], expected a non-negative integer'),
    ],
    [
      'a value that does not fit',
      () => full([1], 300, { dtype: 'uint8' }),
      new DTypeError('full: uint8 cannot hold a value: got 300'),
    ],
    [
      'bytes that do not fit',
      () => fromBuffer(Buffer.alloc(5), { shape: [1] }),
      new ShapeError('fromBuffer: bytes do not fill the shape: got 5 bytes, expected 4 for [1] of float32'),
    ],
    [
      'a float index',
      () => oneHot(tensor([1]) as never, 2),
      new DTypeError('oneHot: index: got float32, expected int64 or int32'),
    ],
  ])('refuses %s', (_, call, error) => {
    expect(call).toThrow(error);
  });

  test('oneHot reports an index outside at the next read', async () => {
    const x = oneHot(tensor([0, 3], { dtype: 'int32' }), 3);
    await expect(x.data()).rejects.toThrow(hadal.IndexError);
    expect(zeros([1]).itemSync()).toBe(0);
  });
});
