// Schedules against PyTorch: rates and momenta of two groups over 50 epochs, in order and with jumps; states that carry on; and what schedules refuse.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { nn, optim, zeros, type AnyTensor } from '../../lib/index';
import { golden } from '../golden/golden';

type Options = Record<string, unknown>;
interface How {
  readonly optimizer?: string;
  readonly epochs?: number[];
  readonly metrics?: number[];
}
type Part = readonly [kind: string, options: Options];
type Case = readonly [...Part, How?];
interface Stepping {
  step(value?: number): void;
  stateDict(): optim.ScheduleState;
  loadStateDict(state: optim.ScheduleState): void;
  getLastLr(): readonly number[];
}
interface Trained {
  readonly groups: optim.ScheduledGroup[];
  stateDict(): unknown;
  loadStateDict(state: unknown): void;
}
type Making<T> = Record<string, new (...args: unknown[]) => T>;
const schedules = optim as unknown as Making<Stepping>;
const optimizers = optim as unknown as Making<Trained>;

const file = join(__dirname, '..', 'golden', 'optim.json');
const cases = Object.entries((JSON.parse(readFileSync(file, 'utf8')) as { schedules: Record<string, Case> }).schedules);

function optimizerFor(how: How = {}): Trained {
  const parts = [0.1, 0.02].map((lr) => ({ parameters: [new nn.Parameter(zeros([1]))], lr }));
  const { optimizer = 'SGD' } = how;
  return new optimizers[optimizer]!(parts, optimizer === 'SGD' ? { momentum: 0.9 } : {});
}

function scheduleFor(optimizer: Trained, [kind, given]: Part): Stepping {
  if (given['schedules'] !== undefined) {
    const parts = (given['schedules'] as Part[]).map((part) => scheduleFor(optimizer, part));
    return new schedules[kind]!(parts, given['milestones']);
  }
  const base = given['lrLambda'] as number | number[] | undefined;
  const lambda = (b: number) => (epoch: number) => b ** epoch;
  const options = base === undefined ? given : { lrLambda: Array.isArray(base) ? base.map(lambda) : lambda(base) };
  return new schedules[kind]!(optimizer, options);
}

const rowOf = ({ groups }: Trained): number[] =>
  groups.flatMap(({ lr, betas, momentum = 0 }) => [lr, betas === undefined ? momentum : betas[0]]);

test.each(cases)('%s', async (name, one) => {
  const how = one[2] ?? {};
  const expected = (await golden('schedule', 'optim'))[name]!;
  const rows = expected.reshape([-1, 4]).toArraySync() as number[][];
  const given: (number | undefined)[] = how.epochs ?? how.metrics ?? new Array<undefined>(49).fill(undefined);
  expect(rows).toHaveLength(given.length + 1);
  const near = (row: number[], i: number): void =>
    row.forEach((value, k) => {
      if (Math.abs(value - rows[i]![k]!) > 1e-9 * Math.abs(rows[i]![k]!) + 1e-15) {
        throw new Error(`${name}, step ${i}, value ${k}: got ${value}, expected ${rows[i]![k]!}`);
      }
    });
  const optimizer = optimizerFor(how);
  const schedule = scheduleFor(optimizer, one as unknown as Part);
  near(rowOf(optimizer), 0);
  let saved: [unknown, optim.ScheduleState] | undefined;
  const half = given.length >> 1;
  given.forEach((value, i) => {
    schedule.step(value);
    near(rowOf(optimizer), i + 1);
    expect(schedule.getLastLr()).toEqual(optimizer.groups.map(({ lr }) => lr));
    if (i + 1 === half) {
      saved = [optimizer.stateDict(), JSON.parse(JSON.stringify(schedule.stateDict())) as optim.ScheduleState];
    }
  });

  const again = optimizerFor(how);
  const resumed = scheduleFor(again, one as unknown as Part);
  again.loadStateDict(saved![0]);
  resumed.loadStateDict(saved![1]);
  given.slice(half).forEach((value, i) => {
    resumed.step(value);
    near(rowOf(again), half + i + 1);
  });
});

test('lastEpoch goes on from an optimizer whose state was loaded', () => {
  const first = optimizerFor();
  const schedule = new optim.ExponentialLR(first, { gamma: 0.5 });
  schedule.step();
  schedule.step();
  const second = optimizerFor();
  second.loadStateDict(first.stateDict());
  const resumed = new optim.ExponentialLR(second, { gamma: 0.5, lastEpoch: 2 });
  resumed.step();
  schedule.step();
  expect(rowOf(second)).toEqual(rowOf(first));
});

// What PyTorch 2.13 gives after some steps, and its rates after the next ones.
const ofPyTorch: [string, (optimizer: Trained) => Stepping, optim.ScheduleState, rate: number, next: number[]][] = [
  [
    'CosineAnnealingWarmRestarts',
    (optimizer) => new optim.CosineAnnealingWarmRestarts(optimizer, { t0: 2, tMult: 2 }),
    {
      T_0: 2,
      T_i: 4,
      T_mult: 2,
      eta_min: 0,
      T_cur: 1,
      base_lrs: [1],
      last_epoch: 3,
      _step_count: 0,
      _is_initial: false,
      _last_lr: [0.8535533905932737],
    },
    0.8535533905932737,
    [0.5, 0.14644660940672627, 1, 0.9619397662556434],
  ],
  [
    'SequentialLR',
    (optimizer) => {
      const warmUp = new optim.LinearLR(optimizer, { startFactor: 0.5, totalIters: 2 });
      return new optim.SequentialLR([warmUp, new optim.ExponentialLR(optimizer, { gamma: 0.5 })], [3]);
    },
    {
      _milestones: [3],
      last_epoch: 4,
      _last_lr: [0.5],
      _schedulers: [
        {
          start_factor: 0.5,
          end_factor: 1,
          total_iters: 2,
          base_lrs: [1],
          last_epoch: 2,
          _step_count: 3,
          _last_lr: [1],
        },
        { gamma: 0.5, base_lrs: [1], last_epoch: 1, _step_count: 2, _last_lr: [0.5] },
      ],
    },
    0.5,
    [0.25, 0.125, 0.0625],
  ],
  [
    'ReduceLROnPlateau',
    (optimizer) => new optim.ReduceLROnPlateau(optimizer, { patience: 1, cooldown: 2 }) as unknown as Stepping,
    {
      factor: 0.1,
      patience: 1,
      cooldown: 2,
      last_epoch: 4,
      _last_lr: [0.1],
      mode: 'min',
      best: 1,
      cooldown_counter: 1,
      num_bad_epochs: 0,
    },
    0.1,
    [0.1, 0.1, 0.01],
  ],
];

test.each(ofPyTorch)('%s goes on from a state dict of PyTorch', (name, make, state, rate, next) => {
  const optimizer = new optim.SGD([new nn.Parameter(zeros([1]))], { lr: 1 }) as unknown as Trained;
  const schedule = make(optimizer);
  schedule.loadStateDict(state);
  optimizer.groups[0]!.lr = rate;
  const rates = next.map(() => {
    schedule.step(name === 'ReduceLROnPlateau' ? 3 : undefined);
    return optimizer.groups[0]!.lr;
  });
  rates.forEach((lr, i) => expect(lr).toBeCloseTo(next[i]!, 12));
});

test('an optimizer follows its schedule', () => {
  const p = new nn.Parameter(zeros([1]));
  const optimizer = new optim.SGD([p], { lr: 1 });
  const schedule = new optim.StepLR(optimizer, { stepSize: 1, gamma: 0.5 });
  for (let step = 0; step < 3; step++) {
    optimizer.zeroGrad();
    (p as AnyTensor).sum().backward();
    optimizer.step();
    schedule.step();
  }
  expect(p.itemSync()).toBe(-1.75);
});

test.each([3, 5, 7, 10, 1000])('a line down to 0 in %i steps ends at 0, not below it by a rounding', (totalIters) => {
  const optimizer = optimizerFor();
  const schedule = new optim.LinearLR(optimizer, { endFactor: 0, totalIters });
  for (let i = 0; i < totalIters; i++) schedule.step();
  expect(schedule.getLastLr()).toEqual([0, 0]);
  optimizerFor().loadStateDict(optimizer.stateDict());
});

test('what they refuse', () => {
  const optimizer = optimizerFor();
  const plateau = new optim.ReduceLROnPlateau(optimizer);
  for (const [act, message] of [
    [
      () => new optim.StepLR(optimizer, { stepSize: 0 }),
      'StepLR: stepSize: got 0, expected a whole number of at least 1',
    ],
    [
      () => new optim.LinearLR(optimizer, { startFactor: 0 }),
      'LinearLR: startFactor: got 0, expected a number above 0, at most 1',
    ],
    [() => new optim.ConstantLR(optimizer, { factor: 2 }), 'ConstantLR: factor: got 2, expected a number from 0 to 1'],
    [
      () => new optim.OneCycleLR(optimizer, { maxLr: 1 }),
      'OneCycleLR: totalSteps: got NaN, expected a whole number of at least 1',
    ],
    [
      () => new optim.OneCycleLR(optimizer, { maxLr: [1], totalSteps: 9 }),
      'OneCycleLR: maxLr: got 1 values, expected 2',
    ],
    [
      () => new optim.OneCycleLR(optimizerFor({ optimizer: 'Adagrad' }), { maxLr: 1, totalSteps: 9 }),
      'OneCycleLR: cycleMomentum: got true, expected an optimizer with momentum or betas',
    ],
    [
      () => {
        const schedule = new optim.OneCycleLR(optimizerFor(), { maxLr: 1, totalSteps: 2 });
        for (let i = 0; i < 4; i++) schedule.step();
      },
      'OneCycleLR: step: got 3 steps, expected at most 2',
    ],
    [
      () => new optim.StepLR(optimizerFor(), { stepSize: 1, lastEpoch: 3 }),
      'StepLR: lastEpoch: got 3 for groups without initialLr, expected an optimizer whose state was loaded',
    ],
    [
      () => new optim.OneCycleLR(optimizer, { maxLr: 1, totalSteps: 2, annealStrategy: 'cosine' as 'cos' }),
      'OneCycleLR: annealStrategy: got cosine, expected cos or linear',
    ],
    [
      () => new optim.CyclicLR(optimizer, { baseLr: 0.1, maxLr: 1, mode: 'exp' as 'exp_range' }),
      'CyclicLR: mode: got exp, expected triangular, triangular2 or exp_range',
    ],
    [
      () => new optim.CyclicLR(optimizer, { baseLr: 0.1, maxLr: 1, scaleMode: 'step' as 'cycle' }),
      'CyclicLR: scaleMode: got step, expected cycle or iterations',
    ],
    [
      () => new optim.WarmupLR(optimizer, { warmupSteps: 1, totalSteps: 5, decay: 'cos' as 'cosine' }),
      'WarmupLR: decay: got cos, expected constant, linear or cosine',
    ],
    [
      () => new optim.SWALR(optimizer, { swaLr: 0.1, annealStrategy: 'poly' as 'cos' }),
      'SWALR: annealStrategy: got poly, expected cos or linear',
    ],
    [
      () => new optim.ReduceLROnPlateau(optimizer, { mode: 'lower' as 'min' }),
      'ReduceLROnPlateau: mode: got lower, expected min or max',
    ],
    [
      () => new optim.ReduceLROnPlateau(optimizer, { thresholdMode: 'relative' as 'rel' }),
      'ReduceLROnPlateau: thresholdMode: got relative, expected rel or abs',
    ],
    [
      () => plateau.step(undefined as never),
      'ReduceLROnPlateau: step: got undefined, expected the measured number; a trainer gives the one that scheduleMonitor names',
    ],
    [() => new optim.ChainedScheduler([]), 'ChainedScheduler: schedules: got none, expected at least one'],
    [
      () => new optim.ChainedScheduler([plateau as never]),
      'ChainedScheduler: schedules: got one that steps by a value, expected ones that step by epochs',
    ],
    [
      () => new optim.SequentialLR([new optim.StepLR(optimizer, { stepSize: 1 })], [3]),
      'SequentialLR: milestones: got 1, expected 0 for 1 schedules',
    ],
    [
      () => new optim.ChainedScheduler([optimizer, optimizerFor()].map((o) => new optim.StepLR(o, { stepSize: 1 }))),
      'ChainedScheduler: schedules: got some of different optimizers, expected one optimizer',
    ],
    [
      () => new optim.ReduceLROnPlateau(optimizer, { factor: 1 }),
      'ReduceLROnPlateau: factor: got 1, expected a number below 1',
    ],
    [
      () => new optim.StepLR(optimizer, { stepSize: 1 }).loadStateDict({ stepCount: 1 }),
      'StepLR: state: got stepCount, expected lastEpoch, stepCount, baseLrs, lastLr',
    ],
  ] as const) {
    expect(act).toThrow(new Error(message));
  }
});
