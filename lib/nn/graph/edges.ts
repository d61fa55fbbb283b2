/** The edges of a graph as its layers see them. A node hears from the sources of the edges that end in it. */
import { ArgumentError, ShapeError } from '../../errors';
import { arange } from '../../ops/creation';
import { checkTensor } from '../../ops/define';
import { checkIndex } from '../../ops/indexing';
import { cat } from '../../ops/movement';
import { sameShape, show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';

export interface Edges {
  readonly nodes: number;
  /** [e] */
  readonly sources: AnyTensor;
  /** [e] */
  readonly targets: AnyTensor;
}

/** The edges [2, e] of the graph whose nodes are x [n, inFeatures], checked. */
export function edgesOf(layer: string, x: AnyTensor, inFeatures: number, edges: AnyTensor): Edges {
  checkTensor(layer, x, 'nodes');
  if (x.rank !== 2 || x.shape[1] !== inFeatures) {
    throw new ShapeError(`${layer}: nodes: got shape ${show(x.shape)}, expected [n, ${inFeatures}]`);
  }
  checkIndex(layer, edges, 'edges');
  if (edges.rank !== 2 || edges.shape[0] !== 2) {
    throw new ShapeError(`${layer}: edges: got shape ${show(edges.shape)}, expected [2, e]`);
  }
  return { nodes: x.shape[0]!, sources: edges.select(0, 0), targets: edges.select(0, 1) };
}

/** Throws unless `values` are of the shape that what is said of each edge has. */
export function checkOfEdges(
  layer: string,
  name: string,
  values: AnyTensor,
  { sources }: Edges,
  ...features: readonly number[]
): void {
  checkTensor(layer, values, name);
  const expected = [sources.size, ...features];
  if (!sameShape(values.shape, expected)) {
    throw new ShapeError(`${layer}: ${name} do not fit: got shape ${show(values.shape)}, expected ${show(expected)}`);
  }
}

/** Throws unless features of edges are given where a layer takes `count` of them, and none where it takes none. */
export function checkEdgeFeatures(
  layer: string,
  features: AnyTensor | undefined,
  edges: Edges,
  count: number | undefined,
): void {
  if (features !== undefined && count !== undefined) return checkOfEdges(layer, 'edgeFeatures', features, edges, count);
  if (features === undefined && count === undefined) return;
  const [got, expected] = count === undefined ? ['some', 'none'] : ['none', `[${edges.sources.size}, ${count}]`];
  throw new ArgumentError(`${layer}: edgeFeatures: got ${got}, expected ${expected}, as the layer was made`);
}

/** The edges, and behind them one from each node to itself. */
export function withLoops({ nodes, sources, targets }: Edges): Edges {
  const all: AnyTensor = arange(nodes, { dtype: sources.dtype, device: sources.device });
  return { nodes, sources: cat([sources, all], 0), targets: cat([targets, all], 0) };
}

/** Which edges lead from a node to itself: bool [e]. */
export const areLoops = ({ sources, targets }: Edges): AnyTensor => sources.equalTo(targets);

export const rowsAt = (x: AnyTensor, index: AnyTensor): AnyTensor => x.indexSelect(0, index);
