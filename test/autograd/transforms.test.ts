// Gradients as functions, gradients of gradients, custom functions and checkpoints.
import {
  checkpoint,
  defineFunction,
  grad,
  gradcheck,
  gradients,
  manualSeed,
  nn,
  noGrad,
  randn,
  tensor,
  valueAndGrad,
  zeros,
  type AnyTensor,
} from '../../lib/index';

const leaf = (data: number | number[]): AnyTensor => (tensor(data, { dtype: 'float64' }) as AnyTensor).requiresGrad_();
const values = (x: AnyTensor | undefined): unknown => x?.toArraySync();

describe('gradients', () => {
  test('of leaves and of results, without touching grad', () => {
    const x = leaf([1, 2]);
    const y = x.square();
    const z = y.mul(3).sum();
    expect(gradients([z], [x, y]).map(values)).toEqual([
      [6, 12],
      [3, 3],
    ]);
    expect(x.grad).toBeUndefined();
  });

  test('are undefined for an input that takes no part', () => {
    const [x, other] = [leaf([1]), leaf([1])];
    expect(gradients([x.sum()], [other, x]).map(values)).toEqual([undefined, [1]]);
  });

  test('of several outputs add up, with the weights given', () => {
    const x = leaf([1, 2]);
    const given = { gradients: [tensor([1, 10], { dtype: 'float64' }), tensor(2, { dtype: 'float64' })] };
    expect(values(gradients([x.mul(2), x.sum()], [x], given)[0])).toEqual([4, 22]);
  });

  test('of an output with respect to itself are ones', () => {
    const y = leaf([3]).mul(2).sum();
    expect(values(gradients([y], [y])[0])).toBe(1);
  });
});

describe('gradients of gradients', () => {
  test('by createGraph, up to the third', () => {
    const x = leaf([2]);
    const y = x.pow(4).sum();
    const [first] = gradients([y], [x], { createGraph: true });
    const [second] = gradients([first!.sum()], [x], { createGraph: true });
    const [third] = gradients([second!.sum()], [x]);
    expect([first, second, third].map((g) => g!.itemSync())).toEqual([32, 48, 48]);
  });

  test('a penalty on a gradient trains the parameters', () => {
    const w = leaf([3]);
    const x = leaf([2]);
    const y = w.square().mul(x).sum();
    const [gx] = gradients([y], [x], { createGraph: true }); // w²
    gx!.square().sum().backward(); // w⁴
    expect(values(w.grad)).toEqual([108]);
    expect(x.grad).toBeUndefined();
  });

  test('backward with createGraph leaves a grad that can be differentiated', () => {
    const x = leaf([3]);
    x.pow(3).sum().backward({ createGraph: true });
    expect(values(x.grad)).toEqual([27]);
    const [second] = gradients([x.grad!.sum()], [x]);
    expect(values(second)).toEqual([18]);
  });

  test('without createGraph there is no graph to go through', () => {
    const x = leaf([3]);
    const [g] = gradients([x.pow(3).sum()], [x]);
    expect(g!.requiresGrad).toBe(false);
  });
});

describe('grad and valueAndGrad', () => {
  test('of one argument and of several', () => {
    const [x, y] = [tensor([1, 2]), tensor([3, 4])];
    expect(values(grad((a: AnyTensor) => a.square().sum())(x))).toEqual([2, 4]);
    const both = grad((a: AnyTensor, b: AnyTensor) => a.mul(b).sum())(x, y);
    expect(both.map(values)).toEqual([
      [3, 4],
      [1, 2],
    ]);
    const [value, [gx]] = valueAndGrad((a: AnyTensor) => a.square().sum())(x);
    expect([value.itemSync(), value.requiresGrad, values(gx)]).toEqual([5, false, [2, 4]]);
    expect(x.requiresGrad).toBe(false);
  });

  test('nested', () => {
    const third = grad((x: AnyTensor) =>
      grad((y: AnyTensor) => grad((z: AnyTensor) => z.pow(4).sum())(y).sum())(x).sum(),
    );
    expect(values(third(leaf([2]).detach()))).toEqual([48]);
  });

  test('zeros for an argument that takes no part, also where it is not finite', () => {
    const [, [gx, gy]] = valueAndGrad((x: AnyTensor, _: AnyTensor) => x.sum())(tensor([1]), tensor([Infinity, 2]));
    expect([values(gx), values(gy)]).toEqual([[1], [0, 0]]);
  });

  test('work under noGrad', () => {
    expect(values(noGrad(() => grad((x: AnyTensor) => x.square().sum())(tensor([3]))))).toEqual([6]);
  });

  test('refuse a function with more than one result', () => {
    expect(() => grad((x: AnyTensor) => x)(tensor([1, 2]))).toThrow(
      new Error('grad: f: got a result of shape [2], expected one element'),
    );
  });
});

describe('defineFunction', () => {
  const cube = defineFunction<[AnyTensor]>({
    name: 'cube',
    forward: (saved, x) => {
      saved['x'] = x;
      return x.pow(3);
    },
    backward: (saved, g) => [g.mul((saved['x'] as AnyTensor).square().mul(3))],
  });

  test('has its own gradient, of which there are gradients too', () => {
    gradcheck((x) => cube(x), [leaf([0.5, -1.5, 2])], { order: 2 });
    const straight = defineFunction<[AnyTensor]>({ forward: (_, x) => x.round(), backward: (_, g) => [g] });
    const x = leaf([0.4, 1.6]);
    const y = straight(x);
    expect(values(y)).toEqual([0, 2]);
    y.sum().backward();
    expect(values(x.grad)).toEqual([1, 1]);
  });

  test('may answer its input, and leave inputs without a gradient', () => {
    const first = defineFunction<[AnyTensor, AnyTensor]>({
      forward: (_, x) => x,
      backward: (_, g) => [g.mul(7), undefined],
    });
    const [x, y] = [leaf([1]), leaf([1])];
    const z = first(x, y);
    expect([z === x, z.requiresGrad]).toEqual([false, true]);
    z.sum().backward();
    expect([values(x.grad), values(y.grad)]).toEqual([[7], undefined]);
    expect(first(x.detach(), y.detach()).requiresGrad).toBe(false);
    expect(noGrad(() => first(x, y)).requiresGrad).toBe(false);
  });

  test('may have several results, some of which nothing is made of', () => {
    const parts = defineFunction<[AnyTensor, AnyTensor], [AnyTensor, AnyTensor, AnyTensor]>({
      name: 'parts',
      forward: (saved, x, y) => {
        Object.assign(saved, { x, y });
        return [x.argsort(), x.mul(y), x.square()];
      },
      backward: (saved, _, product, square) => {
        const { x, y } = saved as { x: AnyTensor; y: AnyTensor };
        return [product.mul(y).add(square.mul(x).mul(2)), product.mul(x)];
      },
    });
    const [x, y] = [leaf([3, 1]), leaf([5, 7])];
    const [order, product, square] = parts(x, y);
    expect([order, product, square].map((z) => z.requiresGrad)).toEqual([false, true, true]);
    expect(values(order)).toEqual([1, 0]);
    product.add(square).sum().backward();
    expect([values(x.grad), values(y.grad)]).toEqual([
      [11, 9],
      [3, 1],
    ]);
    expect(gradients([parts(x, y)[2].sum()], [x, y]).map(values)).toEqual([
      [6, 2],
      [0, 0],
    ]);
    gradcheck((a, b) => parts(a!, b!)[1].mul(parts(a!, b!)[2]), [x, y], { order: 2 });
    const none = defineFunction({ forward: () => [3] as never, backward: () => [] });
    expect(none).toThrow('function: forward[0]: got number 3, expected a tensor');
  });

  test('whose rule is wrong says so', () => {
    const wrong = defineFunction<[AnyTensor]>({
      name: 'halve',
      forward: (_, x) => x.mul(0.5),
      backward: (_, g) => [g.sum()],
    });
    expect(() =>
      wrong(leaf([1, 2]))
        .sum()
        .backward(),
    ).toThrow(new Error('backward: the gradient rule of halve gave the wrong shape: got [], expected [2]'));
    const none = defineFunction<[AnyTensor]>({ name: 'none', forward: () => 3 as never, backward: (_, g) => [g] });
    expect(() => none(leaf([1]))).toThrow(new Error('none: forward: got number 3, expected a tensor'));
  });
});

describe('checkpoint', () => {
  const block = (): nn.Sequential =>
    new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh(), new nn.Dropout(0.5), new nn.Linear(8, 4));

  test('gives the same result and gradients, of inputs and parameters, dropout included', () => {
    manualSeed(3);
    const model = block();
    const given = randn([6, 4]);
    const run = (through: (f: (x: AnyTensor) => AnyTensor, x: AnyTensor) => AnyTensor): unknown[] => {
      manualSeed(11);
      model.zeroGrad();
      const x = given.clone().requiresGrad_();
      const y = through(
        (t) => model.forward(t),
        through((t) => model.forward(t), x),
      );
      const loss = y.square().sum();
      // Drawn in between: the second run must not disturb what comes after it.
      const before = randn([2]).dataSync();
      loss.backward();
      const after = randn([2]).dataSync();
      return [y, x.grad!, ...model.parameters().map((parameter) => parameter.grad!)]
        .map((t): unknown => t.dataSync())
        .concat([before, after]);
    };
    expect(run(checkpoint)).toEqual(run((f, x) => f(x)));
  });

  test('runs the function again in backward, and not under noGrad', () => {
    let runs = 0;
    const f = (x: AnyTensor): AnyTensor => {
      runs++;
      return x.square();
    };
    const x = leaf([3]);
    const y = checkpoint(f, x).sum();
    expect(runs).toBe(1);
    y.backward();
    expect([runs, values(x.grad)]).toEqual([2, [6]]);
    expect(noGrad(() => checkpoint(f, x)).requiresGrad).toBe(false);
    expect(runs).toBe(3);
  });

  test('of several inputs, some without a gradient', () => {
    const [x, y] = [leaf([2]), tensor([5], { dtype: 'float64' })];
    checkpoint((a: AnyTensor, b: AnyTensor) => a.mul(b), x, y as AnyTensor)
      .sum()
      .backward();
    expect(values(x.grad)).toEqual([5]);
    expect((y as AnyTensor).grad).toBeUndefined();
  });

  test('refuses createGraph', () => {
    const y = checkpoint((x: AnyTensor) => x.square(), leaf([1])).sum();
    expect(() => y.backward({ createGraph: true })).toThrow(
      new Error('checkpoint: got backward with createGraph, expected a first-order backward'),
    );
  });
});

test('gradcheck finds a wrong gradient', () => {
  const wrong = defineFunction<[AnyTensor]>({ forward: (_, x) => x.square(), backward: (_, g) => [g] });
  expect(() => gradcheck((x) => wrong(x), [leaf([3])])).toThrow(
    /^gradcheck: gradient: inputs\[0\] \[1\] at flat position 0: got /,
  );
  expect(() => gradcheck((x) => x, [zeros([1]).requiresGrad_()])).toThrow(
    new Error('gradcheck: inputs[0]: got float32, expected float64'),
  );
  expect(() => gradcheck((x) => x, [zeros([1])])).toThrow(
    new Error('gradcheck: inputs: got none that requires a gradient'),
  );
});
