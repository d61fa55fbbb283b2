/** `compile(f)`: replays give the bits of eager steps, and what a replay cannot repeat is refused. */
import { createHash } from 'node:crypto';

import {
  arange,
  ArgumentError,
  autocast,
  checkpoint,
  compile,
  CompileError,
  DisposedError,
  gradients,
  IndexError,
  manualSeed,
  memory,
  nn,
  noGrad,
  ones,
  optim,
  rand,
  randn,
  scope,
  tensor,
  zeros,
  type AnyTensor,
} from '../../lib';

/** The bits of a tensor, short enough to compare. */
const digest = (x: AnyTensor): string => createHash('sha1').update(Buffer.from(x.dataSync().buffer)).digest('hex');

type Step = (...args: AnyTensor[]) => AnyTensor;

/** The losses of eager steps and of compiled ones from the same start, and how often the latter called the step. */
function losses(make: () => Step, batches: AnyTensor[][]): { eager: number[]; compiled: number[]; calls: number } {
  const run = (wrap: (step: Step) => Step): number[] => {
    manualSeed(3);
    const step = wrap(make());
    return batches.map((batch) => step(...batch).itemSync());
  };
  let calls = 0;
  const eager = run(
    (step) =>
      (...args) =>
        scope(() => step(...args)),
  );
  const compiled = run((step) =>
    compile((...args: AnyTensor[]) => {
      calls++;
      return step(...args);
    }),
  );
  return { eager, compiled, calls };
}

function training(model: nn.Module & { forward(x: AnyTensor): AnyTensor }, optimizer: optim.SGD | optim.Adam): Step {
  return (x, y) => {
    optimizer.zeroGrad();
    const loss = nn.functional.crossEntropy(model.forward(x!), y!);
    loss.backward();
    optimizer.step();
    return loss;
  };
}

/** Eight batches of inputs with classes. */
function batches(shape: number[], classes: number): AnyTensor[][] {
  manualSeed(11);
  return Array.from({ length: 8 }, (_, i) => [
    randn(shape),
    arange(shape[0]!, { dtype: 'int32' }).add(i).remainder(classes),
  ]);
}

const adam = (model: nn.Module): optim.Adam => new optim.Adam(model.parameters(), { lr: 1e-2 });

describe('replays give the bits of eager steps', () => {
  const cases: Record<string, [() => Step, AnyTensor[][]]> = {
    'multilayer perceptron, dropout, SGD with momentum': [
      () => {
        const model = new nn.Sequential(
          new nn.Linear(20, 32),
          new nn.ReLU(),
          new nn.Dropout(0.3),
          new nn.Linear(32, 5),
        );
        return training(model, new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }));
      },
      batches([16, 20], 5),
    ],
    'convolutions, batch norm, pooling, Adam': [
      () => {
        const model = new nn.Sequential(
          new nn.Conv2d(1, 4, 3, { padding: 1 }),
          new nn.BatchNorm2d(4),
          new nn.ReLU(),
          new nn.MaxPool2d(2),
          new nn.Flatten(),
          new nn.Linear(64, 3),
        );
        return training(model, adam(model));
      },
      batches([8, 1, 8, 8], 3),
    ],
    'attention with dropout, layer norm, AdamW': [
      () => {
        const block = new nn.TransformerEncoderLayer(16, 2, { dropout: 0.1 });
        const head = new nn.Linear(16, 4);
        const optimizer = new optim.AdamW([...block.parameters(), ...head.parameters()], { lr: 1e-2 });
        return (x, y) => {
          optimizer.zeroGrad();
          const loss = nn.functional.crossEntropy(head.forward((block.forward(x!) as AnyTensor).mean(1)), y!);
          loss.backward();
          optimizer.step();
          return loss;
        };
      },
      batches([4, 6, 16], 4),
    ],
    'LSTM, clipped gradients': [
      () => {
        const lstm = new nn.LSTM(6, 8);
        const head = new nn.Linear(8, 3);
        const parameters = [...lstm.parameters(), ...head.parameters()];
        const optimizer = new optim.SGD(parameters, { lr: 0.5 });
        return (x, y) => {
          optimizer.zeroGrad();
          const loss = nn.functional.crossEntropy(
            head.forward(lstm.forward(x!.transpose(0, 1)).output.select(0, 4)),
            y!,
          );
          loss.backward();
          optim.clipGradNorm(parameters, 0.1);
          optimizer.step();
          return loss;
        };
      },
      batches([4, 5, 6], 3),
    ],
    'sharpness-aware minimization, which looks at gradients and drops them': [
      () => {
        const model = new nn.Sequential(new nn.Linear(20, 16), new nn.Tanh(), new nn.Linear(16, 5));
        const optimizer = adam(model);
        return (x, y) => {
          const lossOf = (): AnyTensor => nn.functional.crossEntropy(model.forward(x!), y!);
          optimizer.zeroGrad();
          const loss = lossOf();
          loss.backward();
          const moves = model.parameters().map((parameter) => [parameter, parameter.grad!.mul(0.05)] as const);
          noGrad(() => moves.forEach(([parameter, move]) => parameter.add_(move)));
          optimizer.zeroGrad();
          lossOf().backward();
          noGrad(() => moves.forEach(([parameter, move]) => parameter.sub_(move)));
          optimizer.step();
          return loss;
        };
      },
      batches([8, 20], 5),
    ],
    'a gradient penalty, whose inputs collect gradients': [
      () => {
        const model = new nn.Sequential(new nn.Linear(20, 16), new nn.SiLU(), new nn.Linear(16, 1));
        const optimizer = adam(model);
        return (x) => {
          const input = x!.detach().requiresGrad_();
          optimizer.zeroGrad();
          const score = model.forward(input).sum();
          const [slope] = gradients([score], [input], { createGraph: true });
          const loss = slope!.square().sum().sub(score.mul(0.1));
          loss.backward();
          optimizer.step();
          return loss;
        };
      },
      batches([8, 20], 5),
    ],
    'contrastive divergence by gradients of inputs': [
      () => {
        const model = new nn.Sequential(new nn.Linear(20, 16), new nn.SiLU(), new nn.Linear(16, 1));
        const optimizer = adam(model);
        return (x) => {
          const start = x!.neg().requiresGrad_();
          const [slope] = gradients([model.forward(start).sum()], [start]);
          optimizer.zeroGrad();
          const loss = model
            .forward(x!)
            .sub(model.forward(start.detach().sub(slope!)))
            .mean();
          loss.backward();
          optimizer.step();
          return loss;
        };
      },
      batches([8, 20], 5),
    ],
    'checkpointed dropout': [
      () => {
        const model = new nn.Sequential(new nn.Linear(10, 16), new nn.Dropout(0.5), new nn.Linear(16, 4));
        const optimizer = adam(model);
        return (x, y) => {
          optimizer.zeroGrad();
          const loss = nn.functional.crossEntropy(checkpoint((z: AnyTensor) => model.forward(z), x!) as AnyTensor, y!);
          loss.backward();
          optimizer.step();
          return loss;
        };
      },
      batches([8, 10], 4),
    ],
  };
  test.each(Object.entries(cases))('%s', (_, [make, data]) => {
    const { eager, compiled, calls } = losses(make, data);
    expect(compiled).toEqual(eager);
    expect(new Set(eager).size).toBe(eager.length);
    expect(calls).toBe(3);
  });

  test.each(['inside', 'outside'])('mixed precision %s', (where) => {
    const run = (wrap: (step: Step) => Step): number[] => {
      manualSeed(3);
      const model = new nn.Sequential(new nn.Linear(20, 32), new nn.GELU(), new nn.Linear(32, 5));
      const optimizer = adam(model);
      const region = (f: () => AnyTensor): AnyTensor => autocast('bfloat16', f);
      const step = wrap((x, y) => {
        optimizer.zeroGrad();
        const loss = (where === 'inside' ? region : <T>(f: () => T): T => f())(() =>
          nn.functional.crossEntropy(model.forward(x!) as AnyTensor, y!),
        );
        loss.backward();
        optimizer.step();
        return loss;
      });
      return batches([16, 20], 5).map(([x, y]) =>
        (where === 'inside'
          ? step(x!, y!)
          : region(() => step(x!, y!).add(model.forward(x!).mean().detach().mul(0)))
        ).itemSync(),
      );
    };
    expect(run((step) => compile(step))).toEqual(run((step) => step));
  });

  test('a learning rate that changes from step to step', () => {
    const make = (): Step => {
      const model = new nn.Linear(20, 5);
      const optimizer = adam(model);
      const step = training(model, optimizer);
      let calls = 0;
      return Object.assign(step, {
        schedule: () => {
          optimizer.groups[0]!.lr = 0.1 / ++calls;
        },
      });
    };
    const data = batches([16, 20], 5);
    const run = (wrap: (step: Step) => Step): number[] => {
      manualSeed(3);
      const step = make();
      const wrapped = wrap(step);
      return data.map((batch) => {
        (step as Step & { schedule(): void }).schedule();
        return wrapped(...batch).itemSync();
      });
    };
    expect(run((step) => compile(step))).toEqual(run((step) => step));
  });

  test.each([
    ['SGD', (w: AnyTensor) => new optim.SGD([w], { lr: 0.1, momentum: 0.9, nesterov: true })],
    ['AdamW, AMSGrad', (w: AnyTensor) => new optim.AdamW([w], { amsgrad: true })],
    ['NAdam', (w: AnyTensor) => new optim.NAdam([w])],
    ['RAdam', (w: AnyTensor) => new optim.RAdam([w])],
    ['Adamax', (w: AnyTensor) => new optim.Adamax([w])],
    ['Adagrad', (w: AnyTensor) => new optim.Adagrad([w], { lrDecay: 0.1 })],
    ['Adadelta', (w: AnyTensor) => new optim.Adadelta([w])],
    ['RMSprop', (w: AnyTensor) => new optim.RMSprop([w], { centered: true, momentum: 0.5 })],
    ['Lion', (w: AnyTensor) => new optim.Lion([w])],
    ['LAMB', (w: AnyTensor) => new optim.LAMB([w], { weightDecay: 0.1 })],
    ['SparseAdam', (w: AnyTensor) => new optim.SparseAdam([w])],
    ['Adafactor', (w: AnyTensor) => new optim.Adafactor([w], { weightDecay: 0.1 })],
    ['Muon', (w: AnyTensor) => new optim.Muon([w])],
    ['Rprop', (w: AnyTensor) => new optim.Rprop([w])],
    ['ASGD', (w: AnyTensor) => new optim.ASGD([w], { lr: 0.1, lambd: 0.01, t0: 3 })],
  ])('%s, through a state dict', (_, make) => {
    const run = (wrap: (step: () => void) => () => void): unknown => {
      const w = tensor([
        [1, -2, 3],
        [0, 0.5, 0],
      ]).requiresGrad_();
      const optimizer = make(w);
      const [group] = optimizer.groups as { lr: number }[];
      const step = wrap(() => {
        optimizer.zeroGrad();
        w.square().sum().backward();
        optimizer.step();
      });
      const states = [...Array(12).keys()].map((i) => {
        step();
        group!.lr *= 0.9;
        if (i === 5) optimizer.loadStateDict(optimizer.stateDict() as never);
        return w.toArraySync();
      });
      return [
        states,
        JSON.stringify(optimizer.stateDict().state, (key, value) =>
          key === '' || typeof value !== 'object' ? value : undefined,
        ),
      ];
    };
    expect(run((step) => compile(step))).toEqual(run((step) => step));
  });

  test('running statistics and the random state go on', () => {
    const run = (wrap: (step: Step) => Step): unknown[] => {
      manualSeed(3);
      const model = new nn.Sequential(new nn.BatchNorm1d(3), new nn.Dropout(0.5));
      const step = wrap((x) => model.forward(x!));
      for (const [x] of batches([4, 3], 2)) step(x!);
      return [...model.namedBuffers().map(([, buffer]) => buffer.toArraySync()), randn([2]).toArraySync()];
    };
    expect(run((step) => compile(step))).toEqual(run((step) => step));
  });
});

describe('pointwise chains run piece by piece', () => {
  const sizes = [[32_768], [257, 300], [3, 70_001]];
  const chains: Record<string, (a: AnyTensor, b: AnyTensor) => unknown> = {
    'of one dtype': (a, b) => a.mul(b).add(1).tanh().sub(a).relu(),
    'of several': (a, b) => a.cast('float64').mul(2).cast('float16').exp().cast('float32').add(b),
    'with conditions': (a, b) => a.neg().where(a.greater(b).logicalAnd(a.less(1)), b.square()),
    'with values for all': (a, b) => a.mul(b.mean()).add(b.amax().neg()).div(b.std()),
    'with a row for all': (a, b) =>
      a
        .add(b.mean(0, { keepDims: true }))
        .sigmoid()
        .mul(a)
        .silu(),
    'with values for rows': (a, b) => {
      const along = { keepDims: true };
      return a.mul(b.mean(-1, along)).add(a).sub(b.amax(-1, along)).relu();
    },
    'with values for rows in two shapes': (a, b) => {
      const [rows, others] = [60, 63];
      const size = Math.floor(a.size / (rows * others));
      const values = (count: number): AnyTensor => b.flatten().narrow(0, 0, count).reshape([count, 1]);
      const x = a.flatten().narrow(0, 0, rows * others * size);
      return x.reshape([rows, others, size]).add(values(others)).reshape([others, rows, size]).mul(values(rows)).relu();
    },
    'with values of their own': (a) => {
      const x = a.exp();
      return x.sub(x.narrow(-1, 0, 1)).abs();
    },
    'with results inside': (a, b) => {
      const sum = a.add(b);
      const both = sum.exp();
      return [sum, both, both.log().mul(sum)];
    },
    'with random numbers': (a, b) => a.mul(b).dropout(0.4).add(a).abs(),
    'of the same memory': (a, b) => {
      const x = a.clone();
      x.add_(b).mul_(2);
      return [
        x.sub(1),
        x
          .narrow(0, 1, x.shape[0]! - 1)
          .add(x.narrow(0, 0, x.shape[0]! - 1))
          .neg(),
      ];
    },
    'and back': (a, b) => {
      const x = a.detach().requiresGrad_();
      x.mul(b).tanh().add(x).sigmoid().square().sum().backward();
      return x.grad!;
    },
  };
  test.each(Object.entries(chains))('%s', (_, chain) => {
    for (const shape of sizes) {
      manualSeed(5);
      const inputs = Array.from({ length: 6 }, () => [randn(shape), randn(shape)] as const);
      const run = (f: (a: AnyTensor, b: AnyTensor) => unknown): unknown => {
        manualSeed(6);
        return inputs.map(([a, b]) => [f(a, b)].flat().map((x) => digest(x as AnyTensor)));
      };
      expect(run(compile(chain))).toEqual(run(chain));
    }
  });
});

test.each([
  [1, 7, 80, 90],
  [3, 40, 20, 17],
  [2, 3, 200, 201],
  [700, 60],
])('batch norm, residual sum and ReLU run piece by piece over [%d, %d, …]', (...shape) => {
  manualSeed(7);
  const channels = shape[1]!;
  const [scale, shift, other] = [rand([channels]), randn([channels]), rand([shape[0]!, channels, 1, 1])];
  const chain = (x: AnyTensor, past: AnyTensor): AnyTensor => {
    const y = nn.functional.batchNorm(x, shift, scale.add(1), scale, shift).add(past).relu();
    return x.rank < 4 ? y : y.mul(other).add(x).mul(other.select(0, 0)).neg();
  };
  const step = compile(chain);
  for (let i = 0; i < 5; i++) {
    const [x, past] = [randn(shape), randn(shape)];
    expect(digest(step(x, past))).toBe(digest(chain(x, past)));
  }
});

describe('arguments and results', () => {
  test('every replay gives new tensors, in the structure of the step', () => {
    const step = compile(({ x }: { x: AnyTensor }) => ({ twice: x.mul(2), list: [x.sum(), 'a'] as const, x }));
    const inputs = [1, 2, 3, 4, 5].map((value) => tensor([value, value]));
    const results = inputs.map((x) => step({ x }));
    results.forEach(({ twice, list, x }, i) => {
      expect([twice.toArraySync(), list[0].itemSync(), list[1]]).toEqual([[2 * i + 2, 2 * i + 2], 2 * i + 2, 'a']);
      expect(x.storage).toBe(inputs[i]!.storage);
    });
  });

  test('views as arguments, and other shapes', () => {
    const step = compile((x: AnyTensor) => x.mul(2).sum());
    const rows = arange(40).reshape([10, 4]);
    for (let i = 0; i < 6; i++) {
      expect(step(rows.select(0, i)).itemSync()).toBe(2 * (16 * i + 6));
      expect(step(rows.select(1, 2).narrow(0, i, 2)).itemSync()).toBe(2 * (8 * i + 8));
      expect(step(ones([i % 2, 3])).itemSync()).toBe(6 * (i % 2));
    }
  });

  test('writes into arguments', () => {
    const step = compile((x: AnyTensor) => void x.add_(1));
    const x = zeros([3]);
    for (let i = 0; i < 6; i++) step(x);
    expect(x.toArraySync()).toEqual([6, 6, 6]);
  });

  test('the same tensor in two places is told from two tensors', () => {
    const step = compile((a: AnyTensor, b: AnyTensor) => a.sub(b).sum());
    const [x, y] = [ones([2]), zeros([2])];
    for (let i = 0; i < 5; i++) {
      expect(step(x, x).itemSync()).toBe(0);
      expect(step(x, y).itemSync()).toBe(2);
    }
  });

  test('constants made in the step', () => {
    const step = compile((x: AnyTensor) => x.add(tensor([1, 2])).mul(zeros([2]).add(3)));
    for (let i = 0; i < 6; i++) expect(step(tensor([i, i])).toArraySync()).toEqual([3 * (i + 1), 3 * (i + 2)]);
  });

  test('results carry no graph', () => {
    const w = ones([2]).requiresGrad_();
    const step = compile(() => w.mul(3));
    for (let i = 0; i < 5; i++) expect(step().requiresGrad).toBe(false);
  });
});

describe('gradients of leaves', () => {
  const step = (w: AnyTensor) => (x: AnyTensor) => w.mul(x).sum().backward();
  const x = tensor([1, 2]);

  test('are left, are added to, and start anew', () => {
    const w = ones([2]).requiresGrad_();
    const compiled = compile(step(w));
    for (let i = 1; i <= 6; i++) {
      compiled(x);
      expect(w.grad!.toArraySync()).toEqual([i, 2 * i]);
    }
    w.grad = undefined;
    for (let i = 1; i <= 6; i++) {
      compiled(x);
      expect(w.grad!.toArraySync()).toEqual([i, 2 * i]);
    }
  });

  test('are replaced, so that one that was taken stays', () => {
    const w = ones([2]).requiresGrad_();
    const optimizer = new optim.SGD([w], { lr: 1 });
    const compiled = compile((z: AnyTensor) => {
      optimizer.zeroGrad();
      step(w)(z);
    });
    const taken = [1, 2, 3, 4, 5, 6].map((i) => {
      compiled(tensor([i, i]));
      return w.grad!;
    });
    expect(taken.map((gradient) => gradient.toArraySync())).toEqual([1, 2, 3, 4, 5, 6].map((i) => [i, i]));
  });

  test('of several calls add up until they are cleared outside', () => {
    const w = ones([2]).requiresGrad_();
    const optimizer = new optim.SGD([w], { lr: 1 });
    let runs = 0;
    const compiled = compile((z: AnyTensor) => {
      runs++;
      step(w)(z);
    });
    for (let i = 1; i <= 6; i++) {
      for (const scale of [1, 2, 3]) compiled(tensor([scale, -scale]));
      expect(w.grad!.toArraySync()).toEqual([6, -6]);
      optimizer.zeroGrad();
    }
    expect(runs).toBe(6);
  });

  test('cleared outside after replays that added to them', () => {
    const w = ones([2]).requiresGrad_();
    const compiled = compile(step(w));
    for (let i = 1; i <= 5; i++) compiled(x);
    for (let i = 1; i <= 4; i++) {
      new optim.SGD([w], { lr: 1 }).zeroGrad();
      compiled(x);
      expect(w.grad!.toArraySync()).toEqual([1, 2]);
    }
  });

  test('cleared outside between replays', () => {
    const w = ones([2]).requiresGrad_();
    const optimizer = new optim.SGD([w], { lr: 1 });
    const compiled = compile(step(w));
    for (let i = 1; i <= 6; i++) {
      optimizer.zeroGrad();
      compiled(x);
      optimizer.step();
      expect(w.toArraySync()).toEqual([1 - i, 1 - 2 * i]);
    }
  });
});

test('train() and eval() are noticed', () => {
  const model = new nn.Dropout(0.5);
  const step = compile((x: AnyTensor) => model.forward(x).amin());
  const x = ones([1000]);
  for (let i = 0; i < 12; i++) {
    const training = i % 3 !== 0;
    model.train(training);
    expect(step(x).itemSync()).toBe(training ? 0 : 1);
  }
});

test('a step that sets modes itself is replayed', () => {
  const model = new nn.Dropout(0.5);
  let runs = 0;
  const step = compile((x: AnyTensor) => {
    runs++;
    const [kept, dropped] = [false, true].map((training) => model.train(training).forward(x).amin());
    return [kept, dropped] as AnyTensor[];
  });
  for (let i = 0; i < 6; i++) {
    model.train(i % 2 === 0);
    expect(step(ones([1000])).map((y) => y.itemSync())).toEqual([1, 0]);
  }
  expect(runs).toBe(3);
});

test('a setting that an optimizer of one’s own reads is noticed', () => {
  class Signs extends optim.GradientOptimizer<{ lr: number }> {
    protected check(): void {
      // Any rate will do.
    }
    protected requiredState(): string[] {
      return [];
    }
    protected update({ lr }: { lr: number }, parameters: AnyTensor[], gradients: AnyTensor[]): void {
      parameters.forEach((parameter, i) => parameter.sub_(gradients[i]!.sign().mul(lr)));
    }
  }
  const w = zeros([2]).requiresGrad_();
  const optimizer = new Signs([w], { lr: 1 }, {});
  const step = compile(() => {
    optimizer.zeroGrad();
    w.sum().backward();
    optimizer.step();
  });
  for (let i = 1; i <= 12; i++) {
    if (i === 7) optimizer.groups[0]!.lr = 10;
    step();
    expect(w.toArraySync()).toEqual(Array(2).fill(i < 7 ? -i : -6 - 10 * (i - 6)));
  }
});

test('leaves that are frozen, set free, or given to the optimizer later are noticed', () => {
  const train = (mode: 'eager' | 'compiled'): number[][] => {
    const [a, b, c] = [1, 2, 3].map((value) => new nn.Parameter(tensor([value, -value]))) as nn.Parameter[];
    b!.requiresGrad_(false);
    const optimizer = new optim.Adam([a!, b!], { lr: 0.1 });
    const body = (x: AnyTensor): AnyTensor => {
      optimizer.zeroGrad();
      const loss = x.sub(a!).mul(b!).sub(c!).square().sum();
      loss.backward();
      optimizer.step();
      return loss;
    };
    const step = mode === 'eager' ? body : compile(body);
    return Array.from({ length: 20 }, (_, i) => {
      if (i === 5) b!.requiresGrad_();
      if (i === 10) a!.requiresGrad_(false);
      if (i === 15) optimizer.addParamGroup({ parameters: [c!] });
      return [step(tensor([i, 1])), a!, b!, c!].flatMap((x) => [...x.dataSync()].map(Number));
    });
  };
  expect(train('compiled')).toEqual(train('eager'));
});

test('noGrad around a step is noticed', () => {
  const w = ones([2]).requiresGrad_();
  const step = compile(() => {
    const y = w.mul(2);
    return { y, recorded: y.requiresGrad };
  });
  for (let i = 0; i < 5; i++) {
    expect(step().recorded).toBe(true);
    expect(noGrad(step).recorded).toBe(false);
  }
});

test('memory stays as it is over many replays', () => {
  const model = new nn.Sequential(new nn.Linear(64, 64), new nn.ReLU(), new nn.Linear(64, 8));
  const step = compile(training(model, adam(model)));
  const [x, y] = batches([32, 64], 8)[0]!;
  const run = (count: number): number => {
    for (let i = 0; i < count; i++) step(x!, y!).dispose();
    return memory().tensors;
  };
  const before = run(10);
  expect(run(1000)).toBeLessThanOrEqual(before);
});

describe('refused, with the reason', () => {
  const call =
    (f: () => unknown, times = 5) =>
    () => {
      const step = compile(f);
      for (let i = 0; i < times; i++) step();
    };
  const cannot = (what: string): CompileError =>
    new CompileError(`compile: ${what}: a compiled step cannot repeat that`);
  const differs = (what: string): CompileError =>
    new CompileError(`compile: the step differs from call to call: ${what}; what changes must be a tensor argument`);

  test('reading a value', () => {
    expect(call(() => ones([1]).itemSync())).toThrow(cannot('dataSync reads what a tensor holds'));
    expect(call(() => ones([2]).nonzero())).toThrow(
      new ArgumentError('scope: f: got an async function, expected one that returns when it is done'),
    );
  });
  test('a number that changes', () => {
    let i = 0;
    expect(call(() => ones([2]).mul(i++))).toThrow(differs('command 2 (mul): got 1, then 2'));
  });
  test('other commands', () => {
    let i = 0;
    expect(call(() => (i++ % 2 === 0 ? ones([2]) : ones([2]).neg()))).toThrow(differs('command 2: got neg, then none'));
  });
  test('a tensor from outside that is replaced', () => {
    let state = ones([2]);
    expect(
      call(() => {
        const next = state.add(1);
        state = ones([2]).keep();
        return next;
      }),
    ).toThrow(cannot('fill makes a tensor of 8 bytes that outlives the step without being returned'));
  });
  test('values from JavaScript that change', () => {
    let i = 0;
    expect(call(() => tensor([i++]).neg())).toThrow(
      differs('the values of a tensor made by tensor from JavaScript: got some, then others'),
    );
  });
  test('a result that changes', () => {
    let i = 0;
    expect(call(() => ({ i: i++ }))).toThrow(differs('the result: got {"i":1}, then {"i":2}'));
  });
  test('a random stream that starts anew', () => {
    let seed = 0;
    expect(
      call(() => {
        manualSeed(seed++);
        return randn([2]);
      }),
    ).toThrow(cannot('manualSeed starts the random stream anew'));
  });
  test('a schedule', () => {
    const optimizer = new optim.SGD([ones([2]).requiresGrad_()], { lr: 1 });
    const schedule = new optim.StepLR(optimizer, { stepSize: 1 });
    expect(call(() => schedule.step())).toThrow(cannot('StepLR.step changes learning rates from JavaScript'));
  });
  test('an argument that requires a gradient', () => {
    expect(() => compile((x: AnyTensor) => x)(ones([2]).requiresGrad_())).toThrow(
      new CompileError(
        'compile: argument 1 requires a gradient: got shape [2], expected a tensor that does not; use parameters from outside the step',
      ),
    );
  });
  test('an error in the step is the step’s own, and the next calls go on', () => {
    let bad = false;
    const step = compile((x: AnyTensor) => {
      if (bad) throw new RangeError('mine');
      return x.neg();
    });
    step(ones([2]));
    bad = true;
    expect(() => step(ones([2]))).toThrow(new RangeError('mine'));
    bad = false;
    for (let i = 0; i < 5; i++) expect(step(ones([2])).toArraySync()).toEqual([-1, -1]);
  });
});

test('an index out of range in a replay is thrown at the next read', () => {
  const table = randn([4, 2]);
  const step = compile((index: AnyTensor) => table.indexSelect(0, index as never));
  for (let i = 0; i < 5; i++) step(tensor([1, 2], { dtype: 'int32' }));
  const broken = step(tensor([1, 9], { dtype: 'int32' }));
  expect(() => broken.dataSync()).toThrow(IndexError);
  expect(step(tensor([1, 2], { dtype: 'int32' })).toArraySync()).toEqual(table.narrow(0, 1, 2).toArraySync());
});

test('a parameter that was released', () => {
  const w = ones([2]);
  const step = compile((x: AnyTensor) => x.add(w));
  for (let i = 0; i < 5; i++) step(ones([2]));
  w.dispose();
  expect(() => step(ones([2]))).toThrow(DisposedError);
});

test('reset() runs the step again', () => {
  let calls = 0;
  const step = compile((x: AnyTensor) => {
    calls++;
    return x.neg();
  });
  for (let i = 0; i < 10; i++) step(ones([2]));
  expect(calls).toBe(3);
  step.reset();
  for (let i = 0; i < 10; i++) step(ones([2]));
  expect(calls).toBe(6);
});
