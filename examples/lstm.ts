/**
 * Tells whether a sentence is praise or complaint, with a bidirectional LSTM over its words.
 *
 *   npx tsx examples/lstm.ts                    sentences made up by the program, with negations that turn them round
 *   npx tsx examples/lstm.ts --data DIR         SST-2: stsa.binary.train, .dev and .test, a label and a sentence a line
 *   npx tsx examples/lstm.ts --epochs 10        and so on; --help lists the options
 *
 * Hochreiter and Schmidhuber, 1997, Long short-term memory; words left out as in Iyyer et al., 2015.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { data, manualSeed, nn, optim, rand, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       stsa.binary.train, stsa.binary.dev and stsa.binary.test; without it, sentences are made up
  --epochs N       passes over the sentences (6)
  --batch N        sentences per step (32)
  --lr RATE        the highest learning rate (0.002)
  --embedding N    features of a word (128)
  --hidden N       features of each direction (128)
  --dropout P      of embeddings and features (0.5)
  --hide P         of words that are left out in training (0.1)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    epochs: { type: 'string', default: '6' },
    batch: { type: 'string', default: '32' },
    lr: { type: 'string', default: '0.002' },
    embedding: { type: 'string', default: '128' },
    hidden: { type: 'string', default: '128' },
    dropout: { type: 'string', default: '0.5' },
    hide: { type: 'string', default: '0.1' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

interface Sentence {
  readonly words: readonly string[];
  /** 1 for praise. */
  readonly label: number;
}

async function readSentences(folder: string, part: string): Promise<Sentence[]> {
  const lines = await new data.TextLines(join(folder, `stsa.binary.${part}`)).read();
  return lines.map((line) => ({ words: line.slice(2).split(' '), label: Number(line[0]) }));
}

/** Sentences like "the cast was hardly dull but i found the plot great". */
function makeSentences(count: number, seed: number): Sentence[] {
  const random = new data.Random(seed);
  const one = (words: string): string => words.split(' ')[random.integer(words.split(' ').length)]!;
  const judgement = (praise: boolean): string[] => {
    const negated = random.uniform() < 0.5;
    const verdict = one(praise !== negated ? 'great funny moving clever brilliant' : 'dull awful slow silly boring');
    return [
      'the',
      one('plot cast film story music ending'),
      'was',
      ...(negated ? [one('not never hardly')] : []),
      verdict,
    ];
  };
  return Array.from({ length: count }, () => {
    const label = random.integer(2);
    const concession = random.uniform() < 0.5 ? ['although', ...judgement(label === 0), ','] : [];
    return { words: [...concession, ...judgement(label === 1), '.'], label };
  });
}

class Classifier extends nn.Module {
  readonly embedding: nn.Embedding;
  readonly dropout: nn.Dropout;
  readonly lstm: nn.LSTM;
  readonly head: nn.Linear;

  constructor(words: number) {
    super();
    const [size, hidden] = [Number(values.embedding), Number(values.hidden)];
    this.embedding = new nn.Embedding(words, size, { paddingIndex: 0 });
    // Small, so that rare words hardly matter before they are learned.
    nn.init.normal_(this.embedding.weight, 0, 0.1);
    this.dropout = new nn.Dropout(Number(values.dropout));
    this.lstm = new nn.LSTM(size, hidden, { batchFirst: true, bidirectional: true });
    this.head = new nn.Linear(2 * hidden, 2);
  }

  /** Word numbers [b, t], of which `lengths` [b] count, to scores [b, 2]. */
  forward(words: AnyTensor, lengths: AnyTensor): AnyTensor {
    let x: AnyTensor = this.embedding.forward(words);
    if (this.training) x = x.mul(rand(words.shape).greaterEqual(Number(values.hide)).unsqueeze(-1));
    const { output } = this.lstm.forward(this.dropout.forward(x), { lengths });
    // The largest value of each feature over the sentence; behind its end there are zeros.
    return this.head.forward(this.dropout.forward(output.max(1)));
  }
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [epochs, seed, peak] = [Number(values.epochs), Number(values.seed), Number(values.lr)];
  manualSeed(seed);
  const [training, validation, test] =
    values.data === undefined
      ? [makeSentences(4000, 1), makeSentences(500, 2), makeSentences(1000, 3)]
      : await Promise.all(['train', 'dev', 'test'].map((part) => readSentences(values.data!, part)));
  const vocabulary = data.text.Vocabulary.build(
    training!.map(({ words }) => words),
    { specials: ['<pad>', '<unknown>'], unknown: '<unknown>', minFrequency: 2 },
  );
  const loaderOf = (sentences: readonly Sentence[], shuffle: boolean) => {
    const items = sentences.map(
      ({ words, label }) => [Int32Array.from(vocabulary.encode(words)), words.length, label] as const,
    );
    return new data.DataLoader(
      { length: items.length, get: (i) => items[i]! },
      { batchSize: Number(values.batch), shuffle, seed, collate: data.padCollate() },
    );
  };
  const [trainLoader, validationLoader, testLoader] = [
    loaderOf(training!, true),
    loaderOf(validation!, false),
    loaderOf(test!, false),
  ];

  const model = new Classifier(vocabulary.size);
  const parameters = model.parameters();
  const optimizer = new optim.AdamW(parameters, { lr: peak, weightDecay: 0.01 });
  const count = parameters.reduce((sum, { size }) => sum + size, 0);
  console.log(`${training!.length} sentences, ${vocabulary.size} words, ${count.toLocaleString('en')} parameters`);

  const trainer = new train.Trainer({
    model,
    optimizer,
    step: ([words, lengths, targets]: [AnyTensor, AnyTensor, AnyTensor]) => {
      const predictions = model.forward(words, lengths);
      return { loss: nn.functional.crossEntropy(predictions, targets), predictions, targets };
    },
    metrics: () => ({ accuracy: new train.Accuracy() }),
    schedule: new optim.PolynomialLR(optimizer, { totalIters: epochs * trainLoader.length }),
    clipNorm: 1,
    average: new optim.AveragedModel(model, { decay: 0.998, warmUp: true }),
    callbacks: [new train.Progress()],
  });
  await trainer.fit(trainLoader, { epochs, validation: validationLoader });
  const { accuracy } = await trainer.evaluate(testLoader);
  console.log(`Test accuracy ${(100 * accuracy).toFixed(1)} %`);
}

void main();
