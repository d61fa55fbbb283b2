/**
 * Trains a character-level GPT on a text and prints a sample: pre-norm blocks, causal attention, tied weights.
 *
 *   npx tsx examples/gpt.ts                     on this project's own sources and docs
 *   npx tsx examples/gpt.ts --data FILE         on any text file
 *   npx tsx examples/gpt.ts --minutes 15        for a given time; --help lists the options
 *
 * Radford et al., 2019, Language models are unsupervised multitask learners.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { arange, data, manualSeed, nn, noGrad, optim, scope, tensor, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data PATH      a text file, or a folder of them (this project)
  --minutes T      how long to train; wins over --steps
  --steps N        training steps (1000)
  --layers N --width N --heads N --context N --batch N
                   the model and the batch (4, 192, 6, 128, 16)
  --lr RATE        the highest learning rate (0.002)
  --dropout P      (0.1)
  --sample N       characters to print at the end (500)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    minutes: { type: 'string' },
    steps: { type: 'string', default: '1000' },
    layers: { type: 'string', default: '4' },
    width: { type: 'string', default: '192' },
    heads: { type: 'string', default: '6' },
    context: { type: 'string', default: '128' },
    batch: { type: 'string', default: '16' },
    lr: { type: 'string', default: '0.002' },
    dropout: { type: 'string', default: '0.1' },
    sample: { type: 'string', default: '500' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

interface Config {
  readonly vocabulary: number;
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly context: number;
  readonly dropout: number;
}

/** x + attention(norm(x)), then x + mlp(norm(x)). */
class Block extends nn.Module {
  readonly norm1: nn.LayerNorm;
  readonly attention: nn.MultiHeadAttention;
  readonly norm2: nn.LayerNorm;
  readonly mlp: nn.Sequential;
  readonly drop: nn.Dropout;

  constructor({ width, heads, dropout }: Config) {
    super();
    this.norm1 = new nn.LayerNorm(width);
    this.attention = new nn.MultiHeadAttention(width, heads);
    this.norm2 = new nn.LayerNorm(width);
    this.mlp = new nn.Sequential(
      new nn.Linear(width, 4 * width),
      new nn.GELU({ approximate: 'tanh' }),
      new nn.Linear(4 * width, width),
    );
    this.drop = new nn.Dropout(dropout);
  }

  forward(x: AnyTensor): AnyTensor {
    const normed = this.norm1.forward(x);
    const attended = x.add(this.drop.forward(this.attention.forward(normed, normed, normed, { causal: true })));
    return attended.add(this.drop.forward(this.mlp.forward(this.norm2.forward(attended))));
  }
}

class GPT extends nn.Module {
  readonly tokens: nn.Embedding;
  readonly positions: nn.Embedding;
  readonly drop: nn.Dropout;
  readonly blocks: readonly Block[];
  readonly norm: nn.LayerNorm;

  constructor(readonly config: Config) {
    super();
    this.tokens = new nn.Embedding(config.vocabulary, config.width);
    this.positions = new nn.Embedding(config.context, config.width);
    this.drop = new nn.Dropout(config.dropout);
    this.blocks = Array.from({ length: config.layers }, () => new Block(config));
    this.norm = new nn.LayerNorm(config.width);
    // GPT-2's start: small normal weights, smaller where they write into the residual stream.
    for (const [name, parameter] of this.namedParameters()) {
      const residual = name.endsWith('out_proj.weight') || name.endsWith('mlp.2.weight');
      if (parameter.rank >= 2) nn.init.normal_(parameter, 0, residual ? 0.02 / Math.sqrt(2 * config.layers) : 0.02);
      else if (name.endsWith('bias')) nn.init.zeros_(parameter);
    }
  }

  /** Token numbers [b, t] to logits [b, t, vocabulary]. */
  forward(index: AnyTensor): AnyTensor {
    const places = arange(index.shape[1]!, { dtype: 'int32' });
    let x = this.drop.forward(this.tokens.forward(index).add(this.positions.forward(places)));
    for (const block of this.blocks) x = block.forward(x);
    return nn.functional.linear(this.norm.forward(x), this.tokens.weight);
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

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const number = (
    name: 'steps' | 'layers' | 'width' | 'heads' | 'context' | 'batch' | 'lr' | 'dropout' | 'sample' | 'seed',
  ): number => Number(values[name]);
  const [context, batch, seed] = [number('context'), number('batch'), number('seed')];
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  manualSeed(seed);

  const text = readText(values.data ?? join(__dirname, '..'));
  const alphabet = [...new Set(text)].sort();
  const codes = new Map(alphabet.map((character, i) => [character, i]));
  const encoded = Int32Array.from([...text], (character) => codes.get(character)!);
  const cut = Math.floor(encoded.length * 0.9);
  const [training, validation] = [encoded.subarray(0, cut), encoded.subarray(cut)];
  const model = new GPT({
    vocabulary: alphabet.length,
    layers: number('layers'),
    width: number('width'),
    heads: number('heads'),
    context,
    dropout: number('dropout'),
  });
  const parameters = model.parameters();
  const matrices = parameters.filter((parameter) => parameter.rank >= 2);
  const vectors = parameters.filter((parameter) => parameter.rank < 2);
  const peak = number('lr');
  const optimizer = new optim.AdamW(
    [
      { parameters: matrices, weightDecay: 0.1 },
      { parameters: vectors, weightDecay: 0 },
    ],
    { lr: peak, betas: [0.9, 0.99] },
  );
  const count = parameters.reduce((sum, parameter) => sum + parameter.size, 0);
  console.log(
    `${encoded.length.toLocaleString('en')} characters, ${alphabet.length} different; ${count.toLocaleString('en')} parameters`,
  );

  /** Inputs and targets [rows, context] from the given places. */
  const windows = (source: Int32Array, places: readonly number[]): [AnyTensor, AnyTensor] => {
    const inputs = new Int32Array(places.length * context);
    const targets = new Int32Array(places.length * context);
    places.forEach((place, row) => {
      inputs.set(source.subarray(place, place + context), row * context);
      targets.set(source.subarray(place + 1, place + context + 1), row * context);
    });
    const shape = [places.length, context];
    return [tensor(inputs).reshape(shape), tensor(targets).reshape(shape)];
  };
  const lossOf = (inputs: AnyTensor, targets: AnyTensor): AnyTensor => {
    const logits = model.forward(inputs);
    return nn.functional.crossEntropy(logits.reshape([-1, alphabet.length]), targets.reshape([-1]));
  };

  /** The mean loss over the whole validation text, window after window. */
  async function validate(limit = Infinity): Promise<number> {
    model.eval();
    const places = Array.from({ length: Math.floor((validation.length - 1) / context) }, (_, i) => i * context).slice(
      0,
      limit,
    );
    let total = 0;
    for (let from = 0; from < places.length; from += batch) {
      const rows = places.slice(from, from + batch);
      total += rows.length * (await noGrad(() => scope(() => lossOf(...windows(validation, rows)))).item());
    }
    model.train();
    return total / places.length;
  }

  const random = new data.Random(seed);
  const start = performance.now();
  const steps = number('steps');
  /** How much of the run is over, 0 to 1. */
  const elapsed = (step: number): number =>
    minutes === undefined ? step / steps : (performance.now() - start) / (minutes * 60_000);
  using progress = new train.ProgressBar({ total: 1000, unit: '‰' });
  let smooth = NaN;
  for (let step = 0, done = 0; done < 1; done = elapsed(++step)) {
    const rate = peak * Math.min((step + 1) / 100, 0.05 + 0.475 * (1 + Math.cos(Math.PI * done)));
    for (const group of optimizer.groups) group.lr = rate;
    const places = Array.from({ length: batch }, () => random.integer(training.length - context - 1));
    optimizer.zeroGrad();
    const loss = scope(() => {
      const value = lossOf(...windows(training, places));
      value.backward();
      return value.detach();
    });
    optim.clipGradNorm(parameters, 1);
    optimizer.step();
    const value = await loss.item();
    smooth = Number.isNaN(smooth) ? value : 0.95 * smooth + 0.05 * value;
    progress.update(Math.round(1000 * done), { step, loss: smooth.toFixed(3) });
    if (step % 500 === 499) progress.log(`step ${step + 1}: validation loss ${(await validate(64)).toFixed(4)}`);
  }
  progress.stop();
  console.log(
    `Validation loss ${(await validate()).toFixed(4)} nats per character after ${((performance.now() - start) / 60_000).toFixed(1)} minutes`,
  );

  model.eval();
  const written = [codes.get('\n') ?? 0];
  for (let i = 0; i < number('sample'); i++) {
    const index = tensor(Int32Array.from(written.slice(-context))).reshape([1, -1]);
    const last = noGrad(() => scope(() => model.forward(index).select(1, -1).div(0.8).softmax(-1)));
    const probabilities = (await last.data()) as Float32Array;
    let left = random.uniform();
    const next = probabilities.findIndex((p) => (left -= p) <= 0);
    written.push(next < 0 ? probabilities.length - 1 : next);
  }
  console.log(
    written
      .slice(1)
      .map((code) => alphabet[code])
      .join(''),
  );
}

void main();
