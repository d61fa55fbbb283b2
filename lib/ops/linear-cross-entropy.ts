/** Cross entropy of a linear layer's outputs, of which only some rows exist at a time: a language model's logits are its largest tensor by far. */
import { ShapeError } from '../errors';
import { checkCount } from '../tensor/checks';
import { bytesOf, promote, type DType } from '../tensor/dtype';
import type { LinearCheck, Loss, Reduction } from '../tensor/layer-shape-types';
import { recording } from '../tensor/node';
import { scope } from '../tensor/scope';
import type { Ok, Shape, SizeAt } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { operand } from './autocast';
import { ones } from './creation';
import {
  checkDType,
  checkOptions,
  checkTensor,
  defineView,
  floats,
  leavesNode,
  recorded,
  run,
  runMany,
} from './define';
import { checkIndex } from './indexing';
import { denseOf } from './matrix-form';
import {
  checkClasses,
  composedGradient,
  crossEntropyBackwardOp,
  crossEntropyOp,
  lossDType,
  reduceRows,
  rowContext,
  type CrossEntropyContext,
  type CrossEntropyOptions,
} from './losses';
import { checkLayer, linear, matmulOp, parameterGradients, rowsOf } from './matmul';
import { cat } from './movement';
import { where } from './pointwise-compare';
import { wide } from './wide';

export interface LinearCrossEntropyOptions<R extends Reduction = Reduction> extends CrossEntropyOptions<R> {
  /** Of the linear layer, [classes]. */
  readonly linearBias?: AnyTensor | undefined;
  /** How many rows have logits at a time; equal pieces of up to 256 MiB unless given. */
  readonly rowsAtOnce?: number | undefined;
}

/**
 * Of a piece's logits, at most. Each piece but the first adds to the gradient of the weight: 2,048 rows of 768 for 50,257 classes take two cores 1.65 s whole, 1.68 in two pieces,
 * 1.87 in four, 2.3 in sixteen.
 */
const pieceBytes = 256 * 2 ** 20;

function defaultRows(count: number, classes: number, dtype: DType): number {
  const most = Math.max(1, Math.floor(pieceBytes / (classes * bytesOf(dtype))));
  return Math.max(1, Math.ceil(count / Math.max(1, Math.ceil(count / most))));
}

interface Context extends CrossEntropyContext {
  readonly rowsAtOnce: number;
}

/** The loss of each row, and the gradients of x, weight and bias. */
interface Parts {
  readonly losses: AnyTensor;
  readonly gradients: readonly (AnyTensor | undefined)[];
}

/** Computes piece by piece, recording nothing, the losses, and of the inputs `wanted` the gradients, where `g` is those of the losses. */
function inPieces(
  [x, w, b]: readonly [AnyTensor, AnyTensor, AnyTensor | undefined],
  { target, weight, attributes, rowsAtOnce }: Context,
  g: AnyTensor,
  wanted: readonly boolean[],
): Parts {
  const count = x.shape[0]!;
  const losses: AnyTensor[] = [];
  const inputGradients: AnyTensor[] = [];
  let [gw, gb] = [undefined, undefined] as (AnyTensor | undefined)[];
  const added = (sum: AnyTensor | undefined, more: AnyTensor | undefined): AnyTensor | undefined => {
    if (more === undefined || rowsAtOnce >= count) return more;
    return sum === undefined ? wide(more) : sum.add_(more);
  };
  for (let at = 0; at === 0 || at < count; at += rowsAtOnce) {
    const length = Math.min(rowsAtOnce, count - at);
    const piece = (of: AnyTensor): AnyTensor => of.narrow(0, at, length);
    const [loss, gx, ...sums] = scope(() => {
      const logits = linear(piece(x), w, b);
      const output = { shape: [length], dtype: g.dtype };
      const [loss, lse] = runMany(crossEntropyOp, [logits, piece(target), weight], [output, output], attributes);
      if (!wanted.includes(true)) return [loss];
      const inputs = [piece(g), logits, piece(target), weight, lse];
      const slope = run(crossEntropyBackwardOp, inputs, logits.shape, logits.dtype, attributes);
      const [gwTransposed, gbOfPiece] = parameterGradients(slope, piece(x), wanted[1]!, wanted[2]!);
      const gx = wanted[0]! ? slope.matmul(w) : undefined;
      return [loss, gx, added(gw, gwTransposed?.transpose()), added(gb, gbOfPiece)];
    });
    losses.push(loss!);
    if (gx !== undefined) inputGradients.push(gx);
    [gw, gb] = sums;
  }
  return { losses: cat(losses), gradients: [inputGradients.length > 0 ? cat(inputGradients) : undefined, gw, gb] };
}

// The inputs are x, the weight, the bias, and their gradients where those of the losses are all one number; else they are computed when they arrive.
const linearCrossEntropyOp = defineView<Context>(
  'linearCrossEntropy',
  (g, node) => {
    const inputs = [0, 1, 2].map((i) => node.operand(i)) as [AnyTensor, AnyTensor, AnyTensor | undefined];
    const wanted = [0, 1, 2].map((i) => node.needs(i));
    const [x, w, b] = inputs;
    if (recording.enabled) {
      const slope = composedGradient(g, linear(x, w, b), node.context);
      const [gw, gb] = parameterGradients(slope, x, wanted[1]!, wanted[2]!);
      return [wanted[0]! ? slope.matmul(w) : undefined, gw?.transpose(), gb];
    }
    const known = [3, 4, 5].map((i) => node.operand(i) as AnyTensor | undefined);
    if (known.every((each) => each === undefined)) {
      return inPieces(inputs, node.context, g.contiguous(), wanted).gradients.map((each, i) =>
        each?.cast(inputs[i]!.dtype),
      );
    }
    // Where no row counts, a mean divides by 0, and the gradients are 0 nonetheless.
    const { target, attributes } = node.context;
    const factor = where(target.notEqual(attributes[0]).any(), g.narrow(0, 0, 1).reshape([]), 0);
    return known.map((each, i) => each?.mul(factor).cast(inputs[i]!.dtype));
  },
  { inputs: true },
);

/**
 * `crossEntropy(linear(x, weight, linearBias), target)` for x [..., in], the layer's weight [classes, in] and integer targets [...], without the whole of the logits: they are
 * made some rows at a time, and so is their gradient, at once, as its factor is not known before backward but the same for all rows. With `reduction: 'none'` it is not, and
 * backward makes the logits again. The `weight` of options is that of the classes.
 *
 * @throws ShapeError when the sizes differ; DTypeError; IndexError at the next read when a target is no class.
 * @see Wijmans et al., 2025, Cut your losses in large-vocabulary language models.
 * @example
 * const target = tensor([1, 0], { dtype: 'int32' });
 * linearCrossEntropy(ones([2, 3]), zeros([4, 3]), target); // 1.3863
 */
export function linearCrossEntropy<
  S extends Shape,
  D extends DType,
  W extends Shape,
  T extends Shape,
  const R extends Reduction = 'mean',
>(
  x: Tensor<S, D>,
  weight: Tensor<W, D> & Ok<LinearCheck<S, SizeAt<W, 1>, 'linearCrossEntropy'>>,
  target: Tensor<T, DType>,
  options?: LinearCrossEntropyOptions<R>,
): Tensor<Loss<T, R>, D>;
export function linearCrossEntropy(
  x: AnyTensor,
  weight: AnyTensor,
  target: AnyTensor,
  options: LinearCrossEntropyOptions = {},
): AnyTensor {
  const op = 'linearCrossEntropy';
  checkOptions(op, options);
  const { linearBias, reduction } = options;
  checkTensor(op, x);
  checkTensor(op, target, 'target');
  weight = denseOf(weight);
  checkLayer(op, x.shape, weight, linearBias, ['x', 'weight', 'linearBias']);
  const front = x.shape.slice(0, -1);
  if (!sameShape(target.shape, front)) {
    throw new ShapeError(`${op}: target does not fit: got shape ${show(target.shape)} for x ${show(x.shape)}, expected ${show(front)}`); // prettier-ignore
  }
  checkIndex(op, target, 'target');
  const [input, layer, bias] = [x, weight, linearBias].map((each) => operand(matmulOp, each));
  const dtype = promote(input!.dtype, layer!.dtype);
  checkDType(op, dtype, floats);
  const classes = weight.shape[0]!;
  checkClasses(op, classes, options);
  const { rowsAtOnce = defaultRows(target.size, classes, dtype) } = options;
  checkCount(op, 'rowsAtOnce', rowsAtOnce);
  const context: Context = { ...rowContext(target, dtype, options), rowsAtOnce };
  const inputs = [rowsOf(input!.cast(dtype)), layer!.cast(dtype), bias?.cast(dtype)] as const;
  const given = inputs.map((each) => each?.detach()) as unknown as [AnyTensor, AnyTensor, AnyTensor | undefined];
  const isUniform = reduction !== 'none' && target.size > 0 && leavesNode(inputs);
  const wanted = inputs.map((each) => isUniform && each?.edge !== undefined);
  const g = ones([1], { dtype: lossDType(dtype), device: x.device }).expand([target.size]);
  const { losses, gradients } = inPieces(given, context, g, wanted);
  const loss = recorded(linearCrossEntropyOp, [...inputs, ...gradients], losses, context);
  return reduceRows(op, loss, context, target.shape, dtype, options);
}
