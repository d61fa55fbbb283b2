/** Many gated feed-forward parts of language models, of which each token uses a few. */
import { defineFunction } from '../autograd/custom-function';
import { Linear } from '../nn/linear';
import { Module, Parameter } from '../nn/module';
import { turnsOf } from '../nn/routing';
import { arange, empty, oneHot, zeros, zerosLike } from '../ops/creation';
import { writtenActivations, type FeedForwardActivation } from '../ops/feed-forward';
import { stack } from '../ops/movement';
import { wide } from '../ops/wide';
import type { AnyTensor } from '../tensor/tensor';
import { GatedFeedForward } from './gated-feed-forward';

export interface GatedExpertsSizes {
  readonly count: number;
  /** How many of them each token uses, the likeliest. */
  readonly perToken: number;
  readonly width: number;
  /** Features within each of them. */
  readonly hidden: number;
  readonly activation: FeedForwardActivation;
  /** Whether the shares of those that a token uses add up to 1; else each has its probability among all. */
  readonly normalized: boolean;
  /** Features within one more that all tokens use, as far as a gate of its own lets them. */
  readonly sharedHidden: number | undefined;
}

/** Whom the tokens were sent to. */
export interface Routing {
  /** Of each expert, [n, count]. */
  readonly probabilities: AnyTensor;
  /** Of each token the experts that it uses, [n, perToken]. */
  readonly chosen: AnyTensor;
}

/** x [blocks, rows, in] times the transpose of weight [count, out, in] at the block's owner. What is read of the weights is not kept for the gradients. */
const ownersLinear = defineFunction<[AnyTensor, AnyTensor, AnyTensor]>({
  name: 'expertsLinear',
  forward: (saved, x, weight, owners) => {
    Object.assign(saved, { x, weight, owners });
    return x.matmul(weight.indexSelect(0, owners).transpose());
  },
  backward: (saved, g) => {
    const { x, weight, owners } = saved as Record<'x' | 'weight' | 'owners', AnyTensor>;
    const gradients: AnyTensor = g.transpose().matmul(x).cast(weight.dtype);
    return [
      g.matmul(weight.indexSelect(0, owners)),
      (zerosLike(weight) as AnyTensor).indexAdd(0, owners, gradients),
      undefined,
    ];
  },
});

/**
 * Sends each token to the likeliest experts and adds up what they answer, by their shares. None is left out, and nothing waits for the device: tokens are
 * sorted into blocks that belong to one expert each, of which there are so many as any choice can need, which is at most twice the work of the tokens alone.
 *
 * @see Jiang et al., 2024, Mixtral of experts; blocks: Gale et al., 2022, MegaBlocks: efficient sparse training with mixture-of-experts.
 */
export class GatedExperts extends Module {
  readonly router: Linear;
  /** [count, hidden, width] */
  readonly gate: Parameter;
  /** [count, hidden, width] */
  readonly up: Parameter;
  /** [count, width, hidden] */
  readonly down: Parameter;
  readonly shared: GatedFeedForward | undefined;
  readonly sharedGate: Linear | undefined;
  readonly #perToken: number;
  readonly #normalized: boolean;
  readonly #activation: FeedForwardActivation;

  constructor(sizes: GatedExpertsSizes) {
    super();
    const { count, perToken, width, hidden, activation, sharedHidden } = sizes;
    this.router = new Linear(width, count, { bias: false });
    this.gate = new Parameter(empty([count, hidden, width]));
    this.up = new Parameter(empty([count, hidden, width]));
    this.down = new Parameter(empty([count, width, hidden]));
    if (sharedHidden !== undefined) {
      this.shared = new GatedFeedForward(width, sharedHidden, activation, false);
      this.sharedGate = new Linear(width, 1, { bias: false });
    }
    this.#perToken = perToken;
    this.#normalized = sizes.normalized;
    this.#activation = activation;
  }

  /** x [..., width] to the same; what was chosen is put behind `routings`. */
  forward(x: AnyTensor, routings?: Routing[]): AnyTensor {
    const rows: AnyTensor = x.reshape([-1, x.shape.at(-1)!]);
    const probabilities: AnyTensor = wide(this.router.forward(rows)).softmax(1);
    const [likeliest, chosen] = probabilities.topk(this.#perToken, { axis: 1 }) as [AnyTensor, AnyTensor];
    routings?.push({ probabilities, chosen });
    const shares = this.#normalized ? likeliest.div(likeliest.sum(1, { keepDims: true })) : likeliest;
    const answers = this.answers(rows, chosen).mul(shares.cast(x.dtype).unsqueeze(-1));
    const sum = answers.sum(1) as AnyTensor;
    const own = this.shared?.forward(rows).mul(this.sharedGate!.forward(rows).sigmoid());
    return (own === undefined ? sum : sum.add(own)).reshape(x.shape);
  }

  /** What each token's experts answer: rows [n, width] and chosen [n, perToken] to [n, perToken, width]. */
  private answers(rows: AnyTensor, chosen: AnyTensor): AnyTensor {
    const [count, width] = [this.gate.shape[0]!, rows.shape[1]!];
    const { device, size: choices } = chosen;
    const places = { dtype: 'int64', device } as const;
    const perBlock = Math.max(1, Math.ceil(choices / count));
    // Of experts with c choices each has ⌈c / perBlock⌉ blocks: that is most where all but one row is missing in each of their last ones.
    const blocks = Math.floor((choices + Math.min(count, choices) * (perBlock - 1)) / perBlock);
    const wanted = chosen.flatten() as AnyTensor;
    const { marks, turns } = turnsOf(wanted, count);
    const needed = marks
      .sum(0)
      .add(perBlock - 1)
      .floorDivide(perBlock) as AnyTensor;
    const ends = needed.cumsum(0) as AnyTensor;
    // Blocks that nobody needs may belong to anyone.
    const owners = ends.searchSorted(arange(blocks, places), { right: true }).clamp(0, count - 1) as AnyTensor;
    const slots = ends.sub(needed).indexSelect(0, wanted).mul(perBlock).add(turns) as AnyTensor;
    const tokens = arange(choices, places).floorDivide(this.#perToken) as AnyTensor;
    const tenants = (zeros([blocks * perBlock], places) as AnyTensor).scatter(0, slots as never, tokens as never);
    const x: AnyTensor = rows.indexSelect(0, tenants).reshape([blocks, perBlock, width]);
    const gate = writtenActivations[this.#activation].of(ownersLinear(x, this.gate, owners));
    const hidden = gate.mul(ownersLinear(x, this.up, owners)) as AnyTensor;
    const answered = ownersLinear(hidden, this.down, owners).reshape([-1, width]);
    return answered.indexSelect(0, slots).reshape([...chosen.shape, width]);
  }
}

/**
 * count · Σ f·p over the experts, with f the share of tokens that use one and p its mean probability, over all layers and the tokens that `seen` [n] counts with
 * 1: perToken where all are used alike (Fedus, Zoph and Shazeer, 2021, Switch transformers; as the library transformers has it).
 */
export function balanceLoss(routings: readonly Routing[], seen: AnyTensor | undefined): AnyTensor {
  const count = routings[0]!.probabilities.shape[1]!;
  const mean = (x: AnyTensor): AnyTensor =>
    seen === undefined ? x.mean(0) : (x.mul(seen.unsqueeze(1)).sum(0).div(seen.sum()) as AnyTensor);
  const ofLayers = (of: (routing: Routing) => AnyTensor): AnyTensor =>
    stack(routings.map((routing) => mean(of(routing)))).mean(0);
  const used = ofLayers(({ chosen }) => (oneHot(chosen as never, count) as AnyTensor).sum(1));
  return used
    .mul(ofLayers(({ probabilities }) => probabilities))
    .sum()
    .mul(count) as AnyTensor;
}
