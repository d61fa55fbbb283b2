/**
 * What processes compute together. Every process must call the same collectives in the same order, with tensors of the same shape and dtype; they are commands
 * in the stream of the tensors' device, so nothing waits here. What goes wrong is raised at the next read, on every process: a `DistributedError` that names
 * the ranks.
 */
import { ArgumentError, AutogradError, DTypeError, ShapeError } from '../errors';
import { allDTypes, checkOptions, checkTensor, defineOp, type NativeOp, run, runInto } from '../ops/define';
import { deviceNumber, getDefaultDevice } from '../runtime/device';
import { shown } from '../tensor/describe';
import { isFloat, type DType } from '../tensor/dtype';
import { recording } from '../tensor/node';
import type { Shape } from '../tensor/shape-types';
import { show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkDevice, worldSize } from './process-group';

/** In the order of native/kernels/collectives.h. */
const reductions = ['sum', 'mean', 'max', 'min'] as const;

/** How the elements of all processes become one: the mean takes floating dtypes, the sum all but bool, the others all. */
export type Reduction = (typeof reductions)[number];

const allReduceOp: NativeOp<readonly number[]> = defineOp<readonly number[]>('allReduce', {
  dtypes: allDTypes,
  gradient: (g, { context: [code] }) => [allReduce(g, { reduction: reductions[code!]! })],
});
const broadcastOp = defineOp('broadcast', { dtypes: allDTypes });
const allGatherOp = defineOp('allGather', { dtypes: allDTypes });
const reduceScatterOp = defineOp('reduceScatter', { dtypes: allDTypes });
const barrierOp = defineOp('barrier', { dtypes: ['uint8'] });

/** A record has room for some 10,000 tensors; longer lists go in pieces. */
const tensorsPerCommand = 1024;

/**
 * The elements of all processes reduced to one tensor, the same bits on each: 16-bit floats are added in float32, in the order of the ranks on the CPU. Sums and means
 * carry a gradient, of the sum of what all processes differentiate: all of them must call `backward`.
 *
 * @throws AutogradError for the maximum or minimum of a tensor that requires a gradient; DTypeError for one that the reduction does not take.
 * @example
 * const total = await distributed.allReduce(tensor(distributed.rank() + 1)).item(); // 3 in two processes
 */
export function allReduce<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  options: { readonly reduction?: Reduction } = {},
): Tensor<S, D> {
  checkOptions('allReduce', options);
  const { reduction = 'sum' } = options;
  const code = codeOf('allReduce', x, reduction);
  const differentiable = reduction === 'sum' || reduction === 'mean';
  return collective(allReduceOp, x, x.shape, [code], differentiable) as unknown as Tensor<S, D>;
}

/**
 * The tensor of one process, `root`, on all of them; the others' own gives shape and dtype. Carries no gradient.
 *
 * @throws AutogradError for a tensor that requires a gradient.
 * @example
 * const seed = await distributed.broadcast(randint(0, 1000, [])).item(); // the same everywhere
 */
export function broadcast<S extends Shape, D extends DType>(
  x: Tensor<S, D>,
  options: { readonly root?: number } = {},
): Tensor<S, D> {
  checkOptions('broadcast', options);
  const { root = 0 } = options;
  checkRoot('broadcast', root);
  return collective(broadcastOp, x, x.shape, [root]) as unknown as Tensor<S, D>;
}

/**
 * The tensors of all processes, [processes, ...shape] in the order of their ranks. Carries no gradient.
 *
 * @throws AutogradError for a tensor that requires a gradient.
 * @example
 * distributed.allGather(zeros([2, 3])).shape; // [1, 2, 3] in one process
 */
export function allGather<S extends Shape, D extends DType>(x: Tensor<S, D>): Tensor<readonly [number, ...S], D> {
  checkTensor('allGather', x);
  return collective(allGatherOp, x, [worldSize(), ...x.shape], []) as unknown as Tensor<readonly [number, ...S], D>;
}

/**
 * Reduces [processes, ...shape] over the processes and leaves each the part, of shape [...shape], that has its rank. Carries no gradient.
 *
 * @throws ShapeError unless the first axis has the number of processes; AutogradError for a tensor that requires a gradient; DTypeError for one that the
 * reduction does not take.
 * @example
 * distributed.reduceScatter(ones([distributed.worldSize(), 4])).shape; // [4]
 */
export function reduceScatter<S extends Shape, D extends DType>(
  x: Tensor<readonly [number, ...S], D>,
  options: { readonly reduction?: Reduction } = {},
): Tensor<S, D> {
  checkOptions('reduceScatter', options);
  const { reduction = 'sum' } = options;
  const code = codeOf('reduceScatter', x as unknown as AnyTensor, reduction);
  if (x.shape[0] !== worldSize()) {
    throw new ShapeError(
      `reduceScatter: the first axis does not fit: got ${show(x.shape)}, expected [${worldSize()}, …], one part for each process`,
    );
  }
  return collective(reduceScatterOp, x as unknown as AnyTensor, x.shape.slice(1), [code]) as unknown as Tensor<S, D>;
}

/**
 * Resolves once every process has called it and its device has done what was asked of it before.
 *
 * @throws DistributedError when a process has ended or does not come in time.
 * @example
 * await distributed.barrier();
 */
export async function barrier(): Promise<void> {
  const device = getDefaultDevice();
  checkDevice('barrier', device);
  await run(barrierOp, [], [], 'uint8', [], [], 'uint8', [], deviceNumber('barrier', device)).data();
}

/** Reduces tensors in place, all in one command for each dtype. */
export function allReduceTensors(tensors: readonly AnyTensor[], reduction: Reduction): void {
  inPlace(allReduceOp, tensors, reductions.indexOf(reduction));
}

/** Overwrites tensors with those of one process, all in one command for each dtype. */
export function broadcastTensors(tensors: readonly AnyTensor[], root: number): void {
  inPlace(broadcastOp, tensors, root);
}

function inPlace(op: NativeOp, tensors: readonly AnyTensor[], attribute: number): void {
  for (const tensor of tensors) checkDevice(op.name, tensor.device);
  for (const dtype of new Set(tensors.map((tensor) => tensor.dtype))) {
    const alike = tensors.filter((tensor) => tensor.dtype === dtype);
    for (let from = 0; from < alike.length; from += tensorsPerCommand) {
      const some = alike.slice(from, from + tensorsPerCommand);
      const dense = some.map((tensor) => tensor.contiguous());
      runInto(op, dense, dense, [attribute]);
      some.forEach((tensor, i) => {
        if (dense[i] !== tensor) tensor.copy_(dense[i]!);
      });
    }
  }
}

function collective(
  op: NativeOp,
  x: AnyTensor,
  shape: Shape,
  attributes: readonly number[],
  differentiable = false,
): AnyTensor {
  checkTensor(op.name, x);
  if (!differentiable && recording.enabled && x.edge !== undefined) {
    throw new AutogradError(
      `${op.name}: gradients do not pass between processes: got a tensor that requires one, expected x.detach()`,
    );
  }
  checkDevice(op.name, x.device);
  return run(op, [x.contiguous()], shape, x.dtype, attributes);
}

function codeOf(op: string, x: AnyTensor, reduction: Reduction): number {
  checkTensor(op, x);
  const code = reductions.indexOf(reduction);
  if (code === -1) {
    throw new ArgumentError(`${op}: reduction: got ${shown(reduction)}, expected ${reductions.join(', ')}`);
  }
  const fits = reduction === 'mean' ? isFloat(x.dtype) : reduction !== 'sum' || x.dtype !== 'bool';
  if (!fits) {
    const expected = reduction === 'mean' ? 'a floating dtype' : 'a dtype of numbers';
    throw new DTypeError(`${op}: dtype: got ${x.dtype}, expected ${expected} for the ${reduction}`);
  }
  return code;
}

function checkRoot(op: string, root: number): void {
  if (Number.isSafeInteger(root) && root >= 0 && root < worldSize()) return;
  throw new ArgumentError(`${op}: root: got ${shown(root)}, expected a rank from 0 to ${worldSize() - 1}`);
}
