/** Layers for graphs. */
import { full } from '../../ops/creation';
import { checkOptions } from '../../ops/define';
import { segmentSum } from '../../ops/segments';
import { checkFinite } from '../../tensor/checks';
import type { AnyTensor } from '../../tensor/tensor';
import { checkForward, type Layer } from '../container';
import { Linear } from '../linear';
import { Module, Parameter } from '../module';
import { checkSizes } from '../options';
import { checkEdgeFeatures, edgesOf, rowsAt } from './edges';

export interface GINConvOptions {
  /** What a node's own features count for beyond 1; 0 unless given. */
  readonly epsilon?: number;
  /** Whether epsilon is learned; false unless given. */
  readonly trainEpsilon?: boolean;
  /** How many features each edge has; edges have none unless given. */
  readonly edgeFeatures?: number;
}

/**
 * The graph isomorphism network's layer: net((1 + ε)·x + Σ x_src), which tells apart what sums of features tell apart. With features of edges each
 * source counts as relu(x_src + W_e·e + b_e). Names are those of PyTorch Geometric's GINConv and GINEConv. Xu et al., 2019; Hu et al., 2020.
 *
 * @example
 * const edges = tensor([[0, 1, 2], [1, 2, 0]], { dtype: 'int64' });
 * const net = new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 2));
 * new nn.GINConv(4, net).forward(randn([3, 4]), edges).shape; // [3, 2]
 */
export class GINConv extends Module {
  /** [1] */
  readonly eps: AnyTensor;
  readonly lin: Linear | undefined;
  readonly nn: Layer;

  /** `net` makes features of the sums [n, inFeatures]. */
  constructor(
    readonly inFeatures: number,
    net: Layer,
    options: GINConvOptions = {},
  ) {
    super();
    checkOptions('GINConv', options);
    checkSizes('GINConv', { inFeatures });
    checkForward('GINConv', 'net', net);
    this.nn = net;
    const { epsilon = 0, trainEpsilon = false, edgeFeatures } = options;
    checkFinite('GINConv', 'epsilon', epsilon);
    const eps: AnyTensor = full([1], epsilon);
    this.eps = trainEpsilon ? new Parameter(eps) : eps;
    if (edgeFeatures !== undefined) {
      checkSizes('GINConv', { edgeFeatures });
      this.lin = new Linear(edgeFeatures, inFeatures);
    }
  }

  /** Features of edges are [e, edgeFeatures]. */
  forward(x: AnyTensor, edges: AnyTensor, edgeFeatures?: AnyTensor): AnyTensor {
    const given = edgesOf('GINConv', x, this.inFeatures, edges);
    let messages = rowsAt(x, given.sources);
    checkEdgeFeatures('GINConv', edgeFeatures, given, this.lin?.inFeatures);
    if (edgeFeatures !== undefined) messages = messages.add(this.lin!.forward(edgeFeatures)).relu();
    return this.nn.forward(segmentSum(messages, given.targets, given.nodes).add(x.mul(this.eps.add(1))));
  }
}
