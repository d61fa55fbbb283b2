/** Whole training steps: forward, backward and optimizer. */
import { arange, nn, optim, scope, tensor } from 'hadal';
import type { AnyTensor } from 'hadal';

import { classes, fill, wave, type Prepared, type Workload } from './harness';

interface Training extends Prepared {
  /** One step; the promise is of its loss. */
  trainStep(): Promise<number>;
}

function training(optimizer: optim.Adam, lossOf: () => AnyTensor): Training {
  const step = (): AnyTensor => {
    optimizer.zeroGrad();
    const loss = scope(() => {
      const value = lossOf();
      value.backward();
      return value.detach();
    });
    optimizer.step();
    return loss;
  };
  const check = [1, 2, 3].map(() => step().itemSync());
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
    return attended.add(this.down.forward(this.up.forward(this.norm2.forward(attended)).gelu({ approximate: 'tanh' })));
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

/** The character GPT of the benches: 6 layers, width 384, 6 heads, 256 tokens, batch 8. */
export function prepareGpt(): Training {
  const [vocabulary, context, batch] = [65, 256, 8];
  const model = new GPT(vocabulary, 6, 384, 6, context);
  fill(model);
  const codes = classes(batch * context, vocabulary);
  const index = tensor(codes).reshape([batch, context]);
  const target = tensor(codes.map((code) => (code + 1) % vocabulary));
  const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-4, weightDecay: 0.1 });
  return training(optimizer, () => nn.functional.crossEntropy(model.forward(index).reshape([-1, vocabulary]), target));
}

export const workloads: Workload[] = [
  {
    name: 'mlp',
    reach: 0.6,
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
    reach: 0.8,
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
  { name: 'gpt', reach: 0.6, prepare: prepareGpt },
];
