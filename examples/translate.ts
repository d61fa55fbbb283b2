/**
 * Translates with a Transformer: an encoder that reads a text and a decoder that writes another, attending to it.
 *
 *   npx tsx examples/translate.ts               dates in words and figures to one form, made up by the program
 *   npx tsx examples/translate.ts --data DIR    Multi30k, German to English: train, val and test_2016_flickr, .de.gz and .en.gz
 *   npx tsx examples/translate.ts --epochs 10   and so on; --help lists the options
 *
 * Vaswani et al., 2017, Attention is all you need, with norms in front of the layers.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { arange, cat, data, full, manualSeed, nn, noGrad, optim, scope, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       Multi30k's files; without it, dates are made up
  --epochs N       passes over the pairs (12)
  --batch N        pairs per step (64)
  --lr RATE        the highest learning rate (0.004)
  --width N        features of a position (64)
  --layers N       of the encoder, and of the decoder (2)
  --heads N        of each attention (4)
  --dropout P      (0.1)
  --train N        made-up pairs (6000)
  --seed N         of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    epochs: { type: 'string', default: '12' },
    batch: { type: 'string', default: '64' },
    lr: { type: 'string', default: '0.004' },
    width: { type: 'string', default: '64' },
    layers: { type: 'string', default: '2' },
    heads: { type: 'string', default: '4' },
    dropout: { type: 'string', default: '0.1' },
    train: { type: 'string', default: '6000' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

interface Pair {
  readonly source: readonly string[];
  readonly target: readonly string[];
}

const [PAD, BEGIN, END] = [0, 1, 2];
const SPECIALS = { specials: ['<pad>', '<begin>', '<end>', '<unknown>'], unknown: '<unknown>', minFrequency: 2 };
/** The most tokens that are written. */
const LONGEST = 48;

/** Words and signs in small letters. */
const words = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+|[^\p{L}\p{N}\s]/gu) ?? [];

async function readPairs(folder: string, part: string): Promise<Pair[]> {
  const [german, english] = await Promise.all(
    ['de', 'en'].map((language) => new data.TextLines(join(folder, `${part}.${language}.gz`)).read()),
  );
  return german!.map((line, i) => ({ source: words(line), target: words(english![i]!) }));
}

/** Pairs like "the 3rd of may, 1987" and "1987-05-03", letter by letter. */
function makePairs(count: number, seed: number): Pair[] {
  const random = new data.Random(seed);
  return Array.from({ length: count }, () => {
    const date = new Date(Date.UTC(1900 + random.integer(150), random.integer(12), 1 + random.integer(28)));
    const [day, year] = [date.getUTCDate(), date.getUTCFullYear()];
    const month = date.toLocaleString('en', { month: random.uniform() < 0.5 ? 'long' : 'short', timeZone: 'UTC' });
    const ending = day % 100 >= 11 && day % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][day % 10] ?? 'th');
    const forms = [
      `the ${day}${ending} of ${month}, ${year}`,
      `${month} ${day}, ${year}`,
      `${day} ${month} ${year}`,
      `${day}.${date.getUTCMonth() + 1}.${year}`,
    ];
    const source = forms[random.integer(forms.length)]!.toLowerCase();
    return { source: [...source], target: [...date.toISOString().slice(0, 10)] };
  });
}

/** Embeddings of tokens with sines and cosines of their positions. */
class TokenEmbedding extends nn.Module {
  readonly embedding: nn.Embedding;
  readonly dropout: nn.Dropout;

  constructor(
    tokens: number,
    readonly width: number,
    dropout: number,
  ) {
    super();
    this.embedding = new nn.Embedding(tokens, width, { paddingIndex: PAD });
    nn.init.normal_(this.embedding.weight, 0, width ** -0.5);
    this.dropout = new nn.Dropout(dropout);
  }

  /** Token numbers [b, t] to [b, t, width]. */
  forward(tokens: AnyTensor): AnyTensor {
    const rates = arange(0, this.width, 2)
      .mul(-Math.log(10000) / this.width)
      .exp();
    const angles = arange(tokens.shape[1]!).cast('float32').unsqueeze(1).mul(rates);
    const positions = cat([angles.sin(), angles.cos()], 1);
    return this.dropout.forward(this.embedding.forward(tokens).mul(Math.sqrt(this.width)).add(positions));
  }
}

class Translator extends nn.Module {
  readonly source: TokenEmbedding;
  readonly target: TokenEmbedding;
  readonly transformer: nn.Transformer;

  constructor(sourceTokens: number, targetTokens: number) {
    super();
    const [width, layers, dropout] = [Number(values.width), Number(values.layers), Number(values.dropout)];
    this.source = new TokenEmbedding(sourceTokens, width, dropout);
    this.target = new TokenEmbedding(targetTokens, width, dropout);
    this.transformer = new nn.Transformer(width, Number(values.heads), {
      encoderLayers: layers,
      decoderLayers: layers,
      hidden: 4 * width,
      dropout,
      normFirst: true,
    });
  }

  /** Token numbers of sources, [b, s], to what the decoder reads of them, [b, s, width]. */
  encode(source: AnyTensor): AnyTensor {
    return this.transformer.encoder.forward(this.source.forward(source), { keyMask: source.notEqual(PAD) });
  }

  /** Scores [b, t, tokens] of what follows each token of targets, [b, t]; the embeddings are the last layer's weight too. */
  decode(memory: AnyTensor, source: AnyTensor, target: AnyTensor): AnyTensor {
    const memoryKeyMask = source.notEqual(PAD);
    const hidden = this.transformer.decoder.forward(this.target.forward(target), memory, { memoryKeyMask });
    return nn.functional.linear(hidden, this.target.embedding.weight);
  }

  forward(source: AnyTensor, target: AnyTensor): AnyTensor {
    return this.decode(this.encode(source), source, target);
  }

  /** The likeliest token after the other, [b, up to LONGEST], until all texts have ended. */
  async translate(source: AnyTensor): Promise<AnyTensor> {
    const memory = noGrad(() => scope(() => this.encode(source)));
    let written: AnyTensor = full([source.shape[0]!, 1], BEGIN, { dtype: 'int32' });
    let ended: AnyTensor = full([source.shape[0]!, 1], false, { dtype: 'bool' });
    while (written.shape[1]! <= LONGEST) {
      [written, ended] = noGrad(() =>
        scope(() => {
          const next = this.decode(memory, source, written).select(1, -1).argmax(1, { keepDims: true }).cast('int32');
          return [cat([written, next], 1), ended.logicalOr(next.equalTo(END))];
        }),
      );
      if (await ended.all().item()) break;
    }
    return written.slice(1, 1);
  }
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [epochs, batchSize, seed] = [Number(values.epochs), Number(values.batch), Number(values.seed)];
  manualSeed(seed);
  const [training, validation, test] =
    values.data === undefined
      ? [makePairs(Number(values.train), 1), makePairs(256, 2), makePairs(500, 3)]
      : await Promise.all(['train', 'val', 'test_2016_flickr'].map((part) => readPairs(values.data!, part)));
  const sources = data.text.Vocabulary.build(
    training!.map(({ source }) => source),
    SPECIALS,
  );
  const targets = data.text.Vocabulary.build(
    training!.map(({ target }) => target),
    SPECIALS,
  );
  const loaderOf = (pairs: readonly Pair[], shuffle: boolean) => {
    const items = pairs.map(
      ({ source, target }) =>
        [Int32Array.from(sources.encode(source)), Int32Array.from([BEGIN, ...targets.encode(target), END])] as const,
    );
    const lengths = pairs.map(({ source, target }) => source.length + target.length);
    return new data.DataLoader(
      { length: items.length, get: (i) => items[i]! },
      {
        collate: data.padCollate({ value: PAD }),
        ...(shuffle ? { batchSampler: new data.BucketSampler(lengths, batchSize, { seed }) } : { batchSize }),
      },
    );
  };
  const loader = loaderOf(training!, true);

  const model = new Translator(sources.size, targets.size);
  const parameters = model.parameters();
  const optimizer = new optim.AdamW(parameters, { lr: Number(values.lr), betas: [0.9, 0.98], weightDecay: 0.01 });
  const count = parameters.reduce((sum, { size }) => sum + size, 0);
  console.log(
    `${training!.length} pairs, ${sources.size} and ${targets.size} tokens, ${count.toLocaleString('en')} parameters`,
  );
  const trainer = new train.Trainer({
    model,
    optimizer,
    step: ([source, target]: [AnyTensor, AnyTensor]) => {
      const scores = model.forward(source, target.slice(1, 0, -1));
      return nn.functional.crossEntropy(scores.reshape([-1, targets.size]), target.slice(1, 1).reshape([-1]), {
        ignoreIndex: PAD,
        labelSmoothing: 0.1,
      });
    },
    schedule: new optim.OneCycleLR(optimizer, { maxLr: Number(values.lr), totalSteps: epochs * loader.length }),
    clipNorm: 1,
    callbacks: [new train.Progress()],
  });
  await trainer.fit(loader, { epochs, validation: loaderOf(validation!, false) });

  model.eval();
  const bleu = new train.Bleu();
  let right = 0;
  let read = 0;
  for await (const [source] of loaderOf(test!, false)) {
    const rows = (await (await model.translate(source!)).toArray()) as number[][];
    const written = rows.map((row) => targets.decode(row.slice(0, [...row, END].indexOf(END))));
    const pairs = test!.slice(read, (read += rows.length));
    bleu.update(
      written,
      pairs.map(({ target }) => [target]),
    );
    right += written.filter((own, i) => own.join(' ') === pairs[i]!.target.join(' ')).length;
    if (read > rows.length) continue;
    const glue = values.data === undefined ? '' : ' ';
    for (let i = 0; i < 4; i++) console.log(`${pairs[i]!.source.join(glue)}  →  ${written[i]!.join(glue)}`);
  }
  console.log(
    `Test: ${((100 * right) / read).toFixed(1)} % word for word, BLEU ${(100 * (await bleu.compute())).toFixed(1)}`,
  );
}

void main();
