/** Layers for graphs: nodes x [n, in] and edges [2, e] of sources and targets. A node hears from the sources of the edges that end in it. */
import { ArgumentError, ShapeError } from '../errors';
import { arange, empty, ones, zeros } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';
import { checkIndex } from '../ops/indexing';
import { cat } from '../ops/movement';
import { where } from '../ops/pointwise-compare';
import { dropout } from '../ops/random';
import { segmentMax, segmentMean, segmentSoftmax, segmentSum } from '../ops/segments';
import { shown } from '../tensor/describe';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { xavierUniform_ } from './init';
import { Linear } from './linear';
import { Module, Parameter } from './module';
import { checkProbability, checkSizes } from './options';

interface Graph {
  readonly nodes: number;
  readonly sources: AnyTensor;
  readonly targets: AnyTensor;
  /** [e]; ones where none were given. */
  readonly weights: AnyTensor | undefined;
}

/** The edges, checked, with an edge from each node to itself if wanted. */
function graphOf(
  layer: string,
  x: AnyTensor,
  inFeatures: number,
  edges: AnyTensor,
  weights: AnyTensor | undefined,
  selfLoops: boolean,
): Graph {
  checkTensor(layer, x, 'nodes');
  if (x.rank !== 2 || x.shape[1] !== inFeatures) {
    throw new ShapeError(`${layer}: nodes: got shape ${show(x.shape)}, expected [n, ${inFeatures}]`);
  }
  checkIndex(layer, edges, 'edges');
  if (edges.rank !== 2 || edges.shape[0] !== 2) {
    throw new ShapeError(`${layer}: edges: got shape ${show(edges.shape)}, expected [2, e]`);
  }
  const count = edges.shape[1]!;
  if (weights !== undefined) checkTensor(layer, weights, 'weights');
  if (weights !== undefined && !sameShape(weights.shape, [count])) {
    throw new ShapeError(`${layer}: weights do not fit: got shape ${show(weights.shape)}, expected [${count}]`);
  }
  const nodes = x.shape[0]!;
  const [sources, targets] = [edges.select(0, 0), edges.select(0, 1)] as [AnyTensor, AnyTensor];
  if (!selfLoops) return { nodes, sources, targets, weights };
  const all: AnyTensor = arange(nodes, { dtype: edges.dtype, device: x.device });
  return {
    nodes,
    sources: cat([sources, all], 0),
    targets: cat([targets, all], 0),
    weights: weights && cat([weights, ones([nodes], { dtype: weights.dtype, device: x.device })], 0),
  };
}

const rowsAt = (x: AnyTensor, index: AnyTensor): AnyTensor => x.indexSelect(0, index);

export interface GCNConvOptions {
  /** Whether every node has an edge to itself added; true unless given. */
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
    const { selfLoops = true, normalize = true } = this.options;
    const { nodes, sources, targets, ...graph } = graphOf('GCNConv', x, this.inFeatures, edges, weights, selfLoops);
    let factors: AnyTensor = graph.weights ?? ones([sources.size], { dtype: x.dtype, device: x.device });
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

export interface GATConvOptions {
  /** 1 unless given. */
  readonly heads?: number;
  /** Whether the heads' outputs are joined, or else averaged; true unless given. */
  readonly concat?: boolean;
  /** Of leaky ReLU; 0.2 unless given. */
  readonly slope?: number;
  /** Of attention weights, in training; 0 unless given. */
  readonly dropout?: number;
  /** Whether every node has an edge to itself added; true unless given. */
  readonly selfLoops?: boolean;
  /** Whether a bias is added; true unless given. */
  readonly bias?: boolean;
}

/**
 * Graph attention: each node's mean of W·x over its sources, weighted by the softmax of leakyReLU(a_src·W·x_src + a_dst·W·x_dst), per head. Names are those
 * of PyTorch Geometric's GATConv. Veličković et al., 2018.
 *
 * @example
 * const edges = tensor([[0, 1, 2], [1, 2, 0]], { dtype: 'int64' });
 * new nn.GATConv(4, 2, { heads: 3 }).forward(randn([3, 4]), edges).shape; // [3, 6]
 */
export class GATConv extends Module {
  readonly lin: Linear;
  /** [1, heads, outFeatures] */
  readonly attSrc: Parameter;
  readonly attDst: Parameter;
  /** [heads · outFeatures], or [outFeatures] where heads are averaged. */
  bias: Parameter | undefined;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    readonly options: GATConvOptions = {},
  ) {
    super();
    checkOptions('GATConv', options);
    const { heads = 1, concat = true, bias = true } = options;
    checkSizes('GATConv', { inFeatures, outFeatures, heads });
    checkProbability('GATConv', 'dropout', options.dropout ?? 0);
    this.lin = new Linear(inFeatures, heads * outFeatures, { bias: false });
    xavierUniform_(this.lin.weight);
    this.attSrc = new Parameter(xavierUniform_(empty([1, heads, outFeatures])));
    this.attDst = new Parameter(xavierUniform_(empty([1, heads, outFeatures])));
    if (bias) this.bias = new Parameter(zeros([concat ? heads * outFeatures : outFeatures]));
  }

  forward(x: AnyTensor, edges: AnyTensor): AnyTensor {
    const { heads = 1, concat = true, slope = 0.2, selfLoops = true } = this.options;
    const { nodes, sources, targets } = graphOf('GATConv', x, this.inFeatures, edges, undefined, selfLoops);
    const features: AnyTensor = this.lin.forward(x).reshape([nodes, heads, this.outFeatures]);
    const bySource = features.mul(this.attSrc).sum(-1) as AnyTensor;
    const byTarget = features.mul(this.attDst).sum(-1) as AnyTensor;
    const scores = rowsAt(bySource, sources).add(rowsAt(byTarget, targets)).leakyRelu(slope) as AnyTensor;
    const shares = segmentSoftmax(scores, targets, nodes);
    const weights: AnyTensor = dropout(shares, this.options.dropout ?? 0, { training: this.training });
    const joined = segmentSum(rowsAt(features, sources).mul(weights.unsqueeze(-1)), targets, nodes);
    const y: AnyTensor = concat ? joined.reshape([nodes, heads * this.outFeatures]) : joined.mean(1);
    return this.bias === undefined ? y : y.add(this.bias);
  }

  protected override describe(): string {
    return `${this.inFeatures} → ${this.outFeatures}, ${this.options.heads ?? 1} heads`;
  }
}

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
    const { nodes, sources, targets } = graphOf('SAGEConv', x, this.inFeatures, edges, undefined, false);
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
