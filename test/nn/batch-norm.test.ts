import { autocast, compile, manualSeed, nn, optim, randn, zeros, type AnyTensor, type DType } from 'hadal';

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

test('an empty batch leaves the statistics alone', () => {
  const layer = make('relu');
  expect(layer.forward(zeros([0, 5, 6, 7]), zeros([0, 5, 6, 7])).shape).toEqual([0, 5, 6, 7]);
  expect(layer.runningMean!.toArraySync()).toEqual([0, 0, 0, 0, 0]);
});
