/** Training steps of networks of the sizes that people begin with, compiled; bench/peers/programs.py has the same in PyTorch's words. */
import { arange, cat, exp2, gradients, maxPool2d, nn, optim, pad, stack, tensor, zeros, type AnyTensor } from 'hadal';

import { classes, fill, wave, type Workload } from './harness';
import { training } from './training';

type Loss<M> = (model: M, ...data: AnyTensor[]) => AnyTensor;
type Forward = nn.Module & { forward(...inputs: AnyTensor[]): AnyTensor };

function program<M extends nn.Module>(name: string, make: () => M, loss: Loss<M>, data: () => AnyTensor[]): Workload {
  return {
    name,
    twin: [name],
    reach: 1,
    // Norms over batches magnify rounding from step to step.
    tolerance: 1e-3,
    prepare() {
      const model = make();
      fill(model);
      const inputs = data();
      return training(new optim.Adam(model.parameters(), { lr: 1e-3 }), () => loss(model, ...inputs));
    },
  };
}

const labels = (shape: readonly number[], number: number): AnyTensor => {
  const count = shape.reduce((product, size) => product * size, 1);
  return tensor(classes(count, number)).reshape(shape);
};

const classLoss: Loss<Forward> = (model, x, y) => nn.functional.crossEntropy(model.forward(x!), y!);
const tokenLoss: Loss<Forward> = (model, x, y) => nn.functional.crossEntropy(model.forward(x!).transpose(1, 2), y!);
const squareLoss: Loss<Forward> = (model, x, y) => nn.functional.mseLoss(model.forward(x!), y!);

const convolved = (channels: number, out: number): nn.Layer[] => [
  new nn.Conv2d(channels, out, 3, { padding: 1 }),
  new nn.BatchNorm2d(out),
  new nn.ReLU(),
];

const policy = (): nn.Sequential => new nn.Sequential(new nn.Linear(8, 32), new nn.ReLU(), new nn.Linear(32, 2));

function wideMlp(): nn.Sequential {
  const layer = (inputs: number): nn.Layer[] => [new nn.Linear(inputs, 1024), new nn.BatchNorm1d(1024), new nn.ReLU()];
  return new nn.Sequential(...layer(784), ...layer(1024), new nn.Linear(1024, 10));
}

function fewShot(): nn.Sequential {
  const blocks = [1, 64, 64, 64].flatMap((channels) => [...convolved(channels, 64), new nn.MaxPool2d(2)]);
  return new nn.Sequential(...blocks, new nn.Flatten(), new nn.Linear(64, 20));
}

class UNet extends nn.Module {
  readonly down1: nn.Sequential;
  readonly down2: nn.Sequential;
  readonly middle: nn.Sequential;
  readonly up2: nn.ConvTranspose2d;
  readonly joined2: nn.Sequential;
  readonly up1: nn.ConvTranspose2d;
  readonly joined1: nn.Sequential;
  readonly head: nn.Conv2d;

  constructor(width = 16) {
    super();
    const double = (channels: number, out: number): nn.Sequential =>
      new nn.Sequential(...convolved(channels, out), ...convolved(out, out));
    this.down1 = double(1, width);
    this.down2 = double(width, 2 * width);
    this.middle = double(2 * width, 4 * width);
    this.up2 = new nn.ConvTranspose2d(4 * width, 2 * width, 2, { stride: 2 });
    this.joined2 = double(4 * width, 2 * width);
    this.up1 = new nn.ConvTranspose2d(2 * width, width, 2, { stride: 2 });
    this.joined1 = double(2 * width, width);
    this.head = new nn.Conv2d(width, 1, 1);
  }

  forward(x: AnyTensor): AnyTensor {
    const a = this.down1.forward(x);
    const b = this.down2.forward(maxPool2d(a, 2));
    const c = this.middle.forward(maxPool2d(b, 2));
    const joined = this.joined2.forward(cat([this.up2.forward(c), b], 1));
    return this.head.forward(this.joined1.forward(cat([this.up1.forward(joined), a], 1)));
  }
}

/** A language model of letters, or a tagger of words: a recurrent network over embeddings. */
class Letters extends nn.Module {
  readonly table: nn.Embedding;
  readonly head: nn.Linear;

  constructor(
    tokens: number,
    width: number,
    readonly recurrent: nn.GRU | nn.LSTM,
    outputs: number,
  ) {
    super();
    this.table = new nn.Embedding(tokens, width);
    this.head = new nn.Linear(recurrent.hiddenSize * (recurrent.options.bidirectional === true ? 2 : 1), outputs);
  }

  forward(x: AnyTensor): AnyTensor {
    return this.head.forward(this.recurrent.forward(this.table.forward(x)).output);
  }
}

/** A decoder that attends to a recurrent encoder, step by step (Bahdanau, Cho and Bengio, 2015). */
class Attending extends nn.Module {
  readonly table = new nn.Embedding(12, 32);
  readonly encoder = new nn.GRU(32, 64, { batchFirst: true, bidirectional: true });
  readonly decoder = new nn.GRUCell(160, 64);
  readonly query = new nn.Linear(64, 64);
  readonly key = new nn.Linear(128, 64);
  readonly score = new nn.Linear(64, 1);
  readonly head = new nn.Linear(192, 12);

  forward(x: AnyTensor): AnyTensor {
    const words = this.table.forward(x);
    const memory = this.encoder.forward(words).output;
    const keys = this.key.forward(memory);
    let state: AnyTensor = zeros([x.shape[0]!, 64]);
    const logits = words.unbind(1).map((word) => {
      const hidden = this.query.forward(state).unsqueeze(1).add(keys).tanh();
      const shares = this.score.forward(hidden).squeeze(2).softmax(-1);
      const context = shares.unsqueeze(1).matmul(memory).squeeze(1);
      state = this.decoder.forward(cat([word, context], 1), state);
      return this.head.forward(cat([state, context], 1));
    });
    return stack(logits, 1);
  }
}

class Classifier extends nn.Module {
  readonly table = new nn.Embedding(1000, 128);
  readonly encoder = new nn.TransformerEncoder(
    () => new nn.TransformerEncoderLayer(128, 4, { hidden: 512, dropout: 0, activation: 'gelu', normFirst: true }),
    4,
  );
  readonly head = new nn.Linear(128, 2);

  forward(x: AnyTensor): AnyTensor {
    return this.head.forward(this.encoder.forward(this.table.forward(x)).mean(1));
  }
}

/** An inverted residual (Sandler et al., 2018). */
class Inverted extends nn.Module {
  readonly net: nn.Sequential;

  constructor(
    channels: number,
    out: number,
    private readonly stride: number,
  ) {
    super();
    const wide = 4 * channels;
    this.net = new nn.Sequential(
      new nn.Conv2d(channels, wide, 1, { bias: false }),
      new nn.BatchNorm2d(wide),
      new nn.ReLU6(),
      new nn.Conv2d(wide, wide, 3, { stride, padding: 1, groups: wide, bias: false }),
      new nn.BatchNorm2d(wide),
      new nn.ReLU6(),
      new nn.Conv2d(wide, out, 1, { bias: false }),
      new nn.BatchNorm2d(out),
    );
  }

  forward(x: AnyTensor): AnyTensor {
    const y = this.net.forward(x);
    return this.stride === 1 ? x.add(y) : y;
  }
}

const mobile = (): nn.Sequential =>
  new nn.Sequential(
    new nn.Conv2d(3, 16, 3, { stride: 2, padding: 1 }),
    new nn.BatchNorm2d(16),
    new nn.ReLU6(),
    new Inverted(16, 24, 2),
    new Inverted(24, 24, 1),
    new Inverted(24, 40, 2),
    new Inverted(40, 40, 1),
    new nn.AdaptiveAvgPool2d(1),
    new nn.Flatten(),
    new nn.Linear(40, 10),
  );

function generator(): nn.Sequential {
  const up = (channels: number, out: number, stride: number, padding: number): nn.Layer[] => [
    new nn.ConvTranspose2d(channels, out, 4, { stride, padding }),
    new nn.BatchNorm2d(out),
    new nn.ReLU(),
  ];
  const last = new nn.ConvTranspose2d(32, 3, 4, { stride: 2, padding: 1 });
  return new nn.Sequential(...up(64, 128, 1, 0), ...up(128, 64, 2, 1), ...up(64, 32, 2, 1), last, new nn.Tanh());
}

function critic(isNormed: boolean): nn.Layer[] {
  const down = (channels: number, out: number): nn.Layer[] => [
    new nn.Conv2d(channels, out, 4, { stride: 2, padding: 1 }),
    ...(isNormed ? [new nn.InstanceNorm2d(out, { affine: true })] : []),
    new nn.LeakyReLU(0.2),
  ];
  return [...down(3, 32), ...down(32, 64), ...down(64, 128)];
}

/** The gradient penalty of Gulrajani et al., 2017: gradients of gradients. */
const penalty: Loss<Forward> = (model, images) => {
  const x = images!.detach().requiresGrad_();
  const [gradient] = gradients([model.forward(x).sum()], [x], { createGraph: true });
  return gradient!.flatten(1).norm(1).sub(1).square().mean();
};

/** Causal convolutions, ever more dilated (Bai, Kolter and Koltun, 2018). */
class Dilated extends nn.Module {
  readonly start = new nn.Conv1d(7, 32, 1);
  readonly layers = [1, 2, 4, 8, 16].map((dilation) => new nn.Conv1d(32, 32, 3, { dilation }));
  readonly head = new nn.Conv1d(32, 7, 1);

  forward(x: AnyTensor): AnyTensor {
    let y = this.start.forward(x);
    this.layers.forEach((layer, i) => {
      y = y.add(layer.forward(pad(y, [[2 << i, 0]])).relu());
    });
    return this.head.forward(y);
  }
}

class SkipGram extends nn.Module {
  readonly centers = new nn.Embedding(10000, 100);
  readonly contexts = new nn.Embedding(10000, 100);

  forward(center: AnyTensor, context: AnyTensor, negative: AnyTensor): AnyTensor {
    const v = this.centers.forward(center).unsqueeze(2);
    const told = this.contexts.forward(context).unsqueeze(1).matmul(v).logSigmoid().mean();
    return told.add(this.contexts.forward(negative).matmul(v).neg().logSigmoid().mean()).neg();
  }
}

/** Perceptrons over places and over channels, in turns (Tolstikhin et al., 2021). */
class Mixer extends nn.Module {
  readonly patches = new nn.Conv2d(3, 64, 4, { stride: 4 });
  readonly norms = Array.from({ length: 6 }, () => new nn.LayerNorm(64));
  readonly mlps = [128, 256, 128, 256, 128, 256].map(
    (hidden) => new nn.Sequential(new nn.Linear(64, hidden), new nn.GELU(), new nn.Linear(hidden, 64)),
  );
  readonly head = new nn.Linear(64, 10);

  forward(x: AnyTensor): AnyTensor {
    let y = this.patches.forward(x).flatten(2).transpose(1, 2);
    this.mlps.forEach((mlp, i) => {
      const normed = this.norms[i]!.forward(y);
      y = y.add(i % 2 === 0 ? mlp.forward(normed.transpose(1, 2)).transpose(1, 2) : mlp.forward(normed));
    });
    return this.head.forward(y.mean(1));
  }
}

/** A picture or a scene as a function of place, by its sines and cosines (Mildenhall et al., 2020). */
class Field extends nn.Module {
  readonly net = new nn.Sequential(
    new nn.Linear(39, 128),
    new nn.Softplus(),
    new nn.Linear(128, 128),
    new nn.Softplus(),
    new nn.Linear(128, 128),
    new nn.SiLU(),
    new nn.Linear(128, 4),
    new nn.Sigmoid(),
  );

  forward(x: AnyTensor): AnyTensor {
    const waves = x
      .unsqueeze(-1)
      .mul(exp2(arange(6)))
      .flatten(1);
    return this.net.forward(cat([x, waves.sin(), waves.cos()], 1));
  }
}

class GraphConvolution extends nn.Module {
  readonly first = new nn.Linear(300, 64);
  readonly second = new nn.Linear(64, 7);

  forward(x: AnyTensor, adjacency: AnyTensor): AnyTensor {
    return adjacency.matmul(this.second.forward(adjacency.matmul(this.first.forward(x)).relu()));
  }
}

export const workloads: Workload[] = [
  program('policy', policy, classLoss, () => [wave([32, 8], 1), labels([32], 2)]),
  program('wide mlp', wideMlp, classLoss, () => [wave([128, 784], 1), labels([128], 10)]),
  program('few-shot', fewShot, classLoss, () => [wave([180, 1, 28, 28], 1), labels([180], 20)]),
  program(
    'u-net',
    () => new UNet(),
    squareLoss,
    () => [wave([8, 1, 64, 64], 1), wave([8, 1, 64, 64], 2)],
  ),
  program(
    'letters',
    () => new Letters(27, 32, new nn.GRU(32, 128, { batchFirst: true }), 27),
    tokenLoss,
    () => [labels([128, 12], 27), labels([128, 12], 26)],
  ),
  program(
    'tagger',
    () => new Letters(5000, 128, new nn.LSTM(128, 128, { layers: 2, batchFirst: true, bidirectional: true }), 2),
    tokenLoss,
    () => [labels([32, 40], 5000), labels([32, 40], 2)],
  ),
  program(
    'attending',
    () => new Attending(),
    tokenLoss,
    () => [labels([32, 10], 12), labels([32, 10], 11)],
  ),
  program(
    'transformer',
    () => new Classifier(),
    classLoss,
    () => [labels([32, 64], 1000), labels([32], 2)],
  ),
  program('mobile', mobile, classLoss, () => [wave([16, 3, 64, 64], 1), labels([16], 10)]),
  program('generator', generator, squareLoss, () => [wave([64, 64, 1, 1], 1), wave([64, 3, 32, 32], 2)]),
  program(
    'critic',
    () => new nn.Sequential(...critic(true), new nn.Conv2d(128, 1, 4)),
    (model, x) => model.forward(x!).mean(),
    () => [wave([64, 3, 32, 32], 1)],
  ),
  program(
    'penalty',
    () => new nn.Sequential(...critic(false), new nn.Flatten(), new nn.Linear(2048, 1)),
    penalty,
    () => [wave([32, 3, 32, 32], 1)],
  ),
  program(
    'dilated',
    () => new Dilated(),
    squareLoss,
    () => [wave([32, 7, 256], 1), wave([32, 7, 256], 2)],
  ),
  program(
    'skip-gram',
    () => new SkipGram(),
    (model, ...words) => model.forward(words[0]!, words[1]!, words[2]!),
    () => [labels([512], 10000), labels([512], 9999), labels([512, 5], 9973)],
  ),
  program(
    'mixer',
    () => new Mixer(),
    classLoss,
    () => [wave([32, 3, 32, 32], 1), labels([32], 10)],
  ),
  program(
    'field',
    () => new Field(),
    squareLoss,
    () => [wave([4096, 3], 1), wave([4096, 4], 2)],
  ),
  program(
    'graph',
    () => new GraphConvolution(),
    (model, x, adjacency, y) => nn.functional.crossEntropy(model.forward(x!, adjacency!), y!),
    () => [wave([1000, 300], 1), wave([1000, 1000], 2).greater(0.99).cast('float32'), labels([1000], 6)],
  ),
];
