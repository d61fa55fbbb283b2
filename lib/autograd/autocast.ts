/** Mixed precision: regions in which products run in 16 bits and what is delicate in float32. */
import { ArgumentError } from '../errors';
import { autocasting, type LowerDType } from '../ops/autocast';
import { checkFunction } from '../tensor/checks';
import { shown } from '../tensor/describe';

/**
 * Runs `f` in mixed precision: products (linear, matmul, convolutions, attention, recurrent layers) cast their operands to `dtype`; softmax, norms, losses, powers,
 * exponentials and sums cast theirs to float32, as in PyTorch's list for GPUs; all other ops take what they get, and mixed operands are promoted. Parameters stay as
 * they are, usually float32, and so do their gradients and the optimizer. `false` turns it off inside. The backward pass runs in the dtypes of the forward pass
 * wherever it is called. With float16 use a GradScaler. Types know nothing of it: a result may be 16-bit where its type says float32.
 *
 * @see Micikevicius et al., 2018, Mixed precision training.
 * @example
 * const loss = autocast('bfloat16', () => nn.functional.crossEntropy(model.forward(x), y));
 * loss.backward();
 * optimizer.step();
 */
export function autocast<T>(dtype: LowerDType | false, f: () => T): T {
  if (dtype !== false && dtype !== 'bfloat16' && dtype !== 'float16') {
    throw new ArgumentError(`autocast: dtype: got ${shown(dtype)}, expected bfloat16, float16 or false`);
  }
  checkFunction('autocast', 'f', f);
  return autocastAs(dtype === false ? undefined : dtype, f);
}

/** The dtype of the region of mixed precision around the call; undefined outside. */
export function autocastDType(): LowerDType | undefined {
  return autocasting.dtype;
}

/** Runs `f` under the given state, as one of the outermost region if there is none. */
export function autocastAs<T>(dtype: LowerDType | undefined, f: () => T): T {
  const { dtype: before, casts } = autocasting;
  const isOutermost = before === undefined && casts.size === 0;
  autocasting.dtype = dtype;
  try {
    const result = f();
    if (result instanceof Promise) {
      throw new ArgumentError('autocast: f: got an async function, expected one that returns when it is done');
    }
    return result;
  } finally {
    autocasting.dtype = before;
    if (isOutermost) casts.clear();
  }
}
