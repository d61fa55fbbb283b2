// linearCrossEntropy beside crossEntropy of linear: the samples have its values; here are pieces, memory and what surrounds a loss.
import {
  autocast,
  compile,
  gradients,
  linear,
  manualSeed,
  memory,
  nn,
  noGrad,
  randint,
  randn,
  resetPeakMemory,
  scope,
  tensor,
  zeros,
  type AnyTensor,
  type LinearCrossEntropyOptions,
} from '../../lib/index';

const { functional } = nn;
type Loss = (x: AnyTensor, weight: AnyTensor, target: AnyTensor, options?: LinearCrossEntropyOptions) => AnyTensor;
const inPieces = functional.linearCrossEntropy as Loss;
const whole: Loss = (x, weight, target, { linearBias, rowsAtOnce: _, ...options } = {}) => {
  const logits = linear(x, weight as never, linearBias as never) as AnyTensor;
  const classes = weight.shape[0]!;
  return (functional.crossEntropy as Loss as (...args: unknown[]) => AnyTensor)(
    logits.reshape([target.size, classes]),
    target.reshape([target.size]),
    options,
  );
};

const [count, width, classes] = [37, 8, 11];
function made(dtype: 'float64' | 'float32' = 'float64'): AnyTensor[] {
  manualSeed(5);
  const [x, w, b] = [[count, width], [classes, width], [classes]].map(
    (shape) => randn(shape, { dtype }).requiresGrad_() as AnyTensor,
  );
  return [x!, w!, b!, randint(0, classes, [count]) as AnyTensor];
}
const numbers = (tensors: readonly (AnyTensor | undefined)[]): number[][] =>
  tensors.map((each) => [...(each!.flatten().dataSync() as Float64Array)].map(Number));

/** Relative to the largest of each tensor. */
function expectClose(got: number[][], expected: number[][], tolerance: number): void {
  got.forEach((values, i) => {
    const largest = Math.max(...expected[i]!.map(Math.abs));
    values.forEach((value, j) => expect(Math.abs(value - expected[i]![j]!)).toBeLessThanOrEqual(tolerance * largest));
  });
}

test.each([false, true])('where no row counts, gradients are 0, recorded: %s', (createGraph) => {
  const [x, w, b, target] = made() as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
  const loss = inPieces(x, w, zeros(target.shape, { dtype: 'int64' }), { linearBias: b, ignoreIndex: 0 });
  expect(loss.itemSync()).toBeNaN();
  for (const gradient of numbers(gradients([loss], [x, w, b], { createGraph })).flat())
    expect(Math.abs(gradient)).toBe(0);
});

test.each([1, 5, 36, 37, 100])('%d rows at once', (rowsAtOnce) => {
  const [x, w, b, target] = made() as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
  const run = (f: Loss): number[][] => {
    const loss = f(x, w, target, { linearBias: b, rowsAtOnce });
    return numbers([loss, ...gradients([loss.mul(3)], [x, w, b])]);
  };
  // Sums of 37 terms in another order.
  expectClose(run(inPieces), run(whole), 1e-14);
});

test('rows of another factor each, which are not known before backward', () => {
  const [x, w, b, target] = made() as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
  const factors = randn([count], { dtype: 'float64' }) as AnyTensor;
  const run = (f: Loss): number[][] => {
    const loss = f(x, w, target, { linearBias: b, reduction: 'none', rowsAtOnce: 10 }).mul(factors).sum();
    return numbers([loss, ...gradients([loss], [x, w, b])]);
  };
  expectClose(run(inPieces), run(whole), 1e-14);
});

test('sequences of rows, and inputs of which some collect gradients', () => {
  const [, w, , target] = made('float32') as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
  const x = randn([4, 9, width]) as AnyTensor;
  const run = (f: Loss): number[][] => {
    w.grad = undefined;
    const loss = f(x, w, target.narrow(0, 0, 36).reshape([4, 9]), { rowsAtOnce: 8 });
    loss.backward({ retainGraph: true });
    loss.backward();
    return numbers([loss, w.grad]);
  };
  expectClose(run(inPieces), run(whole), 2e-6);
});

test('gradients of gradients', () => {
  const [x, w, , target] = made() as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
  const run = (f: Loss): number[][] => {
    const [gx] = gradients([f(x, w, target, { rowsAtOnce: 10 })], [x], { createGraph: true });
    return numbers(gradients([gx!.square().sum()], [x, w]));
  };
  expectClose(run(inPieces), run(whole), 1e-13);
});

test('under autocast the loss is float32 and gradients have the dtypes of their leaves', () => {
  const [x, w, b, target] = made('float32') as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
  const run = (f: Loss): number[][] => {
    const loss = autocast('bfloat16', () => f(x, w, target, { linearBias: b, rowsAtOnce: 10 }));
    expect(loss.dtype).toBe('float32');
    const found = gradients([loss], [x, w, b]);
    expect(found.map((each) => each!.dtype)).toEqual(['float32', 'float32', 'float32']);
    return numbers([loss, ...found]);
  };
  // Products are rounded to 8 bits in both, sums of pieces at other places.
  expectClose(run(inPieces), run(whole), 1e-2);
});

test('a compiled step', () => {
  const [x, w, b, target] = made('float32') as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
  const run = (f: Loss): number[][] => {
    const step = compile((input: AnyTensor) => {
      w.grad = b.grad = undefined;
      const loss = f(input, w, target, { linearBias: b, rowsAtOnce: 10 });
      loss.backward();
      return loss;
    });
    return Array.from({ length: 5 }, () => numbers([step(x.detach() as AnyTensor), w.grad, b.grad])).at(-1)!;
  };
  expectClose(run(inPieces), run(whole), 2e-6);
});

test('the logits of all rows never exist', () => {
  const [n, many] = [2048, 4096];
  const bytes = 4 * n * many;
  const x = randn([n, 16]).requiresGrad_() as AnyTensor;
  const w = randn([many, 16]).requiresGrad_() as AnyTensor;
  const target = randint(0, many, [n]) as AnyTensor;
  const peakOf = (f: Loss): number => {
    const before = memory().liveBytes;
    resetPeakMemory();
    scope(() => f(x, w, target, { rowsAtOnce: 128 }).backward());
    return memory().peakBytes - before;
  };
  expect(peakOf(whole)).toBeGreaterThan(2 * bytes);
  expect(peakOf(inPieces)).toBeLessThan(bytes / 4);
});

test('without gradients only losses are computed', () => {
  const [x, w, , target] = made() as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
  const loss = noGrad(() => inPieces(x, w, target));
  expect(loss.requiresGrad).toBe(false);
  expectClose(numbers([loss]), numbers([noGrad(() => whole(x, w, target))]), 1e-15);
});

test('what does not fit', () => {
  const [x, w] = [zeros([3, 2]), zeros([4, 2])] as [AnyTensor, AnyTensor];
  const target = tensor([0, 1, 2], { dtype: 'int32' }) as AnyTensor;
  expect(() => inPieces(x, zeros([4, 3]), target)).toThrow(
    'linearCrossEntropy: inner sizes differ: x [3, 2] · weight [4, 3]ᵀ (2 vs 3)',
  );
  expect(() => inPieces(x, w, target, { linearBias: zeros([3]) })).toThrow(
    'linearCrossEntropy: linearBias does not fit: got shape [3], expected [4]',
  );
  expect(() => inPieces(x, w, target.reshape([3, 1]))).toThrow(
    'linearCrossEntropy: target does not fit: got shape [3, 1] for x [3, 2], expected [3]',
  );
  expect(() => inPieces(x, w, target.cast('float32'))).toThrow('linearCrossEntropy: target: got dtype float32');
  expect(() => inPieces(x, w, target, { weight: zeros([3]) })).toThrow(
    'linearCrossEntropy: weight does not fit: got shape [3], expected [4]',
  );
  expect(() => inPieces(x, w, target, { rowsAtOnce: 0 })).toThrow(
    'linearCrossEntropy: rowsAtOnce: got 0, expected an integer of at least 1',
  );
  expect(() => inPieces(x, w, tensor([0, 4, 1], { dtype: 'int32' }) as AnyTensor).dataSync()).toThrow(
    'crossEntropy: target 4 at position 1 out of range for 4 classes',
  );
});
