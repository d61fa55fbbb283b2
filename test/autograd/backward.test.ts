// The backward pass: accumulation, what is freed and kept, hooks, modes, and what it refuses.
import {
  ArgumentError,
  AutogradError,
  backward,
  cat,
  checkpoint,
  detectAnomaly,
  enableGrad,
  gradients,
  inferenceMode,
  isGradEnabled,
  memory,
  noGrad,
  ones,
  optim,
  randn,
  scope,
  tensor,
  zeros,
  type AnyTensor,
} from '../../lib/index';

const f64 = (data: number[]): AnyTensor => tensor(data, { dtype: 'float64' }) as AnyTensor;
const leaf = (data: number | number[]): AnyTensor => (tensor(data) as AnyTensor).requiresGrad_();
const values = (x: AnyTensor | undefined): unknown => x?.toArraySync();

describe('accumulation', () => {
  test('of several uses and of several passes', () => {
    const x = leaf([1, 2]);
    const y = x.mul(x).add(x.mul(3)).sum();
    y.backward();
    expect(values(x.grad)).toEqual([5, 7]);
    x.sum().backward();
    expect(values(x.grad)).toEqual([6, 8]);
    x.grad = undefined;
    x.sum().backward();
    expect(values(x.grad)).toEqual([1, 1]);
  });

  test('through a diamond, where one gradient goes two ways', () => {
    const x = leaf([3]);
    const y = x.mul(2);
    // The gradient of an addition is the same tensor for both operands: neither may be added to in place.
    const z = y.add(y.add(y));
    z.sum().backward();
    expect(values(x.grad)).toEqual([6]);
    const [a, b] = [leaf([1]), leaf([1])];
    const sum = a.add(b);
    sum.add(a.mul(5)).sum().backward();
    expect([values(a.grad), values(b.grad)]).toEqual([[6], [1]]);
  });

  test('over a chain of ten thousand ops', () => {
    const x = leaf([1]);
    let y = x;
    for (let i = 0; i < 10_000; i++) y = y.add(1);
    y.sum().backward();
    expect(values(x.grad)).toEqual([1]);
  });

  test('from an output with a given gradient, of any shape', () => {
    const x = leaf([1, 2]);
    x.mul(x).backward({ gradient: tensor([10, 100]) });
    expect(values(x.grad)).toEqual([20, 400]);
  });

  test('from a leaf itself', () => {
    const x = leaf(3);
    x.backward();
    expect(values(x.grad)).toBe(1);
  });

  test('two leaves do not share their gradients', () => {
    const [a, b] = [leaf([1, 1]), leaf([1, 1])];
    a.add(b).sum().backward();
    noGrad(() => a.grad!.mul_(5));
    expect(values(b.grad)).toEqual([1, 1]);
  });

  test('the gradient of an in-between result that is given is not changed', () => {
    const x = leaf([1, 2]);
    const g = tensor([1, 1]);
    const y = x.mul(1).add(0);
    y.backward({ gradient: g });
    x.sum().backward();
    expect(values(g)).toEqual([1, 1]);
    expect(values(x.grad)).toEqual([2, 2]);
  });
});

describe('what is freed', () => {
  test('a second backward needs retainGraph', () => {
    const x = leaf([2]);
    const y = x.exp().sum();
    y.backward();
    expect(() => y.backward()).toThrow(
      new Error(
        'backward: the graph of exp was freed by an earlier backward: got a second backward, expected ' +
          'backward({ retainGraph: true }) before it',
      ),
    );
    const z = x.exp().sum();
    x.grad = undefined;
    z.backward({ retainGraph: true });
    z.backward();
    expect(x.grad!.dataSync()[0]).toBeCloseTo(2 * Math.exp(2), 4);
  });

  test('a pass leaves the gradients of leaves and nothing else', () => {
    const w = randn([8, 8]).requiresGrad_();
    const x = ones([4, 8]);
    const pass = (): void => scope(() => x.matmul(w).tanh().matmul(w).square().sum().backward());
    pass();
    const before = memory().liveBytes;
    for (let i = 0; i < 20; i++) pass();
    expect(memory().liveBytes).toBeLessThanOrEqual(before);
  });

  test.each<[string, (x: AnyTensor) => unknown]>([
    ['gradients()', (x) => gradients([x.exp().sum()], [x])],
    [
      'a checkpoint',
      (x) =>
        checkpoint((y: AnyTensor) => y.exp(), x.mul(2))
          .sum()
          .backward(),
    ],
  ])('what %s found is freed with the scope around', (_, find) => {
    const x = randn([64, 64]).requiresGrad_();
    const pass = (): void => scope(() => void find(x));
    pass();
    const before = memory().tensors;
    for (let i = 0; i < 20; i++) pass();
    expect(memory().tensors).toBeLessThanOrEqual(before);
  });

  test('a gradient that nobody has seen is freed when it is set to undefined', () => {
    const w = randn([64, 64]).requiresGrad_();
    const forget = (): void => {
      w.grad = undefined;
    };
    const before = memory().liveBytes;
    scope(() => w.square().sum().backward());
    forget();
    expect(memory().liveBytes).toBe(before);
    scope(() => w.square().sum().backward());
    const seen = w.grad!;
    forget();
    expect(seen.sub(w.detach().mul(2)).abs().max().itemSync()).toBe(0);
  });

  test('a leaf that requires no gradient for a while keeps its gradient and its hooks', () => {
    const x = leaf([1, 2]);
    const hook = jest.fn();
    x.registerHook(hook);
    x.sum().backward();
    x.requiresGrad_(false);
    expect(x.mul(2).requiresGrad).toBe(false);
    expect(values(x.grad)).toEqual([1, 1]);
    x.requiresGrad_().sum().backward();
    expect(values(x.grad)).toEqual([2, 2]);
    expect(hook).toHaveBeenCalledTimes(2);
    const optimizer = new optim.SGD([x.requiresGrad_(false)], { lr: 1 });
    optimizer.zeroGrad();
    expect(x.requiresGrad_().grad).toBeUndefined();
  });

  test('a gradient that is part of a graph, or was the start of the pass, is not freed with the leaf’s', () => {
    const x = leaf([1, 2]);
    const gradient = tensor([3, 4]);
    x.add(0).backward({ gradient, createGraph: true });
    x.grad = undefined;
    expect(gradient.toArraySync()).toEqual([3, 4]);
  });

  test('gradients of leaves outlive the scope they came about in', () => {
    const w = leaf([1, 2]);
    const inner = scope(() => {
      const local = leaf([5]);
      w.mul(local).sum().backward();
      return [local.grad!];
    });
    expect(values(w.grad)).toEqual([5, 5]);
    expect(values(inner[0])).toEqual([3]);
  });

  test('a saved tensor that was disposed of', () => {
    const x = leaf([1]);
    const y = x.mul(2);
    const z = y.square().sum();
    y.dispose();
    expect(() => z.backward()).toThrow(
      new Error('backward: tensor [1] made by mul and saved by square was released by dispose()'),
    );
  });

  test('a saved tensor that changed', () => {
    const x = leaf([1]);
    const other = tensor([3]);
    const y = x.mul(other).sum();
    other.add_(1);
    expect(() => y.backward()).toThrow(
      new Error('backward: tensor [1] saved by mul was changed in place: got version 1, expected 0'),
    );
    // What an op does not save may change.
    const sum = x.add(other).sum();
    other.add_(1);
    sum.backward();
    expect(values(x.grad)).toEqual([1]);
  });
});

describe('what is refused', () => {
  test.each<[string, () => unknown, string]>([
    [
      'no graph',
      () => ones([2]).sum().backward(),
      'backward: nothing to differentiate: got a tensor [] that does not require a gradient, expected the result of recorded ops on a ' +
        'tensor that does',
    ],
    [
      'no graph under noGrad',
      () => noGrad(() => leaf([1]).mul(2)).backward(),
      'backward: nothing to differentiate: got a tensor [1] that does not require a gradient, expected the result of recorded ops on a ' +
        'tensor that does',
    ],
    [
      'no scalar',
      () => leaf([1, 2]).mul(2).backward(),
      'backward: no gradient given for an output of shape [2]: got 2 elements, expected one (a loss), or the option gradient',
    ],
    [
      'a gradient of another shape',
      () => backward(leaf([1, 2]).mul(2), { gradient: ones([3]) }),
      'backward: gradient: got shape [3], expected [2]',
    ],
    [
      'an input without a gradient',
      () => gradients([leaf([1]).sum()], [ones([2])]),
      'gradients: inputs[0]: got a tensor [2] that does not require a gradient, expected one that does',
    ],
    [
      'integers that require one',
      () => zeros([1], { dtype: 'int32' }).requiresGrad_(),
      'requiresGrad_: dtype: got int32, expected a floating dtype',
    ],
    [
      'a result that no longer requires one',
      () => leaf([1]).mul(2).requiresGrad_(false),
      'requiresGrad_: only a leaf can be changed: got the result of a recorded op',
    ],
    [
      'a hook without a graph',
      () => ones([1]).registerHook(() => undefined),
      'registerHook: the tensor does not require a gradient',
    ],
    ['retainGrad without a graph', () => ones([1]).retainGrad(), 'retainGrad: the tensor does not require a gradient'],
    [
      'an in-place write to a leaf',
      () => leaf([1]).add_(1),
      'add: in-place write to a tensor that requires a gradient: got a leaf, expected noGrad(() => …) around it',
    ],
    [
      'an async function',
      () => noGrad(() => Promise.resolve(1)),
      'noGrad: f: got an async function, expected one that returns when it is done',
    ],
  ])('%s', (_, act, message) => {
    expect(act).toThrow(new Error(message));
  });
});

describe('hooks', () => {
  test('of a leaf and of a result see the whole gradient, replace it, and can be removed', () => {
    const x = leaf([1, 2]);
    const y = x.mul(3);
    const seen: unknown[] = [];
    const remove = y.registerHook((g) => {
      seen.push(values(g));
    });
    y.registerHook((g) => g.mul(2));
    x.registerHook((g) => g.add(1));
    const z = y.add(y).sum();
    z.backward({ retainGraph: true });
    expect(seen).toEqual([[2, 2]]);
    expect(values(x.grad)).toEqual([13, 13]);
    remove();
    z.backward();
    expect(seen).toHaveLength(1);
    expect(values(x.grad)).toEqual([26, 26]);
  });

  test('registered twice run twice, and are removed one by one', () => {
    const x = leaf([1]);
    const twice = (g: AnyTensor): AnyTensor => g.mul(2);
    const count = jest.fn();
    const [remove, removeCount] = [x.registerHook(twice), x.registerPostAccumulateGradHook(count)];
    x.registerHook(twice);
    x.registerPostAccumulateGradHook(count);
    x.sum().backward();
    expect(values(x.grad)).toEqual([4]);
    remove();
    removeCount();
    x.sum().backward();
    expect(values(x.grad)).toEqual([6]);
    expect(count).toHaveBeenCalledTimes(3);
  });

  test('may give another dtype, but no other shape, and nothing but tensors', () => {
    const x = leaf([1, 2]);
    let replaced: unknown = f64([3, 4]);
    x.registerHook(() => replaced as AnyTensor);
    x.sum().backward();
    expect([x.grad!.dtype, values(x.grad)]).toEqual(['float32', [3, 4]]);
    replaced = ones([3]);
    expect(() => x.sum().backward()).toThrow(
      new AutogradError('backward: a hook gave the wrong shape: got [3], expected [2]'),
    );
    replaced = 3;
    expect(() => x.sum().backward()).toThrow(new ArgumentError('backward: hook: got number 3, expected a tensor'));
    expect(() => x.registerHook(3 as never)).toThrow(
      new ArgumentError('registerHook: hook: got number 3, expected a function'),
    );
  });

  test('that throws ends the pass, and the next one is as if it had not been', () => {
    const x = leaf([1]);
    const y = x.mul(2);
    const remove = y.registerHook(() => {
      throw new Error('enough');
    });
    const z = y.square().sum();
    expect(() => z.backward({ retainGraph: true })).toThrow(new Error('enough'));
    remove();
    expect(x.grad).toBeUndefined();
    expect(isGradEnabled()).toBe(true);
    z.backward();
    expect(values(x.grad)).toEqual([8]);
  });

  test('retainGrad keeps the gradient of a result', () => {
    const x = leaf([1, 2]);
    const y = x.mul(3).retainGrad();
    const z = y.square();
    z.sum().backward();
    expect(values(y.grad)).toEqual([6, 12]);
    expect(z.grad).toBeUndefined();
  });
});

describe('modes', () => {
  test('noGrad, enableGrad and inferenceMode nest and end with their function, also when it throws', () => {
    const x = leaf([1]);
    expect(noGrad(() => [isGradEnabled(), x.mul(2).requiresGrad])).toEqual([false, false]);
    expect(noGrad(() => enableGrad(() => x.mul(2).requiresGrad))).toBe(true);
    expect(inferenceMode(() => x.mul(2).requiresGrad)).toBe(false);
    expect(() =>
      noGrad(() => {
        throw new Error('out');
      }),
    ).toThrow('out');
    expect(isGradEnabled()).toBe(true);
  });

  test('detach shares the elements and stops gradients', () => {
    const x = leaf([2]);
    const cut = x.detach();
    expect([cut.requiresGrad, cut.isLeaf]).toEqual([false, true]);
    x.mul(x.detach()).sum().backward();
    expect(values(x.grad)).toEqual([2]);
    cut.add_(1);
    expect(values(x)).toEqual([3]);
  });

  test('detectAnomaly names the op whose gradient is the first NaN, and where it was called', () => {
    const x = leaf([0]);
    const run = (): void => x.sqrt().mul(0).sum().backward();
    run();
    expect(x.grad!.dataSync()[0]).toBeNaN();
    let error: Error | undefined;
    try {
      detectAnomaly(run);
    } catch (caught) {
      error = caught as Error;
    }
    expect(error?.message).toMatch(/^backward: the gradient of sqrt has a NaN\nForward call:\n/);
    expect(error?.message).toMatch(/backward\.test\.ts/);
    expect(() => detectAnomaly(() => leaf([1]).exp().sum().backward())).not.toThrow();
  });
});

test('a result that is used only in part', () => {
  const x = leaf([1, 2, 3, 4]);
  const [a, , c] = x.split(1);
  cat([c!, a!])
    .mul(tensor([5, 7]))
    .sum()
    .backward();
  expect(values(x.grad)).toEqual([7, 0, 5, 0]);
});

test('a result that is not floating takes no part', () => {
  const x = leaf([1, 2]);
  expect(x.cast('int32').requiresGrad).toBe(false);
  expect(x.less(2).requiresGrad).toBe(false);
  expect(x.argmax().requiresGrad).toBe(false);
});

test('gradients have the dtype of their leaf', () => {
  const x = ones([2], { dtype: 'bfloat16' }).requiresGrad_();
  const y = ones([2], { dtype: 'float64' }).requiresGrad_();
  (x as AnyTensor).mul(y).sum().backward();
  expect([x.grad!.dtype, y.grad!.dtype]).toEqual(['bfloat16', 'float64']);
});
