// Optimizers against PyTorch: 50 steps on the same function from the same start, and clipped gradients.
import { nn, optim, type AnyTensor } from '../../lib/index';
import { expectNear, golden, type Parts } from '../golden/golden';

const { Adam, AdamW, SGD, clipGradNorm } = optim;
type Parameters = readonly [nn.Parameter, nn.Parameter];

const optimizers: Record<string, (p: Parameters) => { zeroGrad(): void; step(): void }> = {
  sgd: (p) => new SGD(p, { lr: 0.01 }),
  'sgd-decay': (p) => new SGD(p, { lr: 0.01, weightDecay: 0.1 }),
  'sgd-momentum': (p) => new SGD(p, { lr: 0.01, momentum: 0.9, dampening: 0.3, weightDecay: 0.1 }),
  'sgd-nesterov': (p) => new SGD(p, { lr: 0.01, momentum: 0.9, nesterov: true }),
  'sgd-maximize': (p) => new SGD(p, { lr: 0.001, momentum: 0.5, maximize: true }),
  adam: (p) => new Adam(p, { lr: 0.02 }),
  'adam-decay': (p) => new Adam(p, { lr: 0.02, betas: [0.8, 0.95], epsilon: 1e-4, weightDecay: 0.1 }),
  'adam-amsgrad': (p) => new Adam(p, { lr: 0.1, amsgrad: true }),
  adamw: (p) => new AdamW(p, { lr: 0.02 }),
  'adamw-amsgrad': (p) => new AdamW(p, { lr: 0.1, weightDecay: 0.2, amsgrad: true, betas: [0.5, 0.9] }),
  'adamw-maximize': (p) => new AdamW(p, { lr: 0.01, maximize: true }),
  groups: (p) =>
    new SGD([{ parameters: [p[0]], lr: 0.002, weightDecay: 0.5 }, { parameters: [p[1]] }], { lr: 0.01, momentum: 0.9 }),
};

const loss = (matrix: AnyTensor, [p, q]: Parameters): AnyTensor =>
  (matrix.matmul(p).square().sum().mul(0.5) as AnyTensor).add(q.square().sum()).add(q.mul(3).sin().sum());

function run(name: string, parts: Parts, cast: 'float64' | 'float32', rtol: number): void {
  const matrix = parts['a']!.cast(cast);
  const p = [0, 1].map((i) => new nn.Parameter(parts[`p${i}`]!.cast(cast).clone())) as unknown as Parameters;
  const optimizer = optimizers[name]!(p);
  for (let step = 1; step <= 50; step++) {
    optimizer.zeroGrad();
    loss(matrix, p).backward();
    optimizer.step();
    if (step !== 1 && step !== 10 && step !== 50) continue;
    p.forEach((parameter, i) => {
      const expected = parts[`${name}/${step}.p${i}`]!;
      expectNear(parameter, expected, `${name}: parameter ${i} after step ${step} in ${cast}`, rtol);
    });
  }
}

test.each(Object.keys(optimizers))('%s', async (name) => {
  const parts = await golden('optim');
  run(name, parts, 'float64', 1e-10);
  run(name, parts, 'float32', 1e-5);
});

describe('clipGradNorm', () => {
  const withGradients = (gradients: AnyTensor[]): nn.Parameter[] =>
    gradients.map((gradient) => {
      const parameter: nn.Parameter = new nn.Parameter(gradient.mul(0));
      parameter.grad = gradient.clone();
      return parameter;
    });

  test.each([
    ['1', 1],
    ['2', 2],
    ['inf', Infinity],
  ])('of order %s', async (name, order) => {
    const given = await golden('clip');
    const expected = await golden(`clip-${name}`);
    const parameters = withGradients([given['x0']!, given['x1']!]);
    expectNear(clipGradNorm(parameters, 1, { order }), expected['y']!, 'norm');
    parameters.forEach((parameter, i) => expectNear(parameter.grad, expected[`g${i}`]!, `gradient ${i}`));
  });

  test('leaves small gradients as they are, bit for bit', async () => {
    const given = (await golden('clip'))['x0']!;
    const [parameter] = withGradients([given]);
    clipGradNorm([parameter!], 1000);
    expect(parameter!.grad!.dataSync()).toEqual(given.dataSync());
  });

  test('skips parameters without a gradient', () => {
    expect(clipGradNorm([new nn.Parameter(new nn.Linear(2, 2).weight)], 1).itemSync()).toBe(0);
  });

  test('what it refuses', () => {
    expect(() => clipGradNorm([], -1)).toThrow(
      new Error('clipGradNorm: maxNorm: got -1, expected a non-negative number'),
    );
    expect(() => clipGradNorm([], 1, { order: 3 })).toThrow(
      new Error('clipGradNorm: order: got 3, expected 1, 2 or Infinity'),
    );
  });
});
