// Each metric, fed in batches, against the definition computed over all samples in plain JavaScript, and against the values of scikit-learn,
// SciPy, scikit-image and torchmetrics in golden/metrics.json, which golden/make-metrics.py made.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { IndexError } from '../../lib/errors';
import { data, manualSeed, nn, rand, randn, scope, tensor, train, zeros, type AnyTensor } from '../../lib/index';

const random = new data.Random(7);
const labels = (n: number, classes: number): number[] => Array.from({ length: n }, () => random.integer(classes));
const ints = (values: readonly number[]): AnyTensor => tensor(Int32Array.from(values)) as AnyTensor;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Feeds a metric with batches of 7. */
function feed<I extends readonly AnyTensor[]>(metric: train.Metric<I>, ...inputs: I): void {
  const n = inputs[0]!.shape[0]!;
  for (let start = 0; start < n; start += 7) {
    scope(() => metric.update(...(inputs.map((x) => x.narrow(0, start, Math.min(7, n - start))) as unknown as I)));
  }
}

const n = 100;
const classes = 4;
const scores = Array.from({ length: n }, () =>
  Array.from({ length: classes }, () => Math.round(random.uniform() * 20)),
);
const targets = labels(n, classes);
const best = (row: readonly number[]): number => row.indexOf(Math.max(...row));
const predicted = scores.map(best);

/** Precision, recall and F1 of each class, and how often it is true. */
const perClass = Array.from({ length: classes }, (_, c) => {
  const both = targets.filter((t, i) => t === c && predicted[i] === c).length;
  const [guesses, actual] = [predicted, targets].map((list) => list.filter((t) => t === c).length) as [number, number];
  return { precision: both / guesses, recall: both / actual, f1: (2 * both) / (guesses + actual), actual };
});

describe('classes', () => {
  test('accuracy from scores, from classes and from probabilities', async () => {
    const right = sum(targets.map((t, i) => Number(t === predicted[i]))) / n;
    for (const predictions of [tensor(scores), ints(predicted)] as AnyTensor[]) {
      const accuracy = new train.Accuracy();
      feed(accuracy, predictions, ints(targets));
      expect(await accuracy.compute()).toBeCloseTo(right, 12);
    }
    const binary = new train.Accuracy({ threshold: 0.3 });
    feed(binary, tensor([0.2, 0.4, 0.9]), ints([1, 1, 1]));
    expect(await binary.compute()).toBeCloseTo(2 / 3, 12);
    const pixels = new train.Accuracy();
    pixels.update(tensor([[[[1, 5]], [[2, 3]]]]), tensor([[[1, 1]]], { dtype: 'int32' })); // [1, 2, 1, 2] and [1, 1, 2]
    expect(await pixels.compute()).toBe(0.5);
  });

  test('top k', async () => {
    // Scores without ties, so that every order of equal ones agrees.
    const distinct = scores.map((row) => row.map((score, c) => score + c / 10));
    const expected =
      targets.filter((t, i) => distinct[i]!.filter((score) => score > distinct[i]![t]!).length < 2).length / n;
    const top2 = new train.TopKAccuracy(2);
    feed(top2, tensor(distinct), ints(targets));
    expect(await top2.compute()).toBeCloseTo(expected, 12);
  });

  test.each(['precision', 'recall', 'f1'] as const)('%s by every average', async (name) => {
    const score = { precision: train.Precision, recall: train.Recall, f1: train.F1Score }[name];
    const of = async <A extends train.Average>(average: A): Promise<unknown> => {
      const metric = new score<A>(classes, { average });
      feed(metric, tensor(scores), ints(targets));
      return await metric.compute();
    };
    const each = perClass.map((values) => values[name]);
    expect(await of('none')).toEqual(each);
    expect(await of('macro')).toBeCloseTo(sum(each) / classes, 12);
    expect(await of('weighted')).toBeCloseTo(sum(perClass.map((values) => (values[name] * values.actual) / n)), 12);
    expect(await of('micro')).toBeCloseTo(sum(targets.map((t, i) => Number(t === predicted[i]))) / n, 12);
  });

  test('two classes: the score of class 1', async () => {
    const [truth, guess] = [
      [0, 1, 1, 1, 0],
      [1, 1, 0, 1, 0],
    ];
    for (const [metric, expected] of [
      [new train.Precision(2, { average: 'binary' }), 2 / 3],
      [new train.Recall(2, { average: 'binary' }), 2 / 3],
      [new train.F1Score(2, { average: 'binary' }), 2 / 3],
    ] as const) {
      metric.update(ints(guess), ints(truth));
      expect(await metric.compute()).toBeCloseTo(expected, 12);
    }
  });

  test('a class that never occurs leaves the mean alone', async () => {
    const f1 = new train.F1Score(5);
    f1.update(ints([0, 1, 1]), ints([0, 1, 0]));
    expect(await f1.compute()).toBeCloseTo(2 / 3, 12);
  });

  test('the confusion matrix', async () => {
    const confusion = new train.ConfusionMatrix(classes);
    feed(confusion, tensor(scores), ints(targets));
    const expected = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
    targets.forEach((t, i) => expected[t]![predicted[i]!]!++);
    expect(await confusion.compute()).toEqual(expected);
  });

  test('targets that do not count', async () => {
    const options = { ignoreIndex: -1 };
    const [guess, truth] = [ints([0, 1, 1, 0]), ints([0, -1, 0, -1])];
    const accuracy = new train.Accuracy(options);
    const confusion = new train.ConfusionMatrix(2, options);
    const recall = new train.Recall(2, { ...options, average: 'none' });
    for (const metric of [accuracy, confusion, recall]) metric.update(guess, truth);
    expect(await accuracy.compute()).toBe(0.5);
    expect(await confusion.compute()).toEqual([
      [1, 1],
      [0, 0],
    ]);
    expect(await recall.compute()).toEqual([0.5, 0]);
  });

  test.each([
    [[2], [0]],
    [[-1], [0]],
    [[0], [2]],
    [[0], [-1]],
  ])('a class that is none is an error at the end: %j for %j', async (guess, truth) => {
    for (const metric of [new train.ConfusionMatrix(2), new train.Precision(2)]) {
      metric.update(ints(guess), ints(truth));
      await expect(metric.compute()).rejects.toThrow(IndexError);
    }
  });

  test.each([
    [
      () => new train.Accuracy().update(zeros([3]), zeros([2])),
      'Accuracy: predictions: got shape [3] for targets [2], expected their shape, or it with an axis of classes behind the first',
    ],
    [
      () => new train.ConfusionMatrix(3).update(zeros([2, 4]), ints([0, 0])),
      'ConfusionMatrix: predictions: got 4 classes in [2, 4], expected 3',
    ],
    [() => new train.ConfusionMatrix(1), 'ConfusionMatrix: classes: got 1, expected an integer of at least 2'],
    [() => new train.F1Score(3, { average: 'binary' }), 'F1Score: average: got binary for 3 classes, expected 2'],
    [
      () => new train.Recall(3, { average: 'all' as 'macro' }),
      'Recall: average: got all, expected macro, weighted, micro, binary or none',
    ],
    [() => new train.TopKAccuracy(0), 'TopKAccuracy: k: got 0, expected an integer of at least 1'],
    [
      () => new train.MeanSquaredError().update(zeros([2]), zeros([3])),
      'MeanSquaredError: predictions: got shape [2], expected [3] as the targets',
    ],
    [
      () => new train.R2Score().update(zeros([2, 2]), zeros([2, 2])),
      'R2Score: targets: got shape [2, 2], expected [n, 1]',
    ],
    [
      () => new train.Auroc().update(zeros([2, 3]), ints([0, 1])),
      'Auroc: scores: got shape [2, 3] for targets [2], expected [n] or [n, 2] for [n]',
    ],
    [
      () => new train.Bleu().update([['a']], [[]]),
      'Bleu: references: got 0 for 1 texts, expected one or more for each text',
    ],
    [
      () => new train.AveragePrecision({ classes: 3 }).update(zeros([2]), ints([0, 1])),
      'AveragePrecision: scores: got shape [2] for targets [2], expected [n, 3] for [n]',
    ],
    [
      () => new train.JaccardIndex(3).update(zeros([2, 4, 5]), zeros([2, 5], { dtype: 'int32' })),
      'JaccardIndex: predictions: got 4 classes in [2, 4, 5], expected 3',
    ],
    [
      () => new train.CohenKappa(3, { weights: 'cubic' as 'linear' }),
      'CohenKappa: weights: got cubic, expected linear or quadratic',
    ],
    [
      () => new train.PearsonCorrelation().update(zeros([2]), zeros([3])),
      'PearsonCorrelation: predictions: got shape [2], expected [3] as the targets',
    ],
    [
      () => new train.ExplainedVariance({ outputs: 2 }).update(zeros([2, 3]), zeros([2, 3])),
      'ExplainedVariance: targets: got shape [2, 3], expected [n, 2]',
    ],
    [() => new train.Rouge(0), 'Rouge: order: got 0, expected an integer of at least 1, or L'],
    [
      () => new train.WordErrorRate().update(['a', 'b'], ['a']),
      'WordErrorRate: references: got 1 for 2 texts, expected one for each text',
    ],
    [
      () => new train.CharErrorRate().update([['a']] as never, ['a']),
      'CharErrorRate: candidates[0]: got an array, expected a string',
    ],
    [() => new train.PeakSignalNoiseRatio(0), 'PeakSignalNoiseRatio: dataRange: got 0, expected a positive number'],
    [
      () => new train.StructuralSimilarity(1).update(zeros([1, 3, 5, 8]), zeros([1, 3, 5, 8])),
      'StructuralSimilarity: predictions: got shape [1, 3, 5, 8], expected [n, channels, height, width] of at least 6 × 6',
    ],
  ])('what does not fit: %#', (call, message) => {
    expect(call).toThrow(message);
  });
});

/** By the definition: pairs of a sample of the class and one of another that are in order. */
function areaByPairs(score: readonly number[], isClass: readonly boolean[]): number {
  let [area, pairs] = [0, 0];
  score.forEach((a, i) => {
    score.forEach((b, j) => {
      if (!isClass[i] || isClass[j]) return;
      pairs++;
      area += a > b ? 1 : a === b ? 0.5 : 0;
    });
  });
  return area / pairs;
}

describe('the area under the ROC curve', () => {
  test('of two classes, with ties', async () => {
    const score = scores.map((row) => row[0]!);
    const truth = targets.map((t) => Number(t > 1));
    const expected = areaByPairs(score, truth.map(Boolean));
    const auroc = new train.Auroc();
    feed(auroc, tensor(score), ints(truth));
    expect(await auroc.compute()).toBeCloseTo(expected, 12);
    const columns = new train.Auroc();
    feed(columns, tensor(score.map((value) => [-value, value])), ints(truth));
    expect(await columns.compute()).toBeCloseTo(expected, 12);
  });

  test('of several classes, each against the rest', async () => {
    const areas = Array.from({ length: classes }, (_, c) =>
      areaByPairs(
        scores.map((row) => row[c]!),
        targets.map((t) => t === c),
      ),
    );
    const auroc = new train.Auroc({ classes });
    feed(auroc, tensor(scores), ints(targets));
    expect(await auroc.compute()).toBeCloseTo(sum(areas) / classes, 12);
  });

  test('without a sample, or with one class only, there is none', async () => {
    const auroc = new train.Auroc();
    expect(await auroc.compute()).toBeNaN();
    auroc.update(tensor([1, 2]), ints([1, 1]));
    expect(await auroc.compute()).toBeNaN();
  });
});

describe('numbers', () => {
  test('the mean squared error and its root', async () => {
    const [p, t] = [tensor([1, 2, 5]), tensor([1, 4, 4])];
    const [mse, root] = [new train.MeanSquaredError(), new train.MeanSquaredError({ root: true })];
    feed(mse, p, t);
    feed(root, p, t);
    expect(await mse.compute()).toBeCloseTo(5 / 3, 12);
    expect(await root.compute()).toBeCloseTo(Math.sqrt(5 / 3), 12);
  });

  test('R², also of several outputs far from zero', async () => {
    const truth = Array.from({ length: 50 }, (_, i) => [1000 + random.uniform(), i]);
    const guess = truth.map(([a, b]) => [Math.fround(a! + 0.3 * random.uniform()), b! + random.uniform()]);
    const score = (column: number): number => {
      const t = truth.map((row) => Math.fround(row[column]!));
      const mean = sum(t) / t.length;
      return 1 - sum(t.map((v, i) => (v - Math.fround(guess[i]![column]!)) ** 2)) / sum(t.map((v) => (v - mean) ** 2));
    };
    const r2 = new train.R2Score({ outputs: 2 });
    feed(r2, tensor(guess), tensor(truth));
    expect(await r2.compute()).toBeCloseTo((score(0) + score(1)) / 2, 12);
  });

  test("R² of targets that are all alike, with scikit-learn's answers", async () => {
    const score = (guess: number[], truth: number[]): Promise<number> => {
      const r2 = new train.R2Score();
      r2.update(tensor(guess), tensor(truth));
      return r2.compute();
    };
    const alike = [0.1, 0.1, 0.1];
    expect([await score(alike, alike), await score([0.1, 0.2, 0.3], alike)]).toEqual([1, 0]);
    expect(await score([1], [2])).toBeNaN();
  });

  test('means weighted by batch', async () => {
    const mean = new train.Mean();
    mean.update(tensor(0.5), 32);
    mean.update(tensor([0.5, 1.1]), 8);
    expect(await mean.compute()).toBeCloseTo((0.5 * 32 + 0.8 * 16) / 48, 7);
  });
});

/** A metric fed with the same batches as others; numbers that JSON cannot hold are strings. */
interface Golden {
  readonly batches: readonly (readonly unknown[])[];
  readonly cases: readonly {
    readonly metric: string;
    readonly what: string;
    readonly args: readonly unknown[];
    readonly expected: unknown;
    /** Decimal places: 12 of what was computed in float64, 6 in float32. */
    readonly digits: number;
  }[];
}
const golden = JSON.parse(readFileSync(join(__dirname, '../golden/metrics.json'), 'utf8')) as Golden[];

test.each(
  golden.flatMap(({ batches, cases }) => cases.map((row) => [`${row.metric}: ${row.what}`, row, batches] as const)),
)("others' values: %s", async (_, { metric, args, expected, digits }, batches) => {
  const Class = (train as any)[metric] as new (...args: readonly unknown[]) => train.Metric<any>;
  const measured = new Class(...args);
  for (const batch of batches) {
    const inputs = batch.map((input) => {
      const { dtype, values } = input as { readonly dtype?: 'float64'; readonly values: number[] };
      return dtype === undefined ? input : tensor(values, { dtype });
    });
    scope(() => measured.update(...inputs));
  }
  const [got, wanted] = [await measured.compute(), expected].map((value) => [value].flat().map(Number));
  expect(got).toEqual(wanted!.map((value) => (Number.isFinite(value) ? expect.closeTo(value, digits) : value)));
});

describe('text', () => {
  test('perplexity, without what is ignored', async () => {
    manualSeed(1);
    const logits = randn([4, 6, 11]);
    const truth = tensor(Int32Array.from(labels(24, 11).map((t, i) => (i % 5 === 0 ? -100 : t)))).reshape([4, 6]);
    const loss = await nn.functional.crossEntropy(logits.reshape([24, 11]), truth.reshape([24])).item();
    const perplexity = new train.Perplexity();
    feed(perplexity, logits, truth as AnyTensor);
    expect(await perplexity.compute()).toBeCloseTo(Math.exp(loss), 4);
  });

  const words = (text: string): string[] => text.split(' ');
  test('BLEU of a corpus', async () => {
    const bleu = new train.Bleu();
    bleu.update([words('the cat is on the mat')], [[words('there is a cat on the mat'), words('a cat is on the mat')]]);
    // Shares of runs: 5/6, 4/5, 3/4, 2/3; the closest reference is as long.
    expect(await bleu.compute()).toBeCloseTo(((5 / 6) * (4 / 5) * (3 / 4) * (2 / 3)) ** 0.25, 12);
    bleu.update([words('the the the')], [[words('the cat sat down')]]);
    // Clipped: 1 of 3 words, nothing longer; 9 words for references of 10.
    const shares = [6 / 9, 4 / 7, 3 / 5, 2 / 3];
    expect(await bleu.compute()).toBeCloseTo(shares.reduce((a, b) => a * b) ** 0.25 * Math.exp(1 - 10 / 9), 12);
  });

  test('BLEU is 0 without a long run, unless smoothed', async () => {
    for (const [smooth, expected] of [
      [false, 0],
      [true, ((3 / 3) * (2 / 3) * (1 / 2) * (1 / 1)) ** 0.25],
    ] as const) {
      const bleu = new train.Bleu({ smooth });
      bleu.update(
        [[1, 2, 3]],
        [[[1, 2, 4, 3]]].map((each) => each),
      );
      expect(await bleu.compute()).toBeCloseTo(expected * Math.exp(1 - 4 / 3), 12);
    }
  });
});

test('a metric goes on from its state, and starts anew after a reset', async () => {
  const logits = tensor(scores);
  const makers: (() => train.Metric<readonly AnyTensor[]>)[] = [
    () => new train.Accuracy(),
    () => new train.F1Score(classes),
    () => new train.Auroc({ classes }),
    () => new train.AveragePrecision({ classes }),
    () => new train.ConfusionMatrix(classes),
    () => new train.CohenKappa(classes, { weights: 'linear' }),
    () => new train.JaccardIndex(classes, { average: 'none' }),
  ];
  for (const make of makers) {
    const [whole, first, second] = [make(), make(), make()];
    feed(whole, logits, ints(targets));
    first.update(logits.narrow(0, 0, 30), ints(targets.slice(0, 30)));
    second.loadStateDict(first.stateDict());
    first.update(logits, ints(targets)); // the state is not the first one's any more
    second.update(logits.narrow(0, 30, 70), ints(targets.slice(30)));
    expect(await second.compute()).toEqual(await whole.compute());
    second.reset();
    feed(second, logits, ints(targets));
    expect(await second.compute()).toEqual(await whole.compute());
  }
  const [p, t] = [randn([20]).add(1000), randn([20])];
  const [moments, others] = [new train.PearsonCorrelation(), new train.PearsonCorrelation()];
  moments.update(p.narrow(0, 0, 8), t.narrow(0, 0, 8));
  others.loadStateDict(moments.stateDict());
  for (const metric of [moments, others]) metric.update(p.narrow(0, 8, 12), t.narrow(0, 8, 12));
  expect(await others.compute()).toBe(await moments.compute());
  const bleu = new train.Bleu();
  bleu.update([['a', 'b']], [[['a', 'b']]]);
  const other = new train.Bleu();
  other.loadStateDict(bleu.stateDict());
  expect(await other.compute()).toBe(await bleu.compute());
  expect(() => new train.Bleu({ maxOrder: 2 }).loadStateDict(bleu.stateDict())).toThrow(
    'Bleu: state: got sums of shape [10], expected [6]',
  );
  expect(() => new train.Accuracy().loadStateDict({ sums: zeros([3]) })).toThrow(
    'Accuracy: state: got sums of shape [3], expected [2]',
  );
});

test('without a batch there is no value', async () => {
  for (const metric of [
    new train.Accuracy(),
    new train.AveragePrecision(),
    new train.Bleu(),
    new train.CharErrorRate(),
    new train.CohenKappa(3),
    new train.ExplainedVariance(),
    new train.F1Score(3),
    new train.JaccardIndex(3),
    new train.MatthewsCorrCoef(3),
    new train.MeanAbsoluteError(),
    new train.MeanSquaredError(),
    new train.PeakSignalNoiseRatio(1),
    new train.PearsonCorrelation(),
    new train.Perplexity(),
    new train.R2Score(),
    new train.Rouge(),
    new train.StructuralSimilarity(1),
  ]) {
    expect(await metric.compute()).toBeNaN();
  }
});

test('a batch without a sample changes nothing', async () => {
  const [p, t] = [tensor([1, 2, 5]), tensor([1, 4, 4])];
  const image = rand([2, 1, 6, 6]);
  for (const [metric, batch] of [
    [new train.PearsonCorrelation(), [p, t]],
    [new train.R2Score(), [p, t]],
    [new train.MeanAbsoluteError(), [p, t]],
    [new train.AveragePrecision(), [p, ints([0, 1, 0])]],
    [new train.StructuralSimilarity(1), [image, image.square()]],
  ] as const) {
    const nothing = batch.map((x) => x.narrow(0, 0, 0)) as unknown as [AnyTensor, AnyTensor];
    metric.update(...nothing);
    expect(await metric.compute()).toBeNaN();
    metric.update(...(batch as unknown as [AnyTensor, AnyTensor]));
    const value = await metric.compute();
    metric.update(...nothing);
    expect(value).not.toBeNaN();
    expect(await metric.compute()).toBe(value);
  }
});

test('nothing is kept of a batch, nor recorded', () => {
  const accuracy = new train.Accuracy();
  const x = randn([8, 3]).requiresGrad_();
  scope(() => {
    const y = x.mul(2);
    accuracy.update(y, ints([0, 1, 2, 0, 1, 2, 0, 1]));
    y.sum().backward();
  });
  expect(x.grad).toBeDefined();
});
