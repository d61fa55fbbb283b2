/**
 * Learns vectors of words from the words around them: words that stand in the same places come to lie near each other.
 *
 *   npx tsx examples/word2vec.ts                sentences made up by the program, in which groups of words are interchangeable
 *   npx tsx examples/word2vec.ts --data DIR     all .txt files of a folder, its words runs of letters
 *   npx tsx examples/word2vec.ts --pairs FILE   compares with what people say of pairs of words; --help lists the options
 *
 * Mikolov, Sutskever, Chen, Corrado and Dean, 2013, Distributed representations of words and phrases and their compositionality.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { compile, data, manualSeed, multinomial, nn, optim, tensor, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       a folder with text; without it, sentences are made up
  --pairs FILE     lines of two words and how alike they are, with tabs in between, such as WordSim-353
  --words W,W,…    words whose neighbours are printed, where they occur (dog,red,king,war,river,music,two)
  --epochs N       passes over the text (5)
  --batch N        pairs of words per step (512)
  --lr RATE        the highest learning rate (0.005)
  --size N         numbers of a word (64)
  --window N       how far at most a word looks to both sides (5)
  --negatives N    words drawn at random for each that is seen (5)
  --minimum N      how often a word has to occur (5)
  --sample SHARE   more frequent words than this are left out now and then (0.001)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    pairs: { type: 'string' },
    words: { type: 'string', default: 'dog,red,king,war,river,music,two' },
    epochs: { type: 'string', default: '5' },
    batch: { type: 'string', default: '512' },
    lr: { type: 'string', default: '0.005' },
    size: { type: 'string', default: '64' },
    window: { type: 'string', default: '5' },
    negatives: { type: 'string', default: '5' },
    minimum: { type: 'string', default: '5' },
    sample: { type: 'string', default: '0.001' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

/** Words that may stand for each other in the sentences that the program makes up. */
const groups = {
  animal: 'dog cat horse cow sheep goat',
  food: 'bread cheese rice soup meat fruit',
  person: 'queen king farmer doctor child teacher',
  place: 'garden kitchen forest valley market harbour',
  colour: 'red green blue white black yellow',
  likes: 'likes wants loves needs prefers misses',
  saw: 'saw met heard called followed remembered',
};

/** Sentences like "the doctor saw a white goat in the market". */
function makeSentences(count: number, seed: number): string[][] {
  const random = new data.Random(seed);
  const one = (words: string): string => words.split(' ')[random.integer(words.split(' ').length)]!;
  const plans = [
    'the person saw a colour animal in the place',
    'the colour animal likes food and the person likes food too',
    'in the place the person who likes colour food saw an animal',
    'a person from the place likes the animal',
  ].map((plan) => plan.split(' '));
  return Array.from({ length: count }, () =>
    plans[random.integer(plans.length)]!.map((word) => one((groups as Record<string, string>)[word] ?? word)),
  );
}

/** The words of the lines of all text files in a folder, but for tags such as <unk>. */
async function readSentences(folder: string): Promise<string[][]> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.txt') && name !== 'SOURCES.txt');
  const lines = await Promise.all(files.map((name) => new data.TextLines(join(folder, name)).read()));
  return lines.flat().map((line) => line.toLowerCase().match(/(?<![<\p{L}])\p{L}+/gu) ?? []);
}

/** A vector for each word as it looks round, and one as it is seen. */
class SkipGram extends nn.Module {
  readonly words: nn.Embedding;
  readonly contexts: nn.Embedding;

  constructor(count: number, size: number) {
    super();
    this.words = new nn.Embedding(count, size);
    this.contexts = new nn.Embedding(count, size);
    nn.init.uniform_(this.words.weight, -0.5 / size, 0.5 / size);
    nn.init.zeros_(this.contexts.weight);
  }

  /** How badly words [n] tell the words beside them, [n], from others drawn at random, [n, negatives]. */
  forward(words: AnyTensor, seen: AnyTensor, drawn: AnyTensor): AnyTensor {
    const word = this.words.forward(words).unsqueeze(-1);
    const scores = (index: AnyTensor): AnyTensor => this.contexts.forward(index).matmul(word);
    const [positive, negative] = [scores(seen.unsqueeze(1)), scores(drawn)];
    return positive.logSigmoid().sum().add(negative.neg().logSigmoid().sum()).div(words.shape[0]!).neg() as AnyTensor;
  }
}

/** Each word of a sentence with each beside it: frequent words left out now and then, the window's width drawn for each word, so that near ones count more. */
function* pairsOf(
  sentence: readonly number[],
  kept: readonly number[],
  random: data.Random,
): Generator<[word: number, seen: number]> {
  const words = sentence.filter((word) => random.uniform() < kept[word]!);
  for (const [i, word] of words.entries()) {
    const width = 1 + random.integer(Number(values.window));
    for (let j = Math.max(0, i - width); j <= Math.min(words.length - 1, i + width); j++)
      if (j !== i) yield [word, words[j]!];
  }
}

/** Spearman's correlation: that of ranks, where equal numbers share the mean of theirs. */
function spearman(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [a, b].map((numbers) => {
    const sorted = numbers.toSorted((p, q) => p - q);
    return numbers.map((n) => (sorted.indexOf(n) + sorted.lastIndexOf(n) + 1 - numbers.length) / 2);
  }) as [number[], number[]];
  const dot = (p: readonly number[], q: readonly number[]): number => p.reduce((sum, v, i) => sum + v * q[i]!, 0);
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [epochs, batchSize, peak, seed] = [values.epochs, values.batch, values.lr, values.seed].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const negatives = Number(values.negatives);
  manualSeed(seed);
  const texts = values.data === undefined ? makeSentences(10_000, seed) : await readSentences(values.data);
  const vocabulary = data.text.Vocabulary.build(texts, { minFrequency: Number(values.minimum) });
  const sentences = texts.map((words) => vocabulary.encode(words.filter((word) => vocabulary.has(word))));
  const counts = new Array<number>(vocabulary.size).fill(0);
  for (const word of sentences.flat()) counts[word]!++;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const kept = counts.map((count) => Math.sqrt((Number(values.sample) * total) / count));
  const weights = tensor(counts.map((count) => count ** 0.75));
  console.log(`${total.toLocaleString('en')} words, ${vocabulary.size.toLocaleString('en')} different ones`);

  const model = new SkipGram(vocabulary.size, Number(values.size));
  const optimizer = new optim.Adam(model.parameters(), { lr: peak });
  const step = compile((pairs: AnyTensor) => {
    optimizer.zeroGrad();
    const drawn = multinomial(weights, batchSize * negatives, { replacement: true }).reshape([batchSize, negatives]);
    const loss = model.forward(pairs.select(1, 0), pairs.select(1, 1), drawn);
    loss.backward();
    optimizer.step();
    return loss;
  });

  using progress = new train.ProgressBar({ total: epochs * sentences.length, unit: 'sentences' });
  const random = new data.Random(seed);
  let [steps, mean] = [0, NaN];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = new data.Random(seed, epoch).permutation(sentences.length);
    let batch: number[] = [];
    for (const [i, place] of order.entries()) {
      for (const pair of pairsOf(sentences[place]!, kept, random)) {
        batch.push(...pair);
        if (batch.length < 2 * batchSize) continue;
        const done = epoch * sentences.length + i;
        optimizer.groups[0]!.lr = peak * (1 - done / (epochs * sentences.length));
        const loss = step(tensor(Int32Array.from(batch)).reshape([batchSize, 2]));
        batch = [];
        if (++steps % 50 > 0) continue;
        const value = await loss.item();
        mean = Number.isNaN(mean) ? value : 0.9 * mean + 0.1 * value;
        progress.update(done, { loss: mean.toFixed(3) });
      }
    }
  }
  progress.stop();
  console.log(`Loss ${mean.toFixed(3)} after ${steps} steps`);

  const table = model.words.weight.detach().normalize({ axis: 1 }) as AnyTensor;
  const vectorsOf = (words: readonly string[]): AnyTensor =>
    table.indexSelect(0, tensor(Int32Array.from(vocabulary.encode(words))));
  /** The five nearest others of some words, by the angles between their vectors. */
  async function neighbours(words: readonly string[]): Promise<string[][]> {
    const [, nearest] = vectorsOf(words).matmul(table.transpose()).topk(6) as [AnyTensor, AnyTensor];
    const found = vocabulary.decode(Array.from(await nearest.data(), Number));
    return words.map((word, i) => found.slice(6 * i, 6 * i + 6).filter((other) => other !== word));
  }

  if (values.pairs !== undefined) {
    const lines = (await new data.TextLines(values.pairs).read()).map((line) => line.toLowerCase().split('\t'));
    const known = lines.filter(([a, b]) => vocabulary.has(a!) && vocabulary.has(b!));
    const [first, second] = [0, 1].map((side) => vectorsOf(known.map((line) => line[side]!)));
    const cosines = Array.from(await (first!.mul(second!).sum(1) as AnyTensor).data(), Number);
    const scores = known.map(([, , score]) => Number(score));
    console.log(
      `Spearman correlation ${spearman(cosines, scores).toFixed(3)}, of ${known.length} of ${lines.length} pairs`,
    );
  }
  if (values.data === undefined) {
    const kin = Object.values(groups).map((group) => group.split(' '));
    const found = (await Promise.all(kin.map(neighbours))).map((near) => near.flat());
    const same = kin.flatMap((group, i) => found[i]!.map((word) => Number(group.includes(word))));
    const share = same.reduce((sum, one) => sum + one, 0) / same.length;
    console.log(`Neighbours of the same group: ${(100 * share).toFixed(1)} %`);
  }
  const shown = values.words.split(',').filter((word) => vocabulary.has(word));
  const near = await neighbours(shown);
  for (const [i, word] of shown.entries()) console.log(`${word.padEnd(12)} ${near[i]!.join(', ')}`);
}

void main();
