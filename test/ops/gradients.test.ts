// The gradients of every differentiable sample: in float64 against differences, to the second order where an op declares it, from
// contiguous and from strided inputs; in the other floating dtypes against float64.
import { gradients, type AnyTensor, type DType } from '../../lib/index';
import { gradcheck } from '../../lib/autograd/gradcheck';
import { isFloat } from '../../lib/tensor/dtype';
import { Draw, expectClose, list, plain, strided, titleOf, toleranceOf, type Sample } from './sample';
import { samples, samplesByOp } from './samples';

const differentiable = (sample: Sample): boolean => sample.order > 0 && sample.dtypes.includes('float64');

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

describe.each([...samplesByOp].filter(([, list]) => list.some(differentiable)))('%s', (_, list) => {
  test.each(list.filter(differentiable).map((sample) => [sample.variant, sample] as const))(
    '%s',
    (_variant, sample) => {
      const inputs = leavesOf(sample.inputs(new Draw(titleOf(sample)), 'float64'));
      const order = sample.order as 1 | 2;
      gradcheck(sample.call, inputs, { order });
      if (sample.fixedLayout !== true && inputs.some(({ rank }) => rank > 0)) {
        gradcheck((...xs) => sample.call(...xs.map((x) => strided(x))), inputs);
      }
      const lower = sample.dtypes.filter((dtype) => isFloat(dtype) && dtype !== 'float64');
      for (const dtype of lower) compareWithFloat64(sample, dtype);
    },
  );
});

function compareWithFloat64(sample: Sample, dtype: DType): void {
  const inputs = sample.inputs(new Draw(titleOf(sample)), dtype);
  const got = gradientsOf(sample, inputs);
  const expected = gradientsOf(
    sample,
    inputs.map((input) => (isFloat(input.dtype) ? input.cast('float64') : input)),
  );
  // A gradient rule is a handful of rounded steps, and sums over broadcast axes.
  const { rtol, atol } = toleranceOf(sample, dtype);
  const tolerance = { rtol: 8 * rtol, atol: Math.max(8 * rtol, 8 * atol) };
  got.forEach((gradient, i) => {
    expect(gradient.dtype).toBe(dtype);
    expectClose(plain(gradient), plain(expected[i]!), tolerance, `${titleOf(sample)}: gradient ${i} in ${dtype}`);
  });
}

test('how much is checked', () => {
  const first = samples.filter(differentiable);
  const second = first.filter(({ order }) => order === 2);
  process.stdout.write(`gradcheck: ${first.length} samples, ${second.length} of them to the second order\n`);
  expect(first.length).toBeGreaterThan(300);
  expect(second.length).toBeGreaterThan(290);
});
