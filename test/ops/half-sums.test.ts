// Sums of many 16-bit floats where they meet: rounded once. Added one by one they would stay at 256 (bfloat16) or 2048 (float16).
import * as hadal from '../../lib/index';
import { ones, tensor, zeros, type AnyTensor } from '../../lib/index';
import { describeOnDevices } from '../devices';

const count = 5000;
/** What 5000 is rounded to. */
const rounded = { bfloat16: 4992, float16: 5000 } as const;
type Half = keyof typeof rounded;

const places = (): AnyTensor => zeros([count], { dtype: 'int64' }) as AnyTensor;
const gradient = (f: (x: AnyTensor) => AnyTensor, dtype: Half): AnyTensor => {
  const x = ones([1, 2], { dtype }).requiresGrad_() as AnyTensor;
  return hadal.gradients([f(x).sum()], [x])[0] as AnyTensor;
};
const rows = (dtype: Half): AnyTensor => ones([count, 2], { dtype }) as AnyTensor;
const perElement = (): AnyTensor => places().unsqueeze(1).expand([count, 2]) as AnyTensor;

const sums: Readonly<Record<string, (dtype: Half) => AnyTensor>> = {
  scatterAdd: (dtype) => zeros([1, 2], { dtype }).scatterAdd(0, perElement() as never, rows(dtype)) as AnyTensor,
  'scatterAdd to every other element': (dtype) =>
    (zeros([1, 4], { dtype }).slice(1, 0, 4, 2) as AnyTensor).scatterAdd(
      0,
      perElement() as never,
      rows(dtype),
    ) as AnyTensor,
  indexAdd: (dtype) => zeros([1, 2], { dtype }).indexAdd(0, places() as never, rows(dtype)) as AnyTensor,
  segmentSum: (dtype) => hadal.segmentSum(rows(dtype), places() as never, 1) as AnyTensor,
  embeddingBag: (dtype) =>
    hadal.embeddingBag(ones([1, 2], { dtype }), places(), { offsets: tensor([0], { dtype: 'int64' }), mode: 'sum' }),
  'the gradient of gather': (dtype) => gradient((x) => x.gather(0, perElement() as never) as AnyTensor, dtype),
  'the gradient of indexSelect': (dtype) => gradient((x) => x.indexSelect(0, places() as never) as AnyTensor, dtype),
  'the gradient of embedding': (dtype) => gradient((x) => hadal.embedding(x, places()) as AnyTensor, dtype),
};

describeOnDevices(() => {
  test.each(
    Object.keys(sums).flatMap((name) => (['bfloat16', 'float16'] as const).map((dtype) => [name, dtype] as const)),
  )('%s in %s', (name, dtype) =>
    expect([...sums[name]!(dtype).cast('float32').dataSync()]).toEqual([rounded[dtype], rounded[dtype]]),
  );

  test.each(['bfloat16', 'float16'] as const)('means, products and frames in %s', (dtype) => {
    const mean = hadal.segmentMean(rows(dtype), places() as never, 1) as AnyTensor;
    expect([...mean.cast('float32').dataSync()]).toEqual([1, 1]);
    const frames = hadal.overlapAdd(ones([600, 600], { dtype }), 1) as AnyTensor;
    expect([...frames.narrow(0, 599, 1).cast('float32').dataSync()]).toEqual([600]);
    // 1.0078125 (1 + 2⁻⁷) to the 256th power, which has no exact factor in 16 bits.
    const factors = ones([256], { dtype }).mul(1 + 2 ** -7) as AnyTensor;
    const product = hadal.scatterReduce(
      ones([1], { dtype }),
      0,
      zeros([256], { dtype: 'int64' }) as never,
      factors as never,
      'prod',
    );
    expect(Math.abs(product.cast('float64').itemSync() / (1 + 2 ** -7) ** 256 - 1)).toBeLessThan(2 ** -8);
  });
});
