/** Several graphs as one. */
import { ArgumentError, DTypeError, IndexError, ShapeError } from '../errors';
import { tensor } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { cat } from '../ops/movement';
import { isArrayItem, type ArrayItem } from '../tensor/array-item';
import { checkList } from '../tensor/checks';
import { describe } from '../tensor/describe';
import type { Shape } from '../tensor/shape-types';
import { show, sizeOf } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { joinItems, tensorJoiner, type Collated, type Joiner } from './collate';

/** A graph of a data set, with whatever else is known of it. */
export interface GraphItem {
  /** Features of the nodes: [n, …]. */
  readonly nodes: ArrayBufferView | ArrayItem | AnyTensor;
  /** Sources and targets of the edges: [2, e], numbers of nodes from 0 on. */
  readonly edges: ArrayItem<'int32'>;
}

/** What {@link graphCollate} makes of several graphs. */
export type GraphBatch<Item> = Collated<Item> & {
  /** Which graph each node is of: [n]. */
  readonly graphs: Tensor<Shape, 'int32'>;
  /** How many graphs there are. */
  readonly count: number;
};

export interface GraphCollateOptions {
  /** Further fields that say something of each node or edge, and so are joined along their first axis; none unless given. */
  readonly concatenate?: readonly string[];
}

/**
 * A collate function for graphs of any sizes, which become one graph of parts that no edge connects: nodes one behind the other, and edges with the
 * numbers that nodes have then. The rest is joined as `collate` does. Sums and means over a graph are `segmentSum` and `segmentMean` of what its
 * nodes have become, by `graphs` and `count`.
 *
 * @throws IndexError for an edge of a node that its graph does not have.
 * @example
 * const join = data.graphCollate();
 * const pair = { nodes: Float32Array.of(1, 2), edges: { dtype: 'int32', shape: [2, 1], data: Int32Array.of(0, 1) }, y: 1 } as const;
 * const { edges, graphs, y } = join([pair, pair]); // edges [[0, 2], [1, 3]], graphs [0, 0, 1, 1], y [1, 1]
 */
export function graphCollate(
  options: GraphCollateOptions = {},
): <Item extends GraphItem>(items: readonly Item[]) => GraphBatch<Item> {
  checkOptions('graphCollate', options);
  const { concatenate = [] } = options;
  checkList('graphCollate', 'concatenate', concatenate);
  const ofRows = new Set(['nodes', ...concatenate]);
  return <Item extends GraphItem>(items: readonly Item[]) => {
    checkList('graphCollate', 'items', items);
    const sizes = items.map(nodesOf);
    const join = (field: keyof Item & string): unknown => {
      const values = items.map((item) => item[field]);
      if (field === 'edges') return joinedEdges(values as Item['edges'][], sizes);
      return joinItems(values, ofRows.has(field) ? rowJoiner : tensorJoiner);
    };
    const fields = Object.keys(items[0] ?? {}) as (keyof Item & string)[];
    const graphs = Int32Array.from(sizes.flatMap((size, graph) => new Array<number>(size).fill(graph)));
    return {
      ...Object.fromEntries(fields.map((field) => [field, join(field)])),
      graphs: tensor(graphs),
      count: items.length,
    } as never;
  };
}

/** How many nodes an item has. */
function nodesOf(item: GraphItem, i: number): number {
  const nodes = (item as GraphItem | undefined)?.nodes;
  if (nodes instanceof Tensor || isArrayItem(nodes)) {
    if (nodes.shape.length > 0) return nodes.shape[0]!;
    throw new ShapeError(`graphCollate: nodes of item ${i}: got shape [], expected [n, …]`);
  }
  if (ArrayBuffer.isView(nodes)) return (nodes as Float32Array).length;
  throw new ArgumentError(`graphCollate: nodes of item ${i}: got ${describe(nodes)}, expected an array or a tensor`);
}

const rowJoiner: Joiner = {
  arrays: (items) => cat(items.map((item) => tensor(item) as AnyTensor), 0), // prettier-ignore
  tensors: (items) => cat(items as readonly AnyTensor[], 0),
};

/** The edges of all graphs, whose ends are numbered on from graph to graph of `sizes` nodes. */
function joinedEdges(items: readonly GraphItem['edges'][], sizes: readonly number[]): AnyTensor {
  items.forEach(checkEdges);
  const total = items.reduce((sum, { shape }) => sum + shape[1]!, 0);
  const data = new Int32Array(2 * total);
  let [firstNode, firstEdge] = [0, 0];
  items.forEach((item, i) => {
    const count = item.shape[1]!;
    item.data.forEach((node, k) => {
      if (!(node >= 0 && node < sizes[i]!)) {
        throw new IndexError(`graphCollate: edges of item ${i}: got node ${node}, expected one of ${sizes[i]!}`);
      }
      data[k < count ? firstEdge + k : total + firstEdge + k - count] = firstNode + node;
    });
    firstNode += sizes[i]!;
    firstEdge += count;
  });
  return tensor({ dtype: 'int32', shape: [2, total], data });
}

function checkEdges(edges: unknown, i: number): void {
  const name = `graphCollate: edges of item ${i}`;
  if (!isArrayItem(edges)) {
    throw new ArgumentError(`${name}: got ${describe(edges)}, expected { dtype: 'int32', shape: [2, e], data }`);
  }
  if (edges.dtype !== 'int32') throw new DTypeError(`${name}: got ${edges.dtype}, expected int32`);
  const { shape, data } = edges;
  if (shape.length !== 2 || shape[0] !== 2) throw new ShapeError(`${name}: got shape ${show(shape)}, expected [2, e]`);
  if (data.length !== sizeOf(shape)) {
    throw new ShapeError(`${name}: got ${data.length} elements, expected those of shape ${show(shape)}`);
  }
}
