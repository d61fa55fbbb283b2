/** Logits that are kept within bounds by a hyperbolic tangent (Gemma team, 2024, Gemma 2: improving open language models at a practical size). */
import { checkpoint } from '../autograd/custom-function';
import { ShapeError } from '../errors';
import { checkTensor } from '../ops/define';
import type { LinearCrossEntropyOptions } from '../ops/linear-cross-entropy';
import { crossEntropy } from '../ops/losses';
import { linear } from '../ops/matmul';
import { denseOf } from '../ops/matrix-form';
import { cat } from '../ops/movement';
import { wide } from '../ops/wide';
import { checkChoice, checkCount } from '../tensor/checks';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';

/** x as cap · tanh(x / cap). */
export const softCapped = (x: AnyTensor, cap: number): AnyTensor => x.div(cap).tanh().mul(cap);

/** As many rows as have 256 MiB of logits in float32. */
const defaultRows = (classes: number): number => Math.max(1, Math.floor(2 ** 26 / classes));

/**
 * `crossEntropy(softCapped(linear(x, weight), cap), target)` for x [..., in], weight [classes, in] and integer targets [...]. The logits are made some rows at a
 * time, and again in backward, of which there are no further gradients.
 *
 * @throws ShapeError when the sizes differ; ArgumentError.
 */
export function softCappedCrossEntropy(
  x: AnyTensor,
  weight: AnyTensor,
  target: AnyTensor,
  cap: number,
  options: Pick<LinearCrossEntropyOptions, 'reduction' | 'ignoreIndex' | 'labelSmoothing' | 'rowsAtOnce'>,
): AnyTensor {
  const op = 'softCappedCrossEntropy';
  const {
    reduction = 'mean',
    rowsAtOnce = defaultRows(weight.shape[0]!),
    ignoreIndex = -100,
    labelSmoothing,
  } = options;
  checkChoice(op, 'reduction', reduction, ['mean', 'sum', 'none']);
  checkCount(op, 'rowsAtOnce', rowsAtOnce);
  checkTensor(op, target, 'target');
  const front = x.shape.slice(0, -1);
  if (!sameShape(target.shape, front)) {
    throw new ShapeError(`${op}: target does not fit: got shape ${show(target.shape)} for x ${show(x.shape)}, expected ${show(front)}`); // prettier-ignore
  }
  const dense = denseOf(weight);
  const targets = target.flatten().split(rowsAtOnce, 0);
  const lossesOf = (rows: AnyTensor, own: AnyTensor): AnyTensor =>
    checkpoint(
      (input, layer) =>
        crossEntropy(wide(softCapped(linear(input, layer), cap)), own as never, {
          ignoreIndex,
          reduction: 'none',
          ...(labelSmoothing !== undefined && { labelSmoothing }),
        }) as AnyTensor,
      rows,
      dense,
    );
  const pieces = x.flatten(0, -2).split(rowsAtOnce, 0);
  const losses: AnyTensor = cat(
    pieces.map((rows, i) => lossesOf(rows, targets[i]!)),
    0,
  );
  if (reduction === 'none') return losses.reshape(front).cast(x.dtype) as AnyTensor;
  const sum: AnyTensor = losses.sum();
  return (reduction === 'sum' ? sum : sum.div(target.notEqual(ignoreIndex).sum())).cast(x.dtype) as AnyTensor;
}
