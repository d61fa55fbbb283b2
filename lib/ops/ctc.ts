/** Connectionist temporal classification: labels for a sequence whose alignment with them is not known. */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { recording } from '../tensor/node';
import type { Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { arange, tensor, zeros } from './creation';
import { checkDType, checkOptions, checkTensor, defineOp, floats, run } from './define';
import { checkIndex } from './indexing';
import { reduceLoss, type LossOptions } from './losses';
import { cat, stack } from './movement';
import { where } from './pointwise-compare';

interface CtcContext {
  readonly targets: AnyTensor;
  readonly inputLengths: AnyTensor;
  readonly targetLengths: AnyTensor;
  readonly blank: number;
}

const ctcOp = defineOp<CtcContext>('ctc', {
  dtypes: floats,
  saves: { inputs: true },
  gradient: (g, node) => {
    const logProbs = node.input(0);
    const { targets, inputLengths, targetLengths, blank } = node.context;
    if (recording.enabled) {
      // float16 has no room for what stands in place of log 0.
      const wide = logProbs.dtype === 'float64' ? 'float64' : 'float32';
      return [composedGradient(g.cast(wide), logProbs.cast(wide), node.context).cast(logProbs.dtype)];
    }
    const inputs = [g, logProbs, targets, inputLengths, targetLengths];
    return [run(ctcBackwardOp, inputs, logProbs.shape, logProbs.dtype, [blank])];
  },
});
const ctcBackwardOp = defineOp('ctcBackward', { dtypes: floats });

/** In place of log 0, so that gradients of sums of nothing are zero and not NaN. */
const nothing = -1e30;

/** The gradient over ops: −g times the share of alignments at each class, by both recursions. In place of the kernel when the backward pass is recorded. */
function composedGradient(
  g: AnyTensor,
  logProbs: AnyTensor,
  { targets, inputLengths, targetLengths, blank }: CtcContext,
): AnyTensor {
  const [steps, n] = logProbs.shape as [number, number, number];
  const table = targets.rank === 2 ? targets : padded(targets, targetLengths);
  const width = table.shape[1]!;
  const positions = 2 * width + 1;
  // Blanks around every label; positions past a sequence's own are blanks that no alignment of it ends in.
  const { device } = logProbs;
  const index = arange(width, { dtype: 'int64', device });
  const labels = where(index.less(targetLengths.unsqueeze(1)), table.cast('int64'), blank) as AnyTensor;
  const blanks = labels.mul(0).add(blank);
  const classes = cat(
    [stack([blanks, labels], 2).reshape([n, 2 * width]), zeros([n, 1], { dtype: 'int64', device }).add(blank)],
    1,
  );
  const at = arange(positions, { dtype: 'int64', device });
  const previous = classes
    .pad(
      [
        [0, 0],
        [2, 0],
      ],
      { value: -1 },
    )
    .narrow(1, 0, positions);
  const skips = classes
    .notEqual(previous)
    .logicalAnd(classes.notEqual(blank))
    .logicalAnd(at.greater(2).logicalOr(at.equalTo(2)));
  const moved = (x: AnyTensor, by: number): AnyTensor =>
    by > 0
      ? x
          .pad(
            [
              [0, 0],
              [by, 0],
            ],
            { value: nothing },
          )
          .narrow(1, 0, positions)
      : x
          .pad(
            [
              [0, 0],
              [0, -by],
            ],
            { value: nothing },
          )
          .narrow(1, -by, positions);
  const joined = (a: AnyTensor, b: AnyTensor, c: AnyTensor): AnyTensor => stack([a, b, c], 0).logSumExp(0) as AnyTensor;
  const emissions = Array.from({ length: steps }, (_, t) => {
    const picked: AnyTensor = logProbs.select(0, t).gather(1, classes);
    return picked.clamp(nothing);
  });
  const runs = (t: number): Tensor<Shape, 'bool'> => inputLengths.greater(t).unsqueeze(1) as Tensor<Shape, 'bool'>;

  const start = at.less(2).logicalAnd(at.lessEqual(targetLengths.unsqueeze(1).mul(2)));
  const alphas: AnyTensor[] = [];
  for (let t = 0; t < steps; t++) {
    if (t === 0) {
      alphas.push(where(start, emissions[0]!, nothing) as AnyTensor);
      continue;
    }
    const before = alphas[t - 1]!;
    const skipped = where(skips, moved(before, 2), nothing) as AnyTensor;
    const next = joined(before, moved(before, 1), skipped).add(emissions[t]!).clamp(nothing);
    alphas.push(where(runs(t), next, before) as AnyTensor);
  }
  const ends = targetLengths.unsqueeze(1).mul(2);
  const isEnd = at.equalTo(ends).logicalOr(at.add(1).equalTo(ends));
  const finish = where(isEnd, 0, nothing).cast(logProbs.dtype) as AnyTensor;
  const totals = (steps === 0 ? finish : alphas[steps - 1]!.add(finish)).logSumExp(1, { keepDims: true }) as AnyTensor;
  let beta: AnyTensor = finish.expand([n, positions]);
  const shares: AnyTensor[] = [];
  for (let t = steps - 1; t >= 0; t--) {
    const share = alphas[t]!.add(beta).sub(totals).exp();
    const own = where(runs(t), share, 0) as AnyTensor;
    const empty = zeros(logProbs.shape.slice(1), { dtype: logProbs.dtype, device: logProbs.device });
    shares.unshift(empty.scatterAdd(1, classes, own));
    if (t === 0) break;
    const through = beta.add(emissions[t]!);
    const skipped = moved(where(skips, through, nothing) as AnyTensor, -2);
    beta = where(runs(t), joined(through, moved(through, -1), skipped).clamp(nothing), beta) as AnyTensor;
  }
  return steps === 0 ? logProbs.mul(0) : stack(shares, 0).mul(g.cast(logProbs.dtype).reshape([1, n, 1]).neg());
}

/** Joined targets as a table with a row for each sequence. */
function padded(targets: AnyTensor, lengths: AnyTensor): AnyTensor {
  const size = targets.size;
  const starts = lengths.cast('int64').cumsum(0).sub(lengths);
  const places: AnyTensor = starts
    .unsqueeze(1)
    .add(arange(size, { dtype: 'int64', device: targets.device }))
    .clamp(0, Math.max(size - 1, 0));
  return targets.gather(0, places.flatten()).reshape(places.shape);
}

export interface CtcOptions extends LossOptions {
  /** The class that stands for no label; 0 unless given. */
  readonly blank?: number;
  /** Whether a sequence that is too short for its labels counts as zero instead of infinite; false unless given. */
  readonly zeroInfinity?: boolean;
}

/**
 * −log of the probability of label sequences, summed over all alignments: logProbs [t, n, classes] (the logarithms of probabilities; or [t, classes]),
 * targets [n, s] or all joined to one vector, and the lengths of both. The mean is over sequences, each divided by the number of its labels.
 *
 * @throws ShapeError, DTypeError, ArgumentError; IndexError at the next read for a length or target out of range.
 * @see Graves et al., 2006, Connectionist temporal classification.
 * @example
 * ctcLoss(zeros([2, 1, 2]).logSoftmax(-1), tensor([[1]], { dtype: 'int64' }), [2], [1]); // 0.2877
 */
export function ctcLoss(
  logProbs: AnyTensor,
  targets: AnyTensor,
  inputLengths: AnyTensor | readonly number[],
  targetLengths: AnyTensor | readonly number[],
  options: CtcOptions = {},
): AnyTensor {
  checkOptions('ctcLoss', options);
  const op = 'ctcLoss';
  checkTensor(op, logProbs, 'logProbs');
  checkDType(op, logProbs.dtype, floats);
  checkIndex(op, targets, 'targets');
  const { blank = 0, zeroInfinity = false, reduction = 'mean' } = options;
  const lengths = { inputLengths, targetLengths };
  const [inputs, labels] = Object.entries(lengths).map(([name, value]): AnyTensor => {
    const options = { dtype: 'int64', device: logProbs.device } as const;
    const vector = Array.isArray(value) ? tensor(value as number[], options) : (value as AnyTensor);
    checkIndex(op, vector, name);
    return vector.to(logProbs.device);
  }) as [AnyTensor, AnyTensor];
  if (logProbs.rank === 2) {
    const loss = ctcLoss(logProbs.unsqueeze(1), targets, inputs.reshape([1]), labels.reshape([1]), options);
    return reduction === 'none' ? loss.squeeze(0) : loss;
  }
  const n = logProbs.shape[1];
  const fits = targets.rank === 1 || (targets.rank === 2 && targets.shape[0] === n);
  if (logProbs.rank !== 3 || !fits) {
    throw new ShapeError(
      `${op}: shapes do not fit: got logProbs ${show(logProbs.shape)} and targets ${show(targets.shape)}, expected [t, n, classes] and [n, s] or ` +
        'all joined',
    );
  }
  for (const [name, vector] of Object.entries({ inputLengths: inputs, targetLengths: labels })) {
    if (sameShape(vector.shape, [n!])) continue;
    throw new ShapeError(`${op}: ${name} do not fit: got shape ${show(vector.shape)}, expected [${n}]`);
  }
  const classes = logProbs.shape[2]!;
  if (!(Number.isInteger(blank) && blank >= 0 && blank < classes)) {
    throw new ArgumentError(`${op}: blank: got ${shown(blank)}, expected a class of ${classes}`);
  }
  const context = { targets: targets.detach(), inputLengths: inputs, targetLengths: labels, blank };
  const dtype = logProbs.dtype === 'float64' ? 'float64' : 'float32';
  const found = run(ctcOp, [logProbs, targets, inputs, labels], [n!], dtype, [blank], context);
  const loss = zeroInfinity ? (where(found.isInf(), 0, found) as AnyTensor) : found;
  const scaled = reduction === 'mean' ? loss.div(labels.clamp(1).cast(dtype)) : loss;
  return reduceLoss(op, scaled, reduction).cast(logProbs.dtype);
}
