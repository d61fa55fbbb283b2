/** Mixtures of experts: layers that send each row to a few of many networks. */
import { ArgumentError, ShapeError } from '../errors';
import { arange, full, zeros } from '../ops/creation';
import { checkGivenOptions, checkTensor } from '../ops/define';
import { cat } from '../ops/movement';
import { where } from '../ops/pointwise-compare';
import { randnLike } from '../ops/random';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { GELU } from './activation';
import { Sequential, type Layer } from './container';
import { Linear } from './linear';
import { Module } from './module';
import { checkSizes } from './options';
import { turnsOf } from './routing';

export interface MixtureOfExpertsOptions {
  /** How many experts there are. */
  readonly experts: number;
  /** How many of them each row is sent to; 2 unless given. */
  readonly topK?: number;
  /** Of the experts' hidden layers; four times the size unless given. */
  readonly hidden?: number;
  /** Makes expert i, a layer of rows [n, size] to rows [n, size]; Linear, GELU and Linear unless given. */
  readonly makeExpert?: (index: number) => Layer;
  /**
   * An expert takes at most ⌈factor · topK · rows / experts⌉ rows, the first that want it; the others are left out there. 1.25 unless given. With Infinity none
   * is left out, and every expert computes as many rows as there are.
   */
  readonly capacityFactor?: number;
  /** Whether trained noise is added to the scores in training (Shazeer et al., 2017); false unless given. */
  readonly noise?: boolean;
}

export interface MixtureResult {
  /** As x: where all experts left a row out, zeros. */
  readonly output: AnyTensor;
  /** Experts · Σ f·p with f the share of rows sent to each expert and p its mean probability: 1 when all are used alike. Add about a hundredth of it to the loss. */
  readonly balanceLoss: AnyTensor;
  /** The share of places that were left out for want of capacity, 0-d. */
  readonly dropped: AnyTensor;
}

/**
 * Sends each row to the `topK` experts with the highest scores and adds up what they answer, by their probabilities: the softmax over the chosen ones or, for
 * one expert, over all, so that the gate learns. Experts see rows in blocks of a fixed size, so nothing waits for the device.
 *
 * @throws ShapeError when x has not `size` features.
 * @see Shazeer et al., 2017, Outrageously large neural networks; Fedus, Zoph and Shazeer, 2021, Switch transformers.
 * @example
 * const { output, balanceLoss } = new nn.MixtureOfExperts(16, { experts: 4 }).forward(randn([2, 5, 16]));
 * output.shape; // [2, 5, 16]
 */
export class MixtureOfExperts extends Module {
  readonly gate: Linear;
  readonly noise: Linear | undefined;
  readonly experts: readonly Layer[];
  readonly topK: number;
  readonly capacityFactor: number;

  constructor(
    readonly size: number,
    options: MixtureOfExpertsOptions,
  ) {
    super();
    checkGivenOptions('MixtureOfExperts', options);
    const { experts, topK = 2, hidden = 4 * size, capacityFactor = 1.25, noise = false } = options;
    checkSizes('MixtureOfExperts', { size, experts, topK, hidden });
    if (topK > experts) {
      throw new ArgumentError(`MixtureOfExperts: topK: got ${topK}, expected at most the ${experts} experts`);
    }
    if (!(capacityFactor > 0)) {
      throw new ArgumentError(`MixtureOfExperts: capacityFactor: got ${capacityFactor}, expected a positive number`);
    }
    const usual = (): Layer => new Sequential(new Linear(size, hidden), new GELU(), new Linear(hidden, size));
    this.gate = new Linear(size, experts, { bias: false });
    if (noise) this.noise = new Linear(size, experts, { bias: false });
    this.experts = Array.from({ length: experts }, (_, i) => (options.makeExpert ?? usual)(i));
    this.topK = topK;
    this.capacityFactor = capacityFactor;
  }

  forward(x: AnyTensor): MixtureResult {
    const { size, topK, experts } = this;
    checkTensor('MixtureOfExperts', x, 'x');
    if (x.rank < 2 || x.shape.at(-1) !== size) {
      throw new ShapeError(`MixtureOfExperts: x: got shape ${show(x.shape)}, expected [..., ${size}]`);
    }
    const rows: AnyTensor = x.reshape([-1, size]);
    const count = rows.shape[0]!;
    const capacity = Math.min(count, Math.ceil((this.capacityFactor * topK * count) / experts.length));
    const scores = this.scores(rows);
    const probabilities: AnyTensor = scores.softmax(1);
    const [best, chosen] = scores.topk(topK, { axis: 1 }) as unknown as [AnyTensor, AnyTensor];
    const shares: AnyTensor = topK === 1 ? probabilities.max(1, { keepDims: true }) : best.softmax(1);

    // Place j of choice k: first come the first choices of all rows, then their second ones.
    const wanted = (chosen.transpose() as AnyTensor).reshape([topK * count]);
    const { marks, turns } = turnsOf(wanted, experts.length);
    const fits = turns.less(capacity) as AnyTensor;
    const slots = experts.length * capacity;
    const slot = where(fits, wanted.mul(capacity).add(turns), slots) as AnyTensor; // the last stands for nowhere

    // Each slot's row: the one behind the last where it is free.
    const nobody: AnyTensor = zeros([1, size], { dtype: x.dtype as 'float32', device: x.device });
    const numbers: AnyTensor = arange(count, { dtype: 'int64', device: x.device }).repeat(topK);
    const free: AnyTensor = full([slots + 1], count, { dtype: 'int64', device: x.device });
    const tenants = free.scatter(0, slot as never, numbers as never).narrow(0, 0, slots) as AnyTensor;
    const blocks: AnyTensor = rowsAt(cat([rows, nobody], 0), tenants).reshape([experts.length, capacity, size]);
    const answers = cat([...experts.map((expert, i) => expert.forward(blocks.select(0, i))), nobody], 0);
    const perChoice: AnyTensor = rowsAt(answers, slot).reshape([topK, count, size]);
    const output = perChoice.mul((shares.transpose() as AnyTensor).unsqueeze(-1)).sum(0) as AnyTensor;

    const sent = (marks.cast(x.dtype) as AnyTensor).mean(0);
    return {
      output: output.reshape(x.shape),
      balanceLoss: sent.mul(probabilities.mean(0)).sum().mul(experts.length),
      dropped: fits.logicalNot().cast('float32').mean(),
    };
  }

  /** The experts' scores [rows, experts]. */
  private scores(rows: AnyTensor): AnyTensor {
    const scores = this.gate.forward(rows);
    if (this.noise === undefined || !this.training) return scores;
    return scores.add((randnLike(scores) as AnyTensor).mul(this.noise.forward(rows).softplus()));
  }

  protected override describe(): string {
    return `${this.size}, ${this.topK} of ${this.experts.length} experts`;
  }
}

const rowsAt = (x: AnyTensor, index: AnyTensor): AnyTensor => x.indexSelect(0, index);
