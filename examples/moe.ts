/**
 * Trains a character-level language model whose layers have many experts, of which each character is sent to one, beside one with a single expert: both spend as
 * much on a character, but the first has more to remember with.
 *
 *   npx tsx examples/moe.ts                     on this project's own sources and docs
 *   npx tsx examples/moe.ts --data FILE         on any text file
 *   npx tsx examples/moe.ts --balance 0         lets experts be as busy as they like; --help lists the options
 *
 * Shazeer et al., 2017, Outrageously large neural networks; one expert for each token as in Fedus, Zoph and Shazeer, 2022, Switch transformers.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { arange, compile, data, manualSeed, nn, noGrad, oneHot, optim, tensor, train } from 'hadal';
import type { AnyTensor, Tensor } from 'hadal';

const usage = `Options:
  --data PATH      a text file, or a folder of them (this project)
  --steps N        training steps of each model (1500)
  --experts N      in each layer (8)
  --top N          how many of them a character is sent to; the other model's layers are as many times wider (1)
  --balance W      how much it counts that experts are used alike (0.01)
  --layers N --width N --heads N --context N --batch N
                   the models and the batch (2, 64, 4, 64, 32)
  --lr RATE        the highest learning rate (0.003)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    steps: { type: 'string', default: '1500' },
    experts: { type: 'string', default: '8' },
    top: { type: 'string', default: '1' },
    balance: { type: 'string', default: '0.01' },
    layers: { type: 'string', default: '2' },
    width: { type: 'string', default: '64' },
    heads: { type: 'string', default: '4' },
    context: { type: 'string', default: '64' },
    batch: { type: 'string', default: '32' },
    lr: { type: 'string', default: '0.003' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

const option = (name: Exclude<keyof typeof values, 'data' | 'help'>): number => Number(values[name]);

/** x + attention(norm(x)), then x + what experts, or one layer as wide as those of them that are asked, make of norm(x). */
class Block extends nn.Module {
  readonly norm1: nn.LayerNorm;
  readonly attention: nn.MultiHeadAttention;
  readonly norm2: nn.LayerNorm;
  readonly mixture: nn.MixtureOfExperts;

  constructor(experts: number) {
    super();
    const [width, top] = [option('width'), option('top')];
    this.norm1 = new nn.LayerNorm(width);
    this.attention = new nn.MultiHeadAttention(width, option('heads'));
    this.norm2 = new nn.LayerNorm(width);
    this.mixture = new nn.MixtureOfExperts(
      width,
      experts === 1 ? { experts, topK: 1, hidden: 4 * width * top } : { experts, topK: top },
    );
  }

  forward(x: AnyTensor): { y: AnyTensor; balanceLoss: AnyTensor } {
    const normed = this.norm1.forward(x);
    const attended = x.add(this.attention.forward(normed, normed, normed, { causal: true }));
    const { output, balanceLoss } = this.mixture.forward(this.norm2.forward(attended));
    return { y: attended.add(output), balanceLoss };
  }
}

class LanguageModel extends nn.Module {
  readonly tokens: nn.Embedding;
  readonly positions: nn.Embedding;
  readonly blocks: readonly Block[];
  readonly norm: nn.LayerNorm;
  readonly last: nn.Linear;

  constructor(vocabulary: number, experts: number) {
    super();
    const width = option('width');
    this.tokens = new nn.Embedding(vocabulary, width);
    this.positions = new nn.Embedding(option('context'), width);
    this.blocks = Array.from({ length: option('layers') }, () => new Block(experts));
    this.norm = new nn.LayerNorm(width);
    this.last = new nn.Linear(width, vocabulary);
    for (const { weight } of [this.tokens, this.positions]) nn.init.normal_(weight, 0, 0.02);
  }

  /** Token numbers [b, t] to logits [b, t, vocabulary], and the mean over the layers of how unevenly experts are used: at least 1. */
  forward(index: AnyTensor): { logits: AnyTensor; balanceLoss: AnyTensor } {
    let x: AnyTensor = this.tokens
      .forward(index)
      .add(this.positions.forward(arange(index.shape[1]!, { dtype: 'int32' })));
    const losses = this.blocks.map((block) => {
      const { y, balanceLoss } = block.forward(x);
      x = y;
      return balanceLoss;
    });
    const balanceLoss = losses.reduce((a, b) => a.add(b)).div(losses.length);
    return { logits: this.last.forward(this.norm.forward(x)), balanceLoss };
  }
}

/** All text below a path, skipping what is generated. */
function readText(path: string): string {
  if (statSync(path).isFile()) return readFileSync(path, 'utf8');
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => !/^\.|^(node_modules|build|dist|prebuilds|out)$/.test(entry.name))
    .filter((entry) => entry.isDirectory() || /\.(ts|cc|h|md|txt)$/.test(entry.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((entry) => readText(join(path, entry.name)))
    .join('\n');
}

interface Text {
  readonly alphabet: readonly string[];
  readonly training: AnyTensor;
  readonly validation: AnyTensor;
}

/** Windows [n, context + 1] from places of a text. */
function windows(text: AnyTensor, places: readonly number[]): AnyTensor {
  const size = option('context') + 1;
  const index = Int32Array.from({ length: places.length * size }, (_, i) => places[Math.floor(i / size)]! + (i % size));
  return text.indexSelect(0, tensor(index)).reshape([places.length, size]);
}

/** Trains a model; answers it, and its loss on the validation text in nats per character. */
async function run(text: Text, experts: number): Promise<{ model: LanguageModel; loss: number }> {
  const { alphabet, training, validation } = text;
  const [steps, batch, context, peak] = [option('steps'), option('batch'), option('context'), option('lr')];
  const weight = option('balance');
  const random = new data.Random(option('seed'));
  manualSeed(option('seed'));
  const model = new LanguageModel(alphabet.length, experts);
  const parameters = model.parameters();
  const optimizer = new optim.AdamW(parameters, { lr: peak, betas: [0.9, 0.99], weightDecay: 0.01 });
  const lossOf = (rows: AnyTensor): { loss: AnyTensor; balanceLoss: AnyTensor } => {
    const { logits, balanceLoss } = model.forward(rows.narrow(1, 0, context));
    const targets = rows.narrow(1, 1, context).reshape([-1]);
    return { loss: nn.functional.crossEntropy(logits.flatten(0, 1), targets), balanceLoss };
  };
  const step = compile((rows: AnyTensor) => {
    optimizer.zeroGrad();
    const { loss, balanceLoss } = lossOf(rows);
    loss.add(balanceLoss.mul(weight)).backward();
    optim.clipGradNorm(parameters, 1);
    optimizer.step();
    return loss;
  });
  const count = parameters.reduce((sum, { size }) => sum + size, 0);
  console.log(`${experts} expert${experts === 1 ? '' : 's'}: ${count.toLocaleString('en')} parameters`);
  using progress = new train.ProgressBar({ total: steps, unit: 'steps' });
  for (let i = 0; i < steps; i++) {
    optimizer.groups[0]!.lr = peak * Math.min((i + 1) / 100, 0.5 * (1 + Math.cos((Math.PI * i) / steps)));
    const loss = step(
      windows(
        training,
        Array.from({ length: batch }, () => random.integer(training.size - context - 1)),
      ),
    );
    if (i % 20 === 19) progress.update(i + 1, { loss: (await loss.item()).toFixed(3) });
  }
  progress.stop();

  model.eval();
  const places = Array.from({ length: Math.floor((validation.size - 1) / context) }, (_, i) => i * context);
  const evaluate = compile((rows: AnyTensor) => noGrad(() => lossOf(rows).loss));
  let loss = 0;
  for (let from = 0; from < places.length; from += batch) {
    const part = places.slice(from, from + batch);
    loss += (part.length / places.length) * (await evaluate(windows(validation, part)).item());
  }
  return { model, loss };
}

/** How often the first layer sends each character to each expert, [vocabulary, experts]. */
function routesOf(model: LanguageModel, { alphabet, validation }: Text): AnyTensor {
  const { mixture } = model.blocks[0]!;
  const context = option('context');
  const places = Array.from(
    { length: Math.min(200, Math.floor((validation.size - 1) / context)) },
    (_, i) => i * context,
  );
  const index = windows(validation, places).narrow(1, 0, context);
  let routes: AnyTensor | undefined;
  const remove = mixture.gate.registerForwardHook((_, __, scores) => {
    const chosen = (scores as Tensor).argmax(1);
    const [from, to] = [
      oneHot(index.reshape([-1]).cast('int32'), alphabet.length),
      oneHot(chosen, mixture.experts.length),
    ];
    routes = from.transpose().matmul(to);
  });
  noGrad(() => model.forward(index));
  remove();
  return routes!;
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const whole = readText(values.data ?? join(__dirname, '..'));
  const alphabet = [...new Set(whole)].sort();
  const codes = new Map(alphabet.map((character, i) => [character, i]));
  const encoded = tensor(Int32Array.from([...whole], (character) => codes.get(character)!)).keep();
  const cut = Math.floor(encoded.size * 0.9);
  const text = { alphabet, training: encoded.slice(0, 0, cut), validation: encoded.slice(0, cut) };
  console.log(`${encoded.size.toLocaleString('en')} characters, ${alphabet.length} different`);

  const dense = await run(text, 1);
  const mixture = await run(text, option('experts'));
  console.log(
    `Validation loss ${mixture.loss.toFixed(4)} nats per character; with one expert ${dense.loss.toFixed(4)}`,
  );

  const routes = routesOf(mixture.model, text);
  const shares = Array.from(await routes.sum(0).div(routes.sum()).data(), Number);
  console.log(`Busiest expert of the first layer: ${(100 * Math.max(...shares)).toFixed(1)} % of the characters`);
  const favourites = (await routes.transpose().topk(8, { axis: 1 })[1].toArray()) as number[][];
  for (const [expert, share] of shares.entries()) {
    const characters = favourites[expert]!.map((code) => JSON.stringify(alphabet[code])).join(' ');
    console.log(`expert ${expert}: ${(100 * share).toFixed(1).padStart(4)} %, most often ${characters}`);
  }
}

void main();
