/**
 * Tells whether a sentence is praise or complaint, with a bidirectional LSTM over its words.
 *
 *   npx tsx examples/lstm.ts                    sentences made up by the program, with negations that turn them round
 *   npx tsx examples/lstm.ts --data DIR         SST-2: stsa.binary.train, .dev and .test, a label and a sentence a line
 *   npx tsx examples/lstm.ts --epochs 10        and so on; --help lists the options
 *
 * Hochreiter and Schmidhuber, 1997, Long short-term memory.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { data, manualSeed, nn, noGrad, optim, scope, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       stsa.binary.train, stsa.binary.dev and stsa.binary.test; without it, sentences are made up
  --epochs N       passes over the sentences (6)
  --batch N        sentences per step (32)
  --lr RATE        the highest learning rate (0.002)
  --embedding N    features of a word (128)
  --hidden N       features of each direction (128)
  --dropout P      (0.5)
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
    this.dropout = new nn.Dropout(Number(values.dropout));
    this.lstm = new nn.LSTM(size, hidden, { batchFirst: true, bidirectional: true });
    this.head = new nn.Linear(2 * hidden, 2);
  }

  /** Word numbers [b, t], of which `lengths` [b] count, to scores [b, 2]. */
  forward(words: AnyTensor, lengths: AnyTensor): AnyTensor {
    const { output } = this.lstm.forward(this.dropout.forward(this.embedding.forward(words)), { lengths });
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
  const loaderOf = (sentences: readonly Sentence[], shuffle: boolean): data.DataLoader<unknown, AnyTensor[]> => {
    const items = sentences.map(({ words, label }) => [Int32Array.from(vocabulary.encode(words)), words.length, label]);
    return new data.DataLoader<unknown, AnyTensor[]>(
      { length: items.length, get: (i) => items[i] },
      { batchSize: Number(values.batch), shuffle, seed, collate: data.padCollate() as never },
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

  async function accuracyOn(loader: AsyncIterable<AnyTensor[]>, length: number): Promise<number> {
    model.eval();
    let right = 0;
    for await (const [words, lengths, labels] of loader) {
      const hits = noGrad(() => scope(() => model.forward(words!, lengths!).argmax(1).equalTo(labels!).sum()));
      right += Number(await hits.item());
    }
    model.train();
    return (100 * right) / length;
  }

  const steps = epochs * trainLoader.length;
  using progress = new train.ProgressBar({ total: steps, unit: 'steps' });
  let best = { validation: 0, test: 0 };
  let step = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    for await (const [words, lengths, labels] of trainLoader) {
      optimizer.groups[0]!.lr = peak * (1 - step / steps);
      optimizer.zeroGrad();
      const loss = scope(() => {
        const value = nn.functional.crossEntropy(model.forward(words!, lengths!), labels!);
        value.backward();
        return value.detach();
      });
      optim.clipGradNorm(parameters, 1);
      optimizer.step();
      if (++step % 20 === 0)
        progress.update(step, { epoch: `${epoch}/${epochs}`, loss: (await loss.item()).toFixed(3) });
    }
    const accuracy = await accuracyOn(validationLoader, validation!.length);
    if (accuracy > best.validation) best = { validation: accuracy, test: await accuracyOn(testLoader, test!.length) };
    progress.log(`epoch ${epoch}: validation accuracy ${accuracy.toFixed(1)} %`);
  }
  progress.stop();
  console.log(`Test accuracy ${best.test.toFixed(1)} % (where validation was best)`);
}

void main();
