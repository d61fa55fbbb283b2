/**
 * The nodes of the autograd graph: what an op leaves behind so that its gradient can be computed later. Written by
 * lib/ops/define.ts when it records, walked by lib/autograd/backward.ts.
 */
import { AutogradError, DisposedError } from '../errors';
import type { Storage } from '../runtime/storage';
import { tape } from '../runtime/tape';
import type { DType } from './dtype';
import type { Shape } from './shape-types';
import { isChannelsLast } from './shapes';
import type { AnyTensor } from './tensor';

/** One gradient per input of the op; `undefined` for an input that gets none. */
export type Gradients = readonly (AnyTensor | undefined)[];

/**
 * How the gradient of an op is computed: `g` is the gradient of its (first) output, in that output's shape and dtype; `rest` those of
 * further outputs, where they take part. Written over other ops, so that gradients have gradients.
 */
export type GradientRule<Context> = RuleHolder<Context>['rule'];
/** A method, so that rules for one kind of context can stand where any rule is wanted. */
interface RuleHolder<Context> {
  rule(g: AnyTensor, node: Node<Context>, rest: Gradients): Gradients;
}

/** What the graph needs to know of an op. */
export interface Differentiable<Context = unknown> {
  readonly name: string;
  readonly gradient?: GradientRule<Context> | undefined;
}

/** Called with a gradient as it arrives at a tensor; what it returns replaces the gradient. */
export type GradientHook = (gradient: AnyTensor) => AnyTensor | void;

/** Where a gradient goes: to an output of a node, or to a leaf, which collects it in `grad`. */
export class Edge {
  declare readonly node: Node | undefined;
  declare readonly index: number;
  declare readonly shape: Shape;
  declare readonly dtype: DType;
  declare hooks: GradientHook[] | undefined;
  /** Called when a backward pass has added to `grad`. */
  declare collected: (() => void)[] | undefined;
  /** Whether this is of a leaf with its channels side by side: the gradient that it collects may lie so too. */
  declare channelsLast: boolean;
  /** The collected gradient of a leaf. */
  declare grad: AnyTensor | undefined;
  /** Whether user code has seen `grad`: if not, it may be freed as soon as it goes. */
  declare gradSeen: boolean;
  /** Whether a tensor that is no leaf keeps its gradient too. */
  declare retainsGrad: boolean;

  constructor(node: Node | undefined, index: number, shape: Shape, dtype: DType) {
    this.node = node;
    this.index = index;
    this.shape = shape;
    this.dtype = dtype;
    this.hooks = undefined;
    this.collected = undefined;
    this.channelsLast = false;
    this.grad = undefined;
    this.gradSeen = false;
    this.retainsGrad = false;
  }

  /** Forgets `grad`; frees it at once if user code has not seen it. */
  dropGrad(by: string): void {
    if (!this.gradSeen) this.grad?.storage.release(by);
    else if (this.grad !== undefined) tape?.droppedGradients.add(this.grad.storage);
    this.grad = undefined;
  }
}

let sequence = 0;
const none: readonly Edge[] = [];

/** One application of an op in the graph. */
export class Node<Context = unknown> {
  declare readonly op: Differentiable<Context>;
  declare readonly edges: readonly (Edge | undefined)[];
  declare readonly context: Context;
  /** Later nodes have larger numbers; an edge always leads to a smaller one. */
  declare readonly sequence: number;
  declare inputs: readonly (AnyTensor | number | undefined)[] | undefined;
  declare outputs: readonly AnyTensor[] | undefined;
  declare inputVersions: number[] | undefined;
  declare outputVersions: number[] | undefined;
  /** The edges of the outputs that take part in gradients. */
  declare outputEdges: readonly Edge[];
  /** The stack of the call that made it, in anomaly mode. */
  declare trace: string | undefined;

  constructor(op: Differentiable<Context>, edges: readonly (Edge | undefined)[], context: Context) {
    this.op = op;
    this.edges = edges;
    this.context = context;
    this.sequence = ++sequence;
    this.inputs = undefined;
    this.outputs = undefined;
    this.inputVersions = undefined;
    this.outputVersions = undefined;
    this.outputEdges = none;
    this.trace = undefined;
  }

  /** Whether input `i` wants a gradient. */
  needs(i: number): boolean {
    return this.edges[i] !== undefined;
  }

  /** The shape of input `i`, which must want a gradient. */
  shape(i: number): Shape {
    return this.edges[i]!.shape;
  }

  /** A saved input. */
  input(i: number): AnyTensor {
    const tensor = this.saved(this.inputs)[i] as AnyTensor;
    this.check(tensor, this.inputVersions![i]!);
    return tensor;
  }

  /** A saved input that was a tensor, a number or left out. */
  operand(i: number): AnyTensor | number | undefined {
    const operand = this.saved(this.inputs)[i];
    return typeof operand === 'object' ? this.input(i) : operand;
  }

  /** A saved output. */
  output(i = 0): AnyTensor {
    const tensor = this.saved(this.outputs)[i]!;
    this.check(tensor, this.outputVersions![i]!);
    return tensor;
  }

  /** Lets go of what was saved. */
  free(): void {
    this.inputs = undefined;
    this.outputs = undefined;
  }

  private saved<T>(tensors: T | undefined): T {
    if (tensors !== undefined) return tensors;
    throw new AutogradError(
      `backward: the graph of ${this.op.name} was freed by an earlier backward: got a second backward, expected ` +
        `backward({ retainGraph: true }) before it`,
    );
  }

  private check(tensor: AnyTensor, version: number): void {
    const { storage } = tensor;
    if (storage.released !== undefined) {
      throw new DisposedError(
        `backward: tensor [${tensor.shape.join(', ')}] made by ${storage.madeBy} and saved by ${this.op.name} was released ` +
          storage.released,
      );
    }
    if (storage.version !== version) {
      throw new AutogradError(
        `backward: tensor [${tensor.shape.join(', ')}] saved by ${this.op.name} was changed in place: got version ` +
          `${storage.version}, expected ${version}`,
      );
    }
  }
}

/** The gradients of leaves before a traced step first changed them. */
export interface GradientBefore {
  /** Undefined also for one that had been released. */
  readonly grad: AnyTensor | undefined;
  /** Whether it was added to, not replaced. */
  readonly used: boolean;
}

/** What is noted while a step is traced; set by lib/autograd/compile.ts. */
export const traced: {
  /** The leaves whose gradient it changed. */
  gradients: Map<Edge, GradientBefore> | undefined;
  /** Those that it made. */
  leaves: Set<Edge> | undefined;
  /** Where leaves were told to collect gradients or not to, and whether they did before. */
  collecting: Map<Storage, boolean> | undefined;
} = { gradients: undefined, leaves: undefined, collecting: undefined };

/** How often leaves began to collect gradients, or stopped. */
export let collectingCount = 0;

/** To be called when a leaf in `storage` begins to collect gradients, or stops. */
export function collectingChanges(storage: Storage, collects: boolean): void {
  collectingCount++;
  if (traced.collecting?.has(storage) === false) traced.collecting.set(storage, storage.collects);
  storage.collects = collects;
}

/** To be called before the gradient of a leaf changes; `used` says whether it is added to. */
export function gradientChanges(edge: Edge, used: boolean): void {
  const { gradients, leaves } = traced;
  if (gradients?.has(edge) !== false || leaves!.has(edge)) return;
  gradients.set(edge, { grad: edge.grad?.storage.released === undefined ? edge.grad : undefined, used });
}

/** Where a leaf collects its gradient. */
export function newLeaf({ shape, dtype, strides }: AnyTensor): Edge {
  const edge = new Edge(undefined, 0, shape, dtype);
  edge.channelsLast = isChannelsLast(shape, strides);
  traced.leaves?.add(edge);
  return edge;
}

/** Whether ops record themselves; changed by lib/autograd/modes.ts. */
export const recording = { enabled: true, anomaly: false };
