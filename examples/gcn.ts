/**
 * Classifies the papers of a citation graph with a graph convolutional network, or by graph attention: 20 labelled papers per class, and who cites whom.
 *
 *   npx tsx examples/gcn.ts                     a graph made up by the program
 *   npx tsx examples/gcn.ts --data DIR          Cora as text: features.txt, labels.txt, edges.txt and meta.json with the split
 *   npx tsx examples/gcn.ts --heads 8           attention instead of convolution
 *   npx tsx examples/gcn.ts --seeds 10          mean and deviation over ten runs; --help lists the options
 *
 * Kipf and Welling, 2017, Semi-supervised classification with graph convolutional networks.
 * Veličković et al., 2018, Graph attention networks.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { data, manualSeed, nn, noGrad, optim, scope, tensor } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       features.txt (the words of each node by number), labels.txt, edges.txt (two nodes a line), meta.json
  --epochs N       steps over the whole graph (200)
  --heads N        of graph attention; 0 for graph convolution (0)
  --hidden N       features between the two layers (16), of each head (8)
  --lr RATE        (0.01; with attention 0.005)
  --seeds N        how many runs, with seeds 0, 1, … (1)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    epochs: { type: 'string', default: '200' },
    heads: { type: 'string', default: '0' },
    hidden: { type: 'string' },
    lr: { type: 'string' },
    seeds: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});

interface Graph {
  /** The words of each node. */
  readonly words: readonly (readonly number[])[];
  readonly wordCount: number;
  readonly labels: readonly number[];
  readonly classes: number;
  /** Each edge once. */
  readonly edges: readonly (readonly [number, number])[];
  /** Node numbers. */
  readonly split: { readonly train: number[]; readonly validation: number[]; readonly test: number[] };
}

const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);

function readGraph(folder: string): Graph {
  const lines = (name: string): string[] => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');
  const numbers = (name: string): number[][] => lines(name).map((line) => line.split(' ').filter(Boolean).map(Number));
  const meta = JSON.parse(readFileSync(join(folder, 'meta.json'), 'utf8')) as {
    features: number;
    classes: number;
    train: [number, number];
    val: [number, number];
    test: number[];
  };
  return {
    words: numbers('features.txt'),
    wordCount: meta.features,
    labels: lines('labels.txt').map(Number),
    classes: meta.classes,
    edges: numbers('edges.txt') as [number, number][],
    split: { train: range(...meta.train), validation: range(...meta.val), test: meta.test },
  };
}

/** Papers of seven classes that mostly cite their own class and use words, a few of them typical of it. */
function makeGraph(nodes = 1400, classes = 7, wordCount = 300): Graph {
  const random = new data.Random(1);
  const labels = range(0, nodes).map((node) => node % classes);
  const typical = (label: number): number => label * 40 + random.integer(40);
  return {
    words: labels.map((label) =>
      range(0, 12).map(() => (random.uniform() < 0.15 ? typical(label) : random.integer(wordCount))),
    ),
    wordCount,
    labels,
    classes,
    edges: range(0, 2 * nodes).map(() => {
      const from = random.integer(nodes);
      const same = classes * random.integer(nodes / classes) + labels[from]!;
      return [from, random.uniform() < 0.75 ? same : random.integer(nodes)];
    }),
    split: {
      train: range(0, 20 * classes),
      validation: range(20 * classes, 20 * classes + 300),
      test: range(20 * classes + 300, nodes),
    },
  };
}

class GCN extends nn.Module {
  readonly dropout = new nn.Dropout(0.5);
  readonly conv1: nn.GCNConv;
  readonly conv2: nn.GCNConv;

  constructor(features: number, hidden: number, classes: number) {
    super();
    this.conv1 = new nn.GCNConv(features, hidden);
    this.conv2 = new nn.GCNConv(hidden, classes);
  }

  /** Nodes [n, features] and edges [2, e] to scores [n, classes]. */
  forward(nodes: AnyTensor, edges: AnyTensor): AnyTensor {
    const hidden = this.conv1.forward(this.dropout.forward(nodes), edges).relu();
    return this.conv2.forward(this.dropout.forward(hidden), edges);
  }
}

class GAT extends nn.Module {
  readonly dropout = new nn.Dropout(0.6);
  readonly conv1: nn.GATConv;
  readonly conv2: nn.GATConv;

  constructor(features: number, hidden: number, classes: number, heads: number) {
    super();
    this.conv1 = new nn.GATConv(features, hidden, { heads, dropout: 0.6 });
    this.conv2 = new nn.GATConv(heads * hidden, classes, { dropout: 0.6 });
  }

  /** Nodes [n, features] and edges [2, e] to scores [n, classes]. */
  forward(nodes: AnyTensor, edges: AnyTensor): AnyTensor {
    const hidden = this.conv1.forward(this.dropout.forward(nodes), edges).elu();
    return this.conv2.forward(this.dropout.forward(hidden), edges);
  }
}

/** The accuracy on the test nodes after the epoch that was best on the validation nodes. */
async function run(graph: Graph, seed: number): Promise<number> {
  manualSeed(seed);
  const { words, wordCount, split } = graph;
  const features = new Float32Array(words.length * wordCount);
  words.forEach((own, node) => own.forEach((word) => (features[node * wordCount + word]! += 1 / own.length)));
  const nodes = tensor(features).reshape([words.length, wordCount]);
  const both = [...graph.edges, ...graph.edges.map(([a, b]) => [b, a])];
  const edges = tensor(both, { dtype: 'int32' }).transpose();
  const labels = tensor(Int32Array.from(graph.labels));
  const part = (names: readonly number[]): ((x: AnyTensor) => AnyTensor) => {
    const index = tensor(Int32Array.from(names)).keep();
    return (x) => x.indexSelect(0, index);
  };
  const [train, validation, test] = [part(split.train), part(split.validation), part(split.test)];

  const heads = Number(values.heads);
  const model =
    heads > 0
      ? new GAT(wordCount, Number(values.hidden ?? 8), graph.classes, heads)
      : new GCN(wordCount, Number(values.hidden ?? 16), graph.classes);
  const optimizer = new optim.Adam(
    [
      { parameters: model.conv1.parameters(), weightDecay: 5e-4 },
      { parameters: model.conv2.parameters(), weightDecay: heads > 0 ? 5e-4 : 0 },
    ],
    { lr: Number(values.lr ?? (heads > 0 ? 0.005 : 0.01)) },
  );
  let best = { loss: Infinity, accuracy: 0 };
  for (let epoch = 0; epoch < Number(values.epochs); epoch++) {
    optimizer.zeroGrad();
    scope(() => nn.functional.crossEntropy(train(model.forward(nodes, edges)), train(labels)).backward());
    optimizer.step();

    model.eval();
    const [loss, accuracy] = await Promise.all(
      noGrad(() =>
        scope(() => {
          const scores = model.forward(nodes, edges);
          const right = test(scores.argmax(1)).equalTo(test(labels)).cast('float32').mean();
          return [nn.functional.crossEntropy(validation(scores), validation(labels)), right];
        }),
      ).map((value) => value.item() as Promise<number>),
    );
    model.train();
    if (loss! < best.loss) best = { loss: loss!, accuracy: accuracy! };
  }
  return best.accuracy;
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const graph = values.data === undefined ? makeGraph() : readGraph(values.data);
  console.log(`${graph.labels.length} nodes, ${graph.edges.length} edges, ${graph.classes} classes`);
  const accuracies: number[] = [];
  for (const seed of range(0, Number(values.seeds))) {
    accuracies.push(100 * (await run(graph, seed)));
    console.log(`seed ${seed}: test accuracy ${accuracies.at(-1)!.toFixed(1)} %`);
  }
  const mean = accuracies.reduce((sum, value) => sum + value, 0) / accuracies.length;
  const deviation = Math.sqrt(accuracies.reduce((sum, value) => sum + (value - mean) ** 2, 0) / accuracies.length);
  console.log(`Test accuracy ${mean.toFixed(1)} ± ${deviation.toFixed(1)} % over ${accuracies.length} runs`);
}

void main();
