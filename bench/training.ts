/** Whole training steps, compiled: forward, backward and optimizer. The peer's are the better of eager and torch.compile. */
import { arange, compile, models, nn, optim, scope, tensor } from 'hadal';
import type { AnyTensor } from 'hadal';

import { classes, fill, wave, type Float, type Prepared, type Workload } from './harness';

interface Training extends Prepared {
  /** One step; the promise is of its loss. */
  trainStep(): Promise<number>;
}

export function training(optimizer: optim.Adam | optim.SGD, lossOf: () => AnyTensor): Training {
  const step = compile((): AnyTensor => {
    optimizer.zeroGrad();
    const loss = lossOf();
    loss.backward();
    optimizer.step();
    return loss;
  });
  const check = [1, 2, 3, 4, 5].map(() => step().itemSync());
  return { step: () => scope(() => void step()), check, trainStep: () => step().item() };
}

function classifier(model: nn.Sequential, x: AnyTensor): Training {
  fill(model);
  const y = tensor(classes(64, 10));
  return training(new optim.Adam(model.parameters(), { lr: 1e-3 }), () =>
    nn.functional.crossEntropy(model.forward(x), y),
  );
}

class Block extends nn.Module {
  readonly norm1: nn.LayerNorm;
  readonly qkv: nn.Linear;
  readonly out: nn.Linear;
  readonly norm2: nn.LayerNorm;
  readonly up: nn.Linear;
  readonly down: nn.Linear;

  constructor(
    width: number,
    readonly heads: number,
  ) {
    super();
    this.norm1 = new nn.LayerNorm(width);
    this.qkv = new nn.Linear(width, 3 * width);
    this.out = new nn.Linear(width, width);
    this.norm2 = new nn.LayerNorm(width);
    this.up = new nn.Linear(width, 4 * width);
    this.down = new nn.Linear(4 * width, width);
  }

  forward(x: AnyTensor): AnyTensor {
    const [b, t, c] = x.shape as [number, number, number];
    const perHead = (z: AnyTensor): AnyTensor => z.reshape([b, t, this.heads, c / this.heads]).transpose(1, 2);
    const parts = this.qkv.forward(this.norm1.forward(x)).split(c, -1);
    const [q, k, v] = parts.map(perHead) as [AnyTensor, AnyTensor, AnyTensor];
    const y = nn.functional.scaledDotProductAttention(q, k, v, { causal: true }).transpose(1, 2).reshape([b, t, c]);
    const attended = x.add(this.out.forward(y));
    const { up, down } = this;
    const activation = 'geluTanh';
    const normed = this.norm2.forward(attended);
    return attended.add(nn.functional.feedForward(normed, up.weight, up.bias, down.weight, down.bias, { activation }));
  }
}

/** The GPT that bench/peers/peer.py builds too. */
export class GPT extends nn.Module {
  readonly tokens: nn.Embedding;
  readonly positions: nn.Embedding;
  readonly blocks: readonly Block[];
  readonly norm: nn.LayerNorm;

  constructor(vocabulary: number, layers: number, width: number, heads: number, context: number) {
    super();
    this.tokens = new nn.Embedding(vocabulary, width);
    this.positions = new nn.Embedding(context, width);
    this.blocks = Array.from({ length: layers }, () => new Block(width, heads));
    this.norm = new nn.LayerNorm(width);
  }

  forward(index: AnyTensor): AnyTensor {
    const [, length] = index.shape as [number, number];
    let x: AnyTensor = this.tokens.forward(index).add(this.positions.forward(arange(length, { dtype: 'int32' })));
    for (const block of this.blocks) x = block.forward(x);
    return nn.functional.linear(this.norm.forward(x), this.tokens.weight);
  }
}

interface GptSizes {
  readonly vocabulary: number;
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly context: number;
  readonly batch: number;
}

function gpt({ vocabulary, layers, width, heads, context, batch }: GptSizes, dtype: Float): Training {
  const model = new GPT(vocabulary, layers, width, heads, context);
  fill(model);
  model.to(dtype);
  const codes = classes(batch * context, vocabulary);
  const index = tensor(codes).reshape([batch, context]);
  const target = tensor(codes.map((code) => (code + 1) % vocabulary));
  const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-5, weightDecay: 0.1 });
  return training(optimizer, () => nn.functional.crossEntropy(model.forward(index).reshape([-1, vocabulary]), target));
}

const charGpt: GptSizes = { vocabulary: 65, layers: 6, width: 384, heads: 6, context: 256, batch: 8 };
const gpt2: GptSizes = { vocabulary: 50257, layers: 12, width: 768, heads: 12, context: 1024, batch: 1 };

/** The character GPT of the benches: 6 layers, width 384, 6 heads, 256 tokens, batch 8. */
export const prepareGpt = (): Training => gpt(charGpt, 'float32');

function gptWorkload(name: string, sizes: GptSizes, dtype: Float): Workload {
  const { vocabulary, layers, width, heads, context, batch } = sizes;
  return {
    name: dtype === 'bfloat16' ? `${name} bf16` : name,
    twin: ['gpt', vocabulary, layers, width, heads, context, batch, dtype],
    dtype,
    reach: dtype === 'bfloat16' ? 1.3 : 2,
    prepare: () => gpt(sizes, dtype),
  };
}

class Tagger extends nn.Module {
  readonly lstm = new nn.LSTM(256, 256, { layers: 2 });
  readonly out = new nn.Linear(256, 10);

  forward(x: AnyTensor): AnyTensor {
    return this.out.forward(this.lstm.forward(x).output);
  }
}

const lstm: Workload = {
  name: 'lstm',
  twin: ['lstm'],
  reach: 2,
  prepare() {
    const model = new Tagger();
    fill(model);
    const x = wave([64, 32, 256], 1);
    const y = tensor(classes(64 * 32, 10));
    return training(new optim.Adam(model.parameters(), { lr: 1e-3 }), () =>
      nn.functional.crossEntropy(model.forward(x).reshape([-1, 10]), y),
    );
  },
};

function resnet(name: 'resnet20' | 'resnet50', dtype: Float): Workload {
  return {
    name: dtype === 'bfloat16' ? `${name} bf16` : name,
    twin: [name, dtype],
    dtype,
    reach: dtype === 'bfloat16' ? 1.1 : 1.2,
    tolerance: dtype === 'bfloat16' ? 5e-2 : name === 'resnet50' ? 1e-2 : 1e-3,
    prepare() {
      const [model, batch, size, number] =
        name === 'resnet20' ? [new models.CifarResNet(20), 128, 32, 10] : [new models.ResNet(50), 16, 224, 1000];
      fill(model);
      model.to(dtype);
      const x = wave([batch, 3, size, size], 1).cast(dtype as 'float32');
      const y = tensor(classes(batch, number));
      const optimizer = new optim.SGD(model.parameters(), { lr: 1e-4, momentum: 0.9 });
      const { check, ...rest } = training(optimizer, () => nn.functional.crossEntropy(model.forward(x), y));
      // The deep one magnifies rounding: its float32 gradients differ by 2 % from those in float64, with FMA as with AMX, and each step adds to it.
      return { ...rest, check: name === 'resnet50' ? check.slice(0, 2) : check };
    },
  };
}

export const workloads: Workload[] = [
  {
    name: 'mlp',
    twin: ['mlp'],
    reach: 2,
    prepare: () =>
      classifier(
        new nn.Sequential(
          new nn.Linear(784, 256),
          new nn.ReLU(),
          new nn.Linear(256, 128),
          new nn.ReLU(),
          new nn.Linear(128, 10),
        ),
        wave([64, 784], 1),
      ),
  },
  {
    name: 'lenet',
    twin: ['lenet'],
    reach: 1.5,
    prepare: () =>
      classifier(
        new nn.Sequential(
          new nn.Conv2d(1, 6, 5, { padding: 2 }),
          new nn.ReLU(),
          new nn.MaxPool2d(2),
          new nn.Conv2d(6, 16, 5),
          new nn.ReLU(),
          new nn.MaxPool2d(2),
          new nn.Flatten(),
          new nn.Linear(400, 120),
          new nn.ReLU(),
          new nn.Linear(120, 84),
          new nn.ReLU(),
          new nn.Linear(84, 10),
        ),
        wave([64, 1, 28, 28], 1),
      ),
  },
  lstm,
  ...(['float32', 'bfloat16'] as const).flatMap((dtype) => [
    gptWorkload('char gpt', charGpt, dtype),
    gptWorkload('gpt-2 124M', gpt2, dtype),
    resnet('resnet20', dtype),
    resnet('resnet50', dtype),
  ]),
];
