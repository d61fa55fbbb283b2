/** Two linear layers with an activation between them, whose products apply it, and its slope, as they write. */
import { ArgumentError } from '../errors';
import { shown } from '../tensor/describe';
import { promote, type DType, type Promote } from '../tensor/dtype';
import type { Linear, LinearCheck } from '../tensor/layer-shape-types';
import { recording } from '../tensor/node';
import type { Ok, Shape, SizeAt } from '../tensor/shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { backward, geluBackwardOp, geluTanhBackwardOp, reluBackwardOp, siluBackwardOp } from './activation-slopes';
import { operand } from './autocast';
import {
  checkDType,
  checkOptions,
  checkTensor,
  defineOp,
  defineView,
  floats,
  leavesNode,
  recorded,
  run,
  runMany,
} from './define';
import { formOf } from './matrix-form';
import { checkLayer, linear, matmulOp, noActivation, parameterGradients, rowsOf } from './matmul';
import { gelu, relu, silu } from './pointwise-activation';

/** What a product can apply as it is written: the code of native/kernels/activation.h, the function, and the op that multiplies by its slope. */
export const writtenActivations = {
  relu: { code: 1, of: (x: AnyTensor): AnyTensor => relu(x), slope: reluBackwardOp },
  gelu: { code: 2, of: (x: AnyTensor): AnyTensor => gelu(x), slope: geluBackwardOp },
  geluTanh: { code: 3, of: (x: AnyTensor): AnyTensor => gelu(x, { approximate: 'tanh' }), slope: geluTanhBackwardOp },
  silu: { code: 4, of: (x: AnyTensor): AnyTensor => silu(x), slope: siluBackwardOp },
};

/** `'geluTanh'` is gelu with `approximate: 'tanh'`. */
export type FeedForwardActivation = keyof typeof writtenActivations;

export interface FeedForwardOptions {
  /** `'relu'` unless given. */
  readonly activation?: FeedForwardActivation;
}

const matmulActivationOp = defineOp('matmulActivation', { dtypes: floats });
const matmulActivationBackwardOp = defineOp('matmulActivationBackward', { dtypes: floats });
/** matmul that leaves no node of its own. */
const productOp = { ...matmulOp, gradient: undefined };

// The inputs are x, w1ᵀ, b1, w2ᵀ, b2, and what was made on the way: the activation, and what it was given.
const feedForwardOp = defineView<FeedForwardActivation>(
  'feedForward',
  (g, node) => {
    const [x, w1, w2] = [node.input(0), node.input(1), node.input(3)];
    const { code, of, slope } = writtenActivations[node.context];
    let [hidden, pre] = [node.input(5), node.input(6)];
    let gpre: AnyTensor | undefined;
    if (recording.enabled) {
      pre = linear(x, w1.transpose(), node.operand(2) as AnyTensor | undefined);
      hidden = of(pre);
      gpre = backward(slope, g.matmul(w2.transpose()), pre);
    } else if ([0, 1, 2].some((i) => node.needs(i))) {
      gpre = run(matmulActivationBackwardOp, [g, w2.transpose(), pre], pre.shape, pre.dtype, [code]);
    }
    return [
      node.needs(0) ? gpre!.matmul(w1.transpose()) : undefined,
      ...(gpre === undefined ? [undefined, undefined] : parameterGradients(gpre, x, node.needs(1), node.needs(2))),
      ...parameterGradients(g, hidden, node.needs(3), node.needs(4)),
    ];
  },
  { inputs: true },
);

/**
 * A feed-forward network of two layers, `linear(activation(linear(x, weight1, bias1)), weight2, bias2)`, for x [..., in], weight1 [hidden, in] and weight2
 * [out, hidden]. What a product can do as it is written is done there: biases, the activation, its slope, and the sums that are the gradients of the biases.
 *
 * @throws ShapeError when the sizes differ; ArgumentError for another activation; DTypeError for integers.
 * @example
 * feedForward(ones([8, 3]), ones([12, 3]), zeros([12]), ones([3, 12]), zeros([3]), { activation: 'gelu' }).shape; // [8, 3]
 */
export function feedForward<
  S extends Shape,
  D extends DType,
  V extends Shape,
  E extends DType,
  W extends Shape,
  F extends DType,
>(
  x: Tensor<S, D>,
  weight1: Tensor<V, E> & Ok<LinearCheck<S, SizeAt<V, 1>, 'feedForward'>>,
  bias1: AnyTensor | undefined,
  weight2: Tensor<W, F> & Ok<LinearCheck<[SizeAt<V, 0>], SizeAt<W, 1>, 'feedForward'>>,
  bias2: AnyTensor | undefined,
  options?: FeedForwardOptions,
): Tensor<Linear<S, SizeAt<W, 0>>, Promote<Promote<D, E>, F>>;
export function feedForward(
  x: AnyTensor,
  weight1: AnyTensor,
  bias1: AnyTensor | undefined,
  weight2: AnyTensor,
  bias2: AnyTensor | undefined,
  options: FeedForwardOptions = {},
): AnyTensor {
  const op = 'feedForward';
  checkOptions(op, options);
  const { activation = 'relu' } = options;
  if (!Object.hasOwn(writtenActivations, activation)) {
    const known = Object.keys(writtenActivations).join(', ');
    throw new ArgumentError(`${op}: activation: got ${shown(activation)}, expected ${known}`);
  }
  checkTensor(op, x);
  if (formOf(weight1) !== undefined || formOf(weight2) !== undefined) {
    return linear(writtenActivations[activation].of(linear(x, weight1, bias1)), weight2, bias2);
  }
  checkLayer(op, x.shape, weight1, bias1, ['x', 'weight1', 'bias1']);
  const front = x.shape.slice(0, -1);
  checkLayer(op, [...front, weight1.shape[0]!], weight2, bias2, ['hidden', 'weight2', 'bias2']);
  const operands = [x, weight1, weight2].map((tensor) => operand(matmulOp, tensor)) as [
    AnyTensor,
    AnyTensor,
    AnyTensor,
  ];
  const dtype = operands.map((tensor) => tensor.dtype).reduce(promote);
  checkDType(op, dtype, floats);
  const [rows, w1, w2] = operands.map((tensor) => tensor.cast(dtype)) as [AnyTensor, AnyTensor, AnyTensor];
  const [b1, b2] = [bias1, bias2].map((bias) => operand(matmulOp, bias)?.cast(dtype));
  const first = [rowsOf(rows), w1.transpose(), b1];
  const second = [w2.transpose(), b2];
  const { code } = writtenActivations[activation];
  const [count, width, out] = [first[0]!.shape[0]!, w1.shape[0]!, w2.shape[0]!];
  const inner = { shape: [count, width], dtype };
  // relu's slope follows from its output.
  const [hidden, pre] =
    activation !== 'relu' && leavesNode(first)
      ? runMany(matmulActivationOp, first, [inner, inner], [code])
      : [run(productOp, first, inner.shape, dtype, [code])];
  const y = run(productOp, [hidden, ...second], [count, out], dtype, noActivation);
  return recorded(feedForwardOp, [...first, ...second, hidden, pre ?? hidden], y, activation).reshape([...front, out]);
}
