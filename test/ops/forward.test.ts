// Every sample in every dtype on every device against its reference, from contiguous and from strided inputs, as function and as method.
import { clamp, lerp, Tensor, where } from '../../lib/index';
import { describeOnDevices } from '../devices';
import { checkForward } from './check-sample';
import { Draw, plain } from './sample';
import { samplesByOp } from './samples';
import { samples as pointwise } from './samples/pointwise';

describeOnDevices(() => {
  describe.each([...samplesByOp])('%s', (_, samples) => {
    test.each(samples.map((sample) => [sample.variant, sample] as const))('%s', (_variant, sample) => {
      for (const dtype of sample.dtypes) checkForward(sample, dtype);
    });
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
