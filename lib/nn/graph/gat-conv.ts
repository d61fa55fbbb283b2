/** Layers for graphs. */
import { empty, zeros } from '../../ops/creation';
import { checkOptions } from '../../ops/define';
import { cat } from '../../ops/movement';
import { dropout } from '../../ops/random';
import { segmentSoftmax, segmentSum } from '../../ops/segments';
import type { AnyTensor } from '../../tensor/tensor';
import { xavierUniform_ } from '../init';
import { Linear } from '../linear';
import { Module, Parameter } from '../module';
import { checkProbability, checkSizes } from '../options';
import { areLoops, checkEdgeFeatures, edgesOf, rowsAt, withLoops, type Edges } from './edges';

export interface GATConvOptions {
  /** 1 unless given. */
  readonly heads?: number;
  /** Whether the heads' outputs are joined, or else averaged; true unless given. */
  readonly concat?: boolean;
  /** Of leaky ReLU; 0.2 unless given. */
  readonly slope?: number;
  /** Of attention weights, in training; 0 unless given. */
  readonly dropout?: number;
  /** Whether every node hears from itself by one edge, whose features are the mean of those that end in it; true unless given. */
  readonly selfLoops?: boolean;
  /** How many features each edge has; edges have none unless given. */
  readonly edgeFeatures?: number;
  /** Whether a bias is added; true unless given. */
  readonly bias?: boolean;
}

/** What nodes say [n, heads, outFeatures], and how much those at the edges' ends hear of it [e, heads]. */
interface Attention {
  readonly messages: AnyTensor;
  readonly scores: AnyTensor;
}

abstract class GraphAttention extends Module {
  protected readonly heads: number;
  protected readonly slope: number;
  readonly linEdge: Linear | undefined;
  /** [heads · outFeatures], or [outFeatures] where heads are averaged. */
  bias: Parameter | undefined;

  constructor(
    private readonly layer: string,
    readonly inFeatures: number,
    readonly outFeatures: number,
    readonly options: GATConvOptions,
  ) {
    super();
    checkOptions(layer, options);
    const { heads = 1, concat = true, bias = true, edgeFeatures } = options;
    checkSizes(layer, { inFeatures, outFeatures, heads, ...(edgeFeatures !== undefined && { edgeFeatures }) });
    checkProbability(layer, 'dropout', options.dropout ?? 0);
    this.heads = heads;
    this.slope = options.slope ?? 0.2;
    if (edgeFeatures !== undefined) this.linEdge = this.projection(edgeFeatures, false);
    if (bias) this.bias = new Parameter(zeros([concat ? heads * outFeatures : outFeatures]));
  }

  protected projection(features: number, bias: boolean): Linear {
    const layer = new Linear(features, this.heads * this.outFeatures, { bias });
    xavierUniform_(layer.weight);
    return layer;
  }
  /** A vector for each head: [1, heads, outFeatures]. */
  protected vectors(): Parameter {
    const vectors: AnyTensor = xavierUniform_(empty([this.heads, this.outFeatures]));
    return new Parameter(vectors.unsqueeze(0));
  }
  /** [k, …] to [k, heads, outFeatures]. */
  protected project(layer: Linear, x: AnyTensor): AnyTensor {
    return layer.forward(x).reshape([x.shape[0]!, this.heads, this.outFeatures]);
  }

  /** `ofEdges` are projected features of edges [e, heads, outFeatures]. */
  protected abstract attend(x: AnyTensor, edges: Edges, ofEdges: AnyTensor | undefined): Attention;

  /** Features of edges are [e, edgeFeatures]. */
  forward(x: AnyTensor, edges: AnyTensor, edgeFeatures?: AnyTensor): AnyTensor {
    const { concat = true, selfLoops = true } = this.options;
    const given = edgesOf(this.layer, x, this.inFeatures, edges);
    checkEdgeFeatures(this.layer, edgeFeatures, given, this.options.edgeFeatures);
    const all = selfLoops ? withLoops(given) : given;
    const features = selfLoops && edgeFeatures ? featuresWithLoops(edgeFeatures, given) : edgeFeatures;
    const { messages, scores } = this.attend(x, all, features && this.project(this.linEdge!, features));
    const heard = selfLoops ? scores.maskedFill(replacedBy(given).unsqueeze(1), -Infinity) : scores;
    const shares = segmentSoftmax(heard, all.targets, all.nodes);
    const weights: AnyTensor = dropout(shares, this.options.dropout ?? 0, { training: this.training });
    const joined = segmentSum(rowsAt(messages, all.sources).mul(weights.unsqueeze(-1)), all.targets, all.nodes);
    const y: AnyTensor = concat ? joined.reshape([all.nodes, this.heads * this.outFeatures]) : joined.mean(1);
    return this.bias === undefined ? y : y.add(this.bias);
  }

  protected override describe(): string {
    return `${this.inFeatures} → ${this.outFeatures}, ${this.heads} heads`;
  }
}

/**
 * Graph attention: each node's mean of W·x over its sources, weighted by the softmax of leakyReLU(a_src·W·x_src + a_dst·W·x_dst + a_edge·W_edge·e), per
 * head. Names are those of PyTorch Geometric's GATConv. Veličković et al., 2018.
 *
 * @example
 * const edges = tensor([[0, 1, 2], [1, 2, 0]], { dtype: 'int64' });
 * new nn.GATConv(4, 2, { heads: 3 }).forward(randn([3, 4]), edges).shape; // [3, 6]
 */
export class GATConv extends GraphAttention {
  readonly lin: Linear;
  readonly attSrc: Parameter;
  readonly attDst: Parameter;
  readonly attEdge: Parameter | undefined;

  constructor(inFeatures: number, outFeatures: number, options: GATConvOptions = {}) {
    super('GATConv', inFeatures, outFeatures, options);
    this.lin = this.projection(inFeatures, false);
    this.attSrc = this.vectors();
    this.attDst = this.vectors();
    if (this.linEdge !== undefined) this.attEdge = this.vectors();
  }

  protected override attend(x: AnyTensor, { sources, targets }: Edges, ofEdges: AnyTensor | undefined): Attention {
    const messages = this.project(this.lin, x);
    const along = (vectors: AnyTensor, by: Parameter): AnyTensor => vectors.mul(by).sum(-1);
    let sums = rowsAt(along(messages, this.attSrc), sources).add(rowsAt(along(messages, this.attDst), targets));
    if (ofEdges !== undefined) sums = sums.add(along(ofEdges, this.attEdge!));
    return { messages, scores: sums.leakyRelu(this.slope) };
  }
}

export interface GATv2ConvOptions extends GATConvOptions {
  /** Whether targets are seen by the sources' weights; false unless given. */
  readonly shareWeights?: boolean;
}

/**
 * Graph attention whose ranking of the sources depends on the target: each node's mean of W_l·x + b_l over its sources, weighted by the softmax of
 * a·leakyReLU(W_l·x_src + b_l + W_r·x_dst + b_r + W_edge·e), per head. Names are those of PyTorch Geometric's GATv2Conv. Brody, Alon and Yahav, 2022.
 *
 * @example
 * const edges = tensor([[0, 1, 2], [1, 2, 0]], { dtype: 'int64' });
 * new nn.GATv2Conv(4, 2, { heads: 3, edgeFeatures: 5 }).forward(randn([3, 4]), edges, randn([3, 5])).shape; // [3, 6]
 */
export class GATv2Conv extends GraphAttention {
  readonly linL: Linear;
  readonly linR: Linear;
  readonly att: Parameter;

  constructor(inFeatures: number, outFeatures: number, options: GATv2ConvOptions = {}) {
    super('GATv2Conv', inFeatures, outFeatures, options);
    const { bias = true, shareWeights = false } = options;
    this.linL = this.projection(inFeatures, bias);
    this.linR = shareWeights ? this.linL : this.projection(inFeatures, bias);
    this.att = this.vectors();
  }

  protected override attend(x: AnyTensor, { sources, targets }: Edges, ofEdges: AnyTensor | undefined): Attention {
    const messages = this.project(this.linL, x);
    const own = this.linR === this.linL ? messages : this.project(this.linR, x);
    let sums = rowsAt(messages, sources).add(rowsAt(own, targets));
    if (ofEdges !== undefined) sums = sums.add(ofEdges);
    return { messages, scores: sums.leakyRelu(this.slope).mul(this.att).sum(-1) };
  }
}

/** Which edges, with those from each node to itself behind them, count for nothing as others stand for them: bool [e + n]. */
function replacedBy(edges: Edges): AnyTensor {
  const kept: AnyTensor = zeros([edges.nodes], { dtype: 'bool', device: edges.sources.device });
  return cat([areLoops(edges), kept], 0);
}

/** Features [e, d] of edges, and behind them the means of those that end in each node: [e + n, d]. */
function featuresWithLoops(features: AnyTensor, edges: Edges): AnyTensor {
  const counted = areLoops(edges).logicalNot().cast(features.dtype).unsqueeze(1) as AnyTensor;
  const sumOf = (values: AnyTensor): AnyTensor => segmentSum(values, edges.targets, edges.nodes);
  const means = sumOf(features.mul(counted)).div(sumOf(counted).clamp(1) as AnyTensor);
  return cat([features, means], 0);
}
