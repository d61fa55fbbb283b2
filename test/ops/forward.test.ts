// Every sample in every dtype against its reference, from contiguous and from strided inputs, as function and as method.
import { clamp, lerp, Tensor, where, type DType } from '../../lib/index';
import { Draw, expectClose, list, plain, strided, titleOf, toleranceOf, type Plain, type Sample } from './sample';
import { samplesByOp } from './samples';
import { samples as pointwise } from './samples/pointwise';

/** The reference rounded as a store into `dtype` does, so that overflow compares equal. */
const stored = ({ shape, values }: Plain, dtype: DType): Plain =>
  dtype === 'float32' ? { shape, values: values.map(Math.fround) } : { shape, values };

function check(sample: Sample, dtype: DType): void {
  const inputs = sample.inputs(new Draw(titleOf(sample)), dtype);
  const results = list(sample.call(...inputs));
  const what = `${titleOf(sample)} in ${dtype}`;
  const expectedDType = sample.result?.(dtype) ?? dtype;
  if (results[0]!.dtype !== expectedDType) {
    throw new Error(`${what}: got a result of ${results[0]!.dtype}, expected ${expectedDType}`);
  }
  const got = results.map(plain);
  if (sample.reference) {
    const expected = list(sample.reference(...inputs.map(plain)));
    expected.forEach((reference, i) => {
      const tolerance = toleranceOf(sample, results[i]!.dtype);
      expectClose(got[i]!, stored(reference, results[i]!.dtype), tolerance, `${what}, result ${i}`);
    });
  }
  if (sample.fixedLayout !== true && inputs.some(({ rank }) => rank > 0)) {
    const turned = list(sample.call(...inputs.map((input) => strided(input)))).map(plain);
    turned.forEach((result, i) => {
      expectClose(result, got[i]!, toleranceOf(sample, results[i]!.dtype), `${what}, strided, result ${i}`);
    });
  }
}

describe.each([...samplesByOp])('%s', (_, samples) => {
  test.each(samples.map((sample) => [sample.variant, sample] as const))('%s', (_variant, sample) => {
    for (const dtype of sample.dtypes) check(sample, dtype);
  });
});

test('every pointwise op is a method too', () => {
  const functions = pointwise.map(({ op }) => op).filter((op) => typeof Tensor.prototype[op as 'add'] !== 'function');
  expect(functions).toEqual([]);
  const x = new Draw('methods').tensor([4], 'float32', 0.2, 0.8);
  expect(plain(x.lerp(2, 0.5))).toEqual(plain(lerp(x, 2, 0.5)));
  expect(plain(x.clamp(0.3, 0.6))).toEqual(plain(clamp(x, 0.3, 0.6)));
  expect(plain(x.where(x.less(0.5), 1))).toEqual(plain(where(x.less(0.5), x, 1)));
});
