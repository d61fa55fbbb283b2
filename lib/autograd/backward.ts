/**
 * The backward pass: walks the graph that ops recorded, from the latest node to the earliest, and sends gradients along its edges. Frees
 * what the graph saved and every gradient in flight as soon as it has been used.
 */
import { AutogradError, ShapeError } from '../errors';
import { closeScope, detachFromScopes, openScope, promote, type Scope } from '../runtime/storage';
import { sizes, type DType } from '../tensor/dtype';
import { gradientChanges, recording, type Edge, type Node } from '../tensor/node';
import type { Shape } from '../tensor/shape-types';
import { isChannelsLast, sameShape, show } from '../tensor/shapes';
import { leafEdge, Tensor, type AnyTensor } from '../tensor/tensor';
import { autocasting } from '../ops/autocast';
import { onesLike, zeros } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';

export interface BackwardOptions {
  /** The gradient of the output, in its shape; 1 for an output of one element. */
  readonly gradient?: AnyTensor;
  /** Keeps what the graph saved, so that backward can run again. `createGraph` implies it. */
  readonly retainGraph?: boolean;
  /** Records the backward pass itself, so that gradients have gradients. */
  readonly createGraph?: boolean;
}

/** Whether no two elements share their memory: a gradient may also be an expanded one. */
const isDense = ({ isContiguous, shape, strides }: AnyTensor): boolean =>
  isContiguous || isChannelsLast(shape, strides);

/** Gradients in flight, one per edge, with the ownership of their memory. */
class Flight {
  readonly gradients = new Map<Edge, AnyTensor>();

  /** `scope` owns every storage made during the pass; undefined when the pass is recorded and frees nothing. */
  constructor(readonly scope: Scope | undefined) {}

  /** Adds `gradient` to what has arrived at `edge`. */
  arrive(edge: Edge, gradient: AnyTensor): void {
    const before = this.gradients.get(edge);
    if (before === undefined) {
      this.hold(edge, gradient);
    } else if (this.owns(before) && isDense(before) && before.storage.pendingUses === 1) {
      before.add_(gradient);
    } else {
      this.gradients.delete(edge);
      this.hold(edge, before.add(gradient));
      this.release(before);
    }
  }

  /** Takes the gradient of an edge out; the caller releases it. */
  take(edge: Edge): AnyTensor | undefined {
    const gradient = this.gradients.get(edge);
    this.gradients.delete(edge);
    return gradient;
  }

  /** The gradient is no longer used by the caller; it is freed unless another edge has it. */
  release(gradient: AnyTensor): void {
    if (--gradient.storage.pendingUses === 0 && this.owns(gradient)) gradient.storage.release('by backward');
  }

  hold(edge: Edge, gradient: AnyTensor): void {
    gradient.storage.pendingUses++;
    this.gradients.set(edge, gradient);
  }

  owns(gradient: AnyTensor): boolean {
    return this.scope !== undefined && gradient.storage.scope === this.scope;
  }
}

/** A call of backward; what runs inside the rules of its graph belongs to it. */
export interface Pass {
  /** What is to be done at its end, unless it fails. */
  readonly atEnd: (() => void)[];
}

let pass: Pass | undefined;

/** The pass that is under way. */
export const currentPass = (): Pass | undefined => pass;

/**
 * Sends gradients from `roots` through the graph. Answers those of the edges `wanted`; other leaves collect theirs in `grad`, as soon as all of it has
 * arrived, unless `collects` is false.
 */
export function propagate(
  roots: readonly { readonly edge: Edge; readonly gradient: AnyTensor }[],
  options: { readonly retainGraph?: boolean | undefined; readonly createGraph?: boolean | undefined },
  wanted: readonly Edge[] = [],
  collects = true,
): (AnyTensor | undefined)[] {
  const createGraph = options.createGraph ?? false;
  const retainGraph = options.retainGraph ?? createGraph;
  const enabled = recording.enabled;
  recording.enabled = createGraph;
  // Rules run in the dtypes that the forward pass chose.
  const { dtype } = autocasting;
  autocasting.dtype = undefined;
  const outer = pass;
  const own = (pass ??= { atEnd: [] });
  const flight = new Flight(createGraph ? undefined : openScope());
  const found = new Map<Edge, AnyTensor>();
  const isWanted = new Set(wanted);
  const arriveAtLeaf = (edge: Edge): void => {
    const arrived = flight.take(edge);
    if (arrived === undefined) return;
    const gradient = hooked(edge, arrived);
    if (isWanted.has(edge)) found.set(edge, outliving(taken(gradient, edge, flight), flight));
    else if (collects) collect(edge, gradient, flight);
  };
  try {
    for (const { edge, gradient } of roots) flight.arrive(edge, gradient);
    const nodes = reachable(roots.map(({ edge }) => edge));
    const complete = completedLeaves(nodes);
    nodes.forEach((node, i) => {
      visit(node, flight, found, isWanted);
      complete[i]?.forEach(arriveAtLeaf);
      if (!retainGraph) node.free();
    });
    for (const { edge } of roots) if (edge.node === undefined) arriveAtLeaf(edge);
  } finally {
    pass = outer;
    recording.enabled = enabled;
    autocasting.dtype = dtype;
    for (const gradient of flight.gradients.values()) gradient.storage.pendingUses--;
    if (flight.scope !== undefined) closeScope(flight.scope);
  }
  if (outer === undefined) for (const finish of own.atEnd) finish();
  return wanted.map((edge) => found.get(edge));
}

/** The nodes behind `edges`, latest first: every node comes after all that use its results. */
function reachable(edges: readonly Edge[]): Node[] {
  const seen = new Set<Node>();
  const stack = edges.flatMap((edge) => edge.node ?? []);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const edge of node.edges) if (edge?.node !== undefined) stack.push(edge.node);
  }
  return [...seen].sort((a, b) => b.sequence - a.sequence);
}

/** By place in `nodes`: the leaves that get no gradient from any later one. */
function completedLeaves(nodes: readonly Node[]): (Edge[] | undefined)[] {
  const complete = new Array<Edge[] | undefined>(nodes.length);
  const seen = new Set<Edge>();
  for (let i = nodes.length - 1; i >= 0; i--) {
    for (const edge of nodes[i]!.edges) {
      if (edge === undefined || edge.node !== undefined || seen.has(edge)) continue;
      seen.add(edge);
      (complete[i] ??= []).push(edge);
    }
  }
  return complete;
}

function visit(node: Node, flight: Flight, found: Map<Edge, AnyTensor>, isWanted: Set<Edge>): void {
  const arrived = node.outputEdges.map((edge) => {
    const gradient = flight.take(edge);
    return gradient === undefined ? undefined : hooked(edge, gradient);
  });
  if (arrived.every((gradient) => gradient === undefined)) return;
  node.outputEdges.forEach((edge, i) => {
    const gradient = arrived[i];
    if (gradient === undefined) return;
    if (isWanted.has(edge)) found.set(edge, outliving(copied(gradient, flight), flight));
    if (edge.retainsGrad) {
      edge.grad = copied(gradient, flight).keep();
      edge.gradSeen = true;
    }
  });
  const inner = flight.scope === undefined ? undefined : openScope();
  try {
    const { shape, dtype } = node.outputEdges[0]!;
    const { device } = arrived.find((gradient) => gradient !== undefined)!;
    const first: AnyTensor = arrived[0] ?? zeros(shape, { dtype, device });
    const results = node.op.gradient!(first, node, arrived.slice(1));
    for (let i = 0; i < node.edges.length; i++) {
      const edge = node.edges[i];
      const result = results[i];
      if (edge === undefined || result === undefined) continue;
      const gradient = fitting(result, edge, `the gradient rule of ${node.op.name}`);
      if (recording.anomaly) checkFinite(gradient, node);
      flight.arrive(edge, gradient);
      if (inner !== undefined) promote(flight.gradients.get(edge)!.storage, inner);
    }
  } finally {
    if (inner !== undefined) closeScope(inner);
  }
  for (const gradient of arrived) if (gradient !== undefined) flight.release(gradient);
}

/** `gradient`, which `maker` made, in the dtype of the edge. */
function fitting(gradient: AnyTensor, edge: Edge, maker: string): AnyTensor {
  if (!sameShape(gradient.shape, edge.shape)) {
    throw new AutogradError(
      `backward: ${maker} gave the wrong shape: got ${show(gradient.shape)}, expected ${show(edge.shape)}`,
    );
  }
  return gradient.dtype === edge.dtype ? gradient : gradient.cast(edge.dtype);
}

function hooked(edge: Edge, gradient: AnyTensor): AnyTensor {
  let result = gradient;
  for (const hook of edge.hooks ?? []) {
    const replaced: unknown = hook(result) ?? result;
    checkTensor('backward', replaced, 'hook');
    result = fitting(replaced, edge, 'a hook');
  }
  if (result !== gradient) {
    result.storage.pendingUses++;
    gradient.storage.pendingUses--;
  }
  return result;
}

/** `gradient`, made in the pass, as a tensor of what is around the pass. */
function outliving(gradient: AnyTensor, flight: Flight): AnyTensor {
  if (flight.scope !== undefined) promote(gradient.storage, flight.scope);
  return gradient;
}

/** A gradient that the pass still needs, for others. */
function copied(gradient: AnyTensor, flight: Flight): AnyTensor {
  return flight.scope === undefined ? gradient : gradient.clone();
}

/** A gradient that the pass needs no more, as one that nobody else has, row-major or as the leaf lies: itself or a copy. */
function taken(gradient: AnyTensor, { channelsLast }: Edge, flight: Flight): AnyTensor {
  if (flight.scope === undefined) return gradient;
  const exclusive =
    flight.owns(gradient) &&
    gradient.storage.pendingUses === 1 &&
    (channelsLast ? isDense(gradient) : gradient.isContiguous) &&
    gradient.offset === 0 &&
    gradient.size * sizes[gradient.dtype] === gradient.storage.bytes;
  const own = exclusive ? gradient : gradient.clone();
  if (exclusive) gradient.storage.pendingUses--;
  else flight.release(gradient);
  return own;
}

/** Adds an arrived gradient to a leaf's `grad`. */
function collect(edge: Edge, gradient: AnyTensor, flight: Flight): void {
  gradientChanges(edge, true);
  const { grad } = edge;
  if (flight.scope === undefined) {
    edge.grad = grad === undefined ? gradient : grad.add(gradient);
    edge.gradSeen = true; // the caller's own gradient, or part of a graph
  } else if (grad !== undefined && grad.storage.released === undefined) {
    grad.add_(gradient);
    flight.release(gradient);
  } else {
    edge.grad = taken(gradient, edge, flight);
    detachFromScopes(edge.grad.storage);
    edge.gradSeen = false;
  }
  for (const hook of edge.collected ?? []) hook();
}

function checkFinite(gradient: AnyTensor, node: Node): void {
  if (gradient.isNaN().any().itemSync() === 0) return;
  const made = node.trace === undefined ? '' : `\nForward call:\n${node.trace.split('\n').slice(2).join('\n')}`;
  throw new AutogradError(`backward: the gradient of ${node.op.name} has a NaN${made}`);
}

/** The gradient that a backward pass starts from, given in the option `name`. Throws when there is none to assume. */
export function initialGradient(
  op: string,
  output: AnyTensor,
  gradient: AnyTensor | undefined,
  name: string,
): AnyTensor {
  if (gradient !== undefined) {
    checkTensor(op, gradient, name);
    if (!sameShape(gradient.shape, output.shape)) {
      throw new ShapeError(`${op}: ${name}: got shape ${show(gradient.shape)}, expected ${show(output.shape)}`);
    }
    return gradient.dtype === output.dtype ? gradient : gradient.cast(output.dtype);
  }
  if (output.size !== 1) {
    throw new AutogradError(
      `${op}: no gradient given for an output of shape ${show(output.shape)}: got ${output.size} elements, expected one (a loss), or ` +
        `the option ${name}`,
    );
  }
  return onesLike(output);
}

/**
 * Computes the gradient of `output` with respect to every leaf that requires one, and adds it to the leaves' `grad`.
 *
 * @throws AutogradError when nothing was recorded, when the graph has been freed, or when a saved tensor has changed.
 * @example
 * const w = tensor([1, 2]).requiresGrad_();
 * backward(w.mul(w).sum());
 * w.grad; // [2, 4]
 */
export function backward(output: AnyTensor, options: BackwardOptions = {}): void {
  checkTensor('backward', output, 'output');
  checkOptions('backward', options);
  const { edge } = output;
  if (edge === undefined) {
    throw new AutogradError(
      `backward: nothing to differentiate: got a tensor ${show(output.shape)} that does not require a gradient, expected the result of ` +
        'recorded ops on a tensor that does',
    );
  }
  propagate([{ edge, gradient: initialGradient('backward', output, options.gradient, 'gradient') }], options);
}

/** Forgets a parameter's gradient; frees it at once if nobody has seen it. */
export function clearGradient(parameter: AnyTensor): void {
  const edge = leafEdge(parameter);
  if (edge !== undefined) gradientChanges(edge, false);
  edge?.dropGrad('by zeroGrad()');
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    /** See {@link backward}. */
    backward(options?: BackwardOptions): void;
  }
}
Tensor.prototype.backward = function (options) {
  backward(this, options);
};
