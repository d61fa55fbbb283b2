/** Layers for graphs. */
import { ones, zeros } from '../../ops/creation';
import { checkOptions } from '../../ops/define';
import { cat } from '../../ops/movement';
import { where } from '../../ops/pointwise-compare';
import { segmentSum } from '../../ops/segments';
import type { AnyTensor } from '../../tensor/tensor';
import { xavierUniform_ } from '../init';
import { Linear } from '../linear';
import { Module, Parameter } from '../module';
import { checkSizes } from '../options';
import { areLoops, checkOfEdges, edgesOf, rowsAt, withLoops, type Edges } from './edges';

export interface GCNConvOptions {
  /** Whether every node hears from itself, with the weight of its edge to itself or 1 where it has none; as `normalize` unless given. */
  readonly selfLoops?: boolean;
  /** Whether edges are divided by the square roots of both ends' degrees; true unless given. */
  readonly normalize?: boolean;
  /** Whether a bias is added; true unless given. */
  readonly bias?: boolean;
}

/**
 * Graph convolution: D^(−½)·(A + I)·D^(−½)·X·Wᵀ + b. Names are those of PyTorch Geometric's GCNConv. Kipf and Welling, 2017.
 *
 * @example
 * const edges = tensor([[0, 1, 2], [1, 2, 0]], { dtype: 'int64' });
 * new nn.GCNConv(4, 2).forward(randn([3, 4]), edges).shape; // [3, 2]
 */
export class GCNConv extends Module {
  readonly lin: Linear;
  /** [outFeatures] */
  bias: Parameter | undefined;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    readonly options: GCNConvOptions = {},
  ) {
    super();
    checkOptions('GCNConv', options);
    checkSizes('GCNConv', { inFeatures, outFeatures });
    this.lin = new Linear(inFeatures, outFeatures, { bias: false });
    xavierUniform_(this.lin.weight);
    if (options.bias ?? true) this.bias = new Parameter(zeros([outFeatures]));
  }

  forward(x: AnyTensor, edges: AnyTensor, weights?: AnyTensor): AnyTensor {
    const { normalize = true, selfLoops = normalize } = this.options;
    const given = edgesOf('GCNConv', x, this.inFeatures, edges);
    if (weights !== undefined) checkOfEdges('GCNConv', 'weights', weights, given);
    let factors: AnyTensor = weights ?? ones([given.sources.size], { dtype: x.dtype, device: x.device });
    if (selfLoops) factors = factorsWithLoops(factors, weights !== undefined, given);
    const { nodes, sources, targets } = selfLoops ? withLoops(given) : given;
    if (normalize) {
      const degrees = segmentSum(factors, targets, nodes);
      // A node without edges has no neighbours to scale.
      const alone = degrees.lessEqual(0);
      const scales = where(alone, 0, (where(alone, 1, degrees) as AnyTensor).rsqrt()) as AnyTensor;
      factors = rowsAt(scales, sources).mul(factors).mul(rowsAt(scales, targets));
    }
    const messages = rowsAt(this.lin.forward(x), sources).mul(factors.unsqueeze(1));
    const y = segmentSum(messages, targets, nodes);
    return this.bias === undefined ? y : y.add(this.bias);
  }

  protected override describe(): string {
    return `${this.inFeatures} → ${this.outFeatures}`;
  }
}

/** The factors [e] of edges, 0 of those from a node to itself, and behind them what each node hears itself by: [e + n]. */
function factorsWithLoops(factors: AnyTensor, areWeights: boolean, edges: Edges): AnyTensor {
  const loops = areLoops(edges);
  let own: AnyTensor = ones([edges.nodes], { dtype: factors.dtype, device: factors.device });
  if (areWeights) {
    const sumOf = (values: AnyTensor): AnyTensor => segmentSum(values, edges.targets, edges.nodes);
    const weights = sumOf(where(loops, factors, 0) as AnyTensor);
    own = where(sumOf(loops.cast(factors.dtype)).greater(0), weights, own) as AnyTensor;
  }
  return cat([where(loops, 0, factors) as AnyTensor, own], 0);
}
