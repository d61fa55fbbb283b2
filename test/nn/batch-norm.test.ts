import {
  autocast,
  compile,
  full,
  manualSeed,
  nn,
  ones,
  optim,
  randn,
  variance,
  zeros,
  type AnyTensor,
  type DType,
} from 'hadal';

type Layer = nn.BatchNorm2d;

const make = (activation?: 'relu'): Layer => {
  manualSeed(11);
  const layer = new nn.BatchNorm2d(5, activation && { activation });
  for (const parameter of layer.parameters()) parameter.requiresGrad_(false).uniform_(-1, 1).requiresGrad_(true);
  return layer;
};

const gradientsOf = (y: AnyTensor, of: readonly AnyTensor[]): number[][] => {
  for (const tensor of of) tensor.grad = undefined;
  y.mul(y.detach().add(1)).sum().backward();
  return of.map(({ grad }) => grad!.cast('float64').flatten().toArraySync() as number[]);
};

/** The largest difference, as a part of the largest number. */
function difference(a: readonly number[][], b: readonly number[][]): number {
  const [flat, other] = [a.flat(), b.flat()];
  const largest = Math.max(...flat.map(Math.abs));
  return Math.max(...flat.map((value, i) => Math.abs(value - other[i]!))) / largest;
}

describe.each([true, false])('a residual and ReLU as part of batch norm, training: %s', (training) => {
  // Rounding of the output's dtype: what is one op is not rounded between.
  test.each([
    ['float64', 'float64', 1e-12],
    ['float32', 'float32', 1e-5],
    ['bfloat16', 'bfloat16', 2 ** -6],
    ['bfloat16', 'float32', 2 ** -6],
  ] as const)('%s with a residual of %s', (dtype, residualDType, tolerance) => {
    const [joined, apart] = [make('relu'), make()];
    for (const layer of [joined, apart]) layer.train(training).to(dtype === 'bfloat16' ? 'float32' : dtype);
    manualSeed(12);
    const draw = (of: DType): AnyTensor => randn([4, 5, 6, 7]).cast(of).detach().requiresGrad_() as AnyTensor;
    const [x, residual] = [draw(dtype), draw(residualDType)];
    for (const past of [undefined, residual]) {
      const plain = apart.forward(x);
      const expected = (past === undefined ? plain : plain.add(past)).relu() as AnyTensor;
      const y = joined.forward(x, past);
      expect(y.dtype).toBe(expected.dtype);
      const wide = (t: AnyTensor): number[][] => [t.detach().cast('float64').flatten().toArraySync() as number[]];
      expect(difference(wide(expected), wide(y))).toBeLessThan(tolerance);
      const inputs = past === undefined ? [x] : [x, past];
      const results = gradientsOf(y, [...inputs, joined.weight!, joined.bias!]);
      expect(difference(gradientsOf(expected, [...inputs, apart.weight!, apart.bias!]), results)).toBeLessThan(
        4 * tolerance,
      );
    }
    expect(joined.runningVar!.toArraySync()).toEqual(apart.runningVar!.toArraySync());
  });
});

test('a compiled step of a residual block in mixed precision', () => {
  const train = (wrap: (f: (x: AnyTensor) => AnyTensor) => (x: AnyTensor) => AnyTensor): number[] => {
    manualSeed(13);
    const convolution = new nn.Conv2d(5, 5, 3, { padding: 1, bias: false });
    const [first, second] = [make('relu'), make('relu')];
    const optimizer = new optim.SGD([...convolution.parameters(), ...first.parameters(), ...second.parameters()], {
      lr: 0.1,
    });
    const step = wrap((x) => {
      optimizer.zeroGrad();
      const y = autocast('bfloat16', () => {
        const start = first.forward(convolution.forward(x));
        return second.forward(convolution.forward(start), start);
      });
      const loss = y.cast('float32').square().mean() as AnyTensor;
      loss.backward();
      optimizer.step();
      return loss;
    });
    return Array.from({ length: 5 }, () => step(randn([4, 5, 6, 7])).itemSync() as number);
  };
  expect(train(compile)).toEqual(train((f) => f));
});

const { batchNorm } = nn.functional;
const numbersOf = (x: AnyTensor): number[] => x.cast('float64').toArraySync() as number[];

describe('running statistics', () => {
  test.each([
    ['float64', 'float64', 1e-12],
    ['float32', 'float32', 1e-6],
    ['bfloat16', 'float32', 1e-6],
    ['float16', 'bfloat16', 2 ** -7],
    ['float32', 'float64', 1e-6],
  ] as const)('of %s, kept in %s, move by the momentum', (dtype, kept, tolerance) => {
    manualSeed(14);
    const x = randn([4, 5, 6, 7]).mul(3).add(2).cast(dtype) as AnyTensor;
    const wide = x.cast('float64');
    const batch = [wide.mean([0, 2, 3]), variance(wide, [0, 2, 3])] as AnyTensor[];
    for (const momentum of [0, 0.125, 0.75, 1]) {
      for (const by of [momentum, full([], momentum), full([1, 1], momentum, { dtype: 'float64' })]) {
        for (const [movesMean, movesVariance] of [
          [true, true],
          [true, false],
          [false, true],
        ]) {
          const before = [-1, 2].map((value) => full([5], value, { dtype: kept })) as AnyTensor[];
          const running = before.map((tensor) => tensor.clone());
          const options = { training: true, momentum: by };
          batchNorm(
            x,
            movesMean ? running[0] : undefined,
            movesVariance ? running[1] : undefined,
            undefined,
            undefined,
            options,
          );
          running.forEach((tensor, i) => {
            const share = [movesMean, movesVariance][i] ? momentum : 0;
            const expected = before[i]!.cast('float64').lerp(batch[i]!, share) as AnyTensor;
            expect(difference([numbersOf(expected)], [numbersOf(tensor)])).toBeLessThan(tolerance);
          });
        }
      }
    }
  });

  test('of strided vectors, beside a counter', () => {
    manualSeed(15);
    const x = randn([8, 3]) as AnyTensor;
    const table = zeros([3, 2]);
    const numBatchesTracked = zeros([], { dtype: 'int64' });
    const options = { training: true, momentum: 1, numBatchesTracked };
    for (let i = 0; i < 3; i++) batchNorm(x, table.select(1, 0), table.select(1, 1), undefined, undefined, options);
    expect(difference([numbersOf(x.mean(0) as AnyTensor)], [numbersOf(table.select(1, 0))])).toBeLessThan(1e-6);
    expect(difference([numbersOf(variance(x, 0) as AnyTensor)], [numbersOf(table.select(1, 1))])).toBeLessThan(1e-6);
    expect(numBatchesTracked.itemSync()).toBe(3);
  });

  test('stay as they are when the call throws', () => {
    const layer = make();
    const wrong = zeros([4, 5, 6, 6]);
    expect(() => layer.forward(zeros([4, 5, 6, 7]), wrong)).toThrow('residual does not fit');
    expect(() => layer.forward(zeros([1, 5, 1, 1]))).toThrow('has no variance');
    expect(numbersOf(layer.runningVar!)).toEqual([1, 1, 1, 1, 1]);
    expect(layer.numBatchesTracked!.itemSync()).toBe(0);
    layer.forward(ones([4, 5, 6, 7]));
    expect(layer.numBatchesTracked!.itemSync()).toBe(1);
    layer.eval().forward(ones([4, 5, 6, 7]));
    expect(layer.numBatchesTracked!.itemSync()).toBe(1);
  });

  test('are written to in place, as the graph sees it', () => {
    const x = randn([8, 3]) as AnyTensor;
    const [mean, weight] = [zeros([3]) as AnyTensor, ones([3]).detach().requiresGrad_() as AnyTensor];
    const y = weight.mul(mean);
    const train = (running: AnyTensor, options = {}): AnyTensor =>
      batchNorm(x, running, undefined, undefined, undefined, { training: true, ...options });
    train(mean);
    expect(() => y.sum().backward()).toThrow('changed');
    expect(() => train(weight)).toThrow(
      'batchNorm: in-place write to a tensor that requires a gradient: got a leaf, expected noGrad(() => …) around it',
    );
    expect(() => train(zeros([1]).expand([3]))).toThrow('in-place write to an expanded tensor');
    expect(() => train(zeros([3], { dtype: 'int32' }))).toThrow('batchNorm: dtype: got int32');
    expect(() => train(mean, { momentum: ones([3]) })).toThrow('momentum does not fit: got shape [3], expected [1]');
    expect(() => train(mean, { numBatchesTracked: zeros([]) })).toThrow(
      'batchNorm: dtype: got float32, expected int64',
    );
    expect(() => train(mean, { numBatchesTracked: zeros([1], { dtype: 'int64' }) })).toThrow(
      'batchNorm: numBatchesTracked does not fit: got shape [1], expected []',
    );
  });
});

test('an empty batch leaves the statistics alone', () => {
  const layer = make('relu');
  expect(layer.forward(zeros([0, 5, 6, 7]), zeros([0, 5, 6, 7])).shape).toEqual([0, 5, 6, 7]);
  expect(layer.runningMean!.toArraySync()).toEqual([0, 0, 0, 0, 0]);
});
