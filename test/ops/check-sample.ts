// What must hold for a sample on the default device: forward.test.ts and gradients.test.ts run it under jest, test/native/cuda on
// machines that have none.
import { getDefaultDevice, gradients, setDefaultDevice, type AnyTensor, type DType } from '../../lib/index';
import { gradcheck } from '../../lib/autograd/gradcheck';
import { isFloat } from '../../lib/tensor/dtype';
import {
  Draw,
  expectClose,
  list,
  plain,
  strided,
  titleOf,
  toleranceOf,
  type Plain,
  type Sample,
  type Tolerance,
} from './sample';

/** The reference rounded as a store into `dtype` does, so that overflow compares equal. */
const stored = ({ shape, values }: Plain, dtype: DType): Plain =>
  dtype === 'float32' ? { shape, values: values.map(Math.fround) } : { shape, values };

/** What `body` makes of the inputs on the CPU. */
function onCpu<R>(inputs: readonly AnyTensor[], body: (inputs: readonly AnyTensor[]) => R): R {
  const device = getDefaultDevice();
  setDefaultDevice('cpu');
  try {
    return body(inputs.map((input) => input.to('cpu')));
  } finally {
    setDefaultDevice(device);
  }
}

/**
 * The results of a sample against its reference, of a sample without one on another device against the CPU, and those of strided inputs
 * against those of contiguous ones.
 */
export function checkForward(sample: Sample, dtype: DType, looser?: Partial<Record<DType, Tolerance>>): void {
  const toleranceFor = (result: DType): Tolerance => looser?.[result] ?? toleranceOf(sample, result);
  const inputs = sample.inputs(new Draw(titleOf(sample)), dtype);
  const results = list(sample.call(...inputs));
  const what = `${titleOf(sample)} in ${dtype}`;
  const expectedDType = sample.result?.(dtype) ?? dtype;
  if (results[0]!.dtype !== expectedDType) {
    throw new Error(`${what}: got a result of ${results[0]!.dtype}, expected ${expectedDType}`);
  }
  const got = results.map(plain);
  const expected = sample.reference
    ? list(sample.reference(...inputs.map(plain)))
    : getDefaultDevice() === 'cpu'
      ? []
      : onCpu(inputs, (there) => list(sample.call(...there)).map(plain));
  expected.forEach((reference, i) => {
    const tolerance = toleranceFor(results[i]!.dtype);
    expectClose(got[i]!, stored(reference, results[i]!.dtype), tolerance, `${what}, result ${i}`);
  });
  if (sample.fixedLayout !== true && inputs.some(({ rank }) => rank > 0)) {
    const turned = list(sample.call(...inputs.map((input) => strided(input)))).map(plain);
    turned.forEach((result, i) => {
      expectClose(result, got[i]!, toleranceFor(results[i]!.dtype), `${what}, strided, result ${i}`);
    });
  }
}

export const differentiable = (sample: Sample): boolean => sample.order > 0 && sample.dtypes.includes('float64');

const leavesOf = (inputs: readonly AnyTensor[]): AnyTensor[] =>
  inputs.map((input) => (isFloat(input.dtype) ? input.detach().requiresGrad_() : input));

/** The gradients of the sum of all results. */
function gradientsOf(sample: Sample, inputs: readonly AnyTensor[]): AnyTensor[] {
  const leaves = leavesOf(inputs);
  const sums = list(sample.call(...leaves))
    .filter(({ requiresGrad }) => requiresGrad)
    .map((result) => result.sum());
  const wanted = leaves.filter(({ requiresGrad }) => requiresGrad);
  return gradients(sums, wanted).map((gradient, i) => gradient ?? wanted[i]!.detach().mul(0));
}

/**
 * The gradients of a differentiable sample: in float64 against differences, to the second order where an op declares it, from contiguous and
 * from strided inputs; in the other floating dtypes against float64.
 */
export function checkGradients(sample: Sample): void {
  const inputs = leavesOf(sample.inputs(new Draw(titleOf(sample)), 'float64'));
  gradcheck(sample.call, inputs, { order: sample.order as 1 | 2 });
  if (sample.fixedLayout !== true && inputs.some(({ rank }) => rank > 0)) {
    gradcheck((...xs) => sample.call(...xs.map((x) => strided(x))), inputs);
  }
  for (const dtype of sample.dtypes) {
    if (isFloat(dtype) && dtype !== 'float64') compareWithFloat64(sample, dtype);
  }
}

/** The gradients in a lower precision against those in float64. */
export function compareWithFloat64(sample: Sample, dtype: DType): void {
  const inputs = sample.inputs(new Draw(titleOf(sample)), dtype);
  const expected = gradientsOf(
    sample,
    inputs.map((input) => (isFloat(input.dtype) ? input.cast('float64') : input)),
  );
  expectGradients(sample, inputs, expected, dtype);
}

/** The gradients on the default device against those on the CPU. */
export function compareWithCpu(sample: Sample, dtype: DType): void {
  const inputs = sample.inputs(new Draw(titleOf(sample)), dtype);
  const expected = onCpu(inputs, (there) => gradientsOf(sample, there));
  expectGradients(sample, inputs, expected, dtype);
}

function expectGradients(
  sample: Sample,
  inputs: readonly AnyTensor[],
  expected: readonly AnyTensor[],
  dtype: DType,
): void {
  const got = gradientsOf(sample, inputs);
  // A gradient rule is a handful of rounded steps, and sums over broadcast axes.
  const { rtol, atol } = toleranceOf(sample, dtype);
  const tolerance = { rtol: 8 * rtol, atol: Math.max(8 * rtol, 8 * atol) };
  got.forEach((gradient, i) => {
    const what = `${titleOf(sample)}: gradient ${i} in ${dtype}`;
    if (gradient.dtype !== dtype) throw new Error(`${what}: got ${gradient.dtype}, expected ${dtype}`);
    expectClose(plain(gradient), plain(expected[i]!), tolerance, what);
  });
}
