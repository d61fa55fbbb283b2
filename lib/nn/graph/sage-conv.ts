/** Layers for graphs. */
import { ArgumentError } from '../../errors';
import { checkOptions } from '../../ops/define';
import { segmentMax, segmentMean, segmentSum } from '../../ops/segments';
import { shown } from '../../tensor/describe';
import type { AnyTensor } from '../../tensor/tensor';
import { Linear } from '../linear';
import { Module } from '../module';
import { checkSizes } from '../options';
import { edgesOf, rowsAt } from './edges';

export interface SAGEConvOptions {
  /** How neighbours are joined; `'mean'` unless given. */
  readonly aggregation?: 'mean' | 'sum' | 'max';
  /** Whether a node's own features have a part of their own; true unless given. */
  readonly rootWeight?: boolean;
  /** Whether the output's rows are divided by their norms; false unless given. */
  readonly normalize?: boolean;
  /** Whether a bias is added; true unless given. */
  readonly bias?: boolean;
}

/**
 * W_l · (the mean, sum or maximum of the sources) + b + W_r · x. Names are those of PyTorch Geometric's SAGEConv. Hamilton, Ying and Leskovec, 2017.
 *
 * @example
 * const edges = tensor([[0, 1, 2], [1, 2, 0]], { dtype: 'int64' });
 * new nn.SAGEConv(4, 2).forward(randn([3, 4]), edges).shape; // [3, 2]
 */
export class SAGEConv extends Module {
  readonly linL: Linear;
  readonly linR: Linear | undefined;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    readonly options: SAGEConvOptions = {},
  ) {
    super();
    checkOptions('SAGEConv', options);
    checkSizes('SAGEConv', { inFeatures, outFeatures });
    const { aggregation = 'mean', bias = true, rootWeight = true } = options;
    if (!Object.hasOwn(aggregations, aggregation)) {
      throw new ArgumentError(`SAGEConv: aggregation: got ${shown(aggregation)}, expected mean, sum or max`);
    }
    this.linL = new Linear(inFeatures, outFeatures, { bias });
    if (rootWeight) this.linR = new Linear(inFeatures, outFeatures, { bias: false });
  }

  forward(x: AnyTensor, edges: AnyTensor): AnyTensor {
    const { nodes, sources, targets } = edgesOf('SAGEConv', x, this.inFeatures, edges);
    const join = aggregations[this.options.aggregation ?? 'mean'];
    let y = this.linL.forward(join(rowsAt(x, sources), targets, nodes));
    if (this.linR !== undefined) y = y.add(this.linR.forward(x));
    return this.options.normalize === true ? y.normalize({ axis: 1 }) : y;
  }

  protected override describe(): string {
    return `${this.inFeatures} → ${this.outFeatures}`;
  }
}

const aggregations = { mean: segmentMean, sum: segmentSum, max: segmentMax };
