// Resampling, sampling, pooling with places, and boxes.
import {
  adaptiveAvgPool2d,
  adaptiveMaxPool2dWithIndices,
  affineGrid,
  boxIou,
  gridSample,
  interpolate,
  maxPool1d,
  maxPool2dWithIndices,
  maxUnpool2d,
  nonMaxSuppressionSync,
  roiAlign,
  zeros,
  type AnyTensor,
  type Tensor,
} from 'hadal';
import { expectType } from './expect';

declare const n: number;
declare const anyShape: Tensor;
declare const anything: AnyTensor;
const image = zeros([2, 3, 8, 6]);

expectType<Tensor<[2, 3, 16, 12]>>().of(interpolate(image, { size: [16, 12] }));
expectType<Tensor<[2, 3, 5, 5]>>().of(interpolate(image, { size: 5, mode: 'bilinear' }));
expectType<Tensor<[2, 3, number, number]>>().of(interpolate(image, { scaleFactor: 2 }));
expectType<Tensor<[2, 3, number]>>().of(interpolate(zeros([2, 3, 8]), { scaleFactor: [2] }));
expectType<Tensor>().of(interpolate(anyShape, { size: 5 }));
interpolate(zeros([3, 8]), { size: 5 }); // error: "interpolate: wrong rank: got shape [3, 8], expected [n, c, …] with one to three axes more"
interpolate(image, { size: 5, mode: 'cubic' }); // error: not assignable

expectType<Tensor<[2, 3, 1, 1]>>().of(adaptiveAvgPool2d(image, 1));
expectType<Tensor<[2, 3, 4, 6]>>().of(adaptiveAvgPool2d(image, [4, null]));
expectType<Tensor<[2, 3, 3, 3], 'int64'>>().of(adaptiveMaxPool2dWithIndices(image, 3)[1]);
expectType<Tensor>().of(adaptiveAvgPool2d(anyShape, 1));
adaptiveAvgPool2d(zeros([3, 8]), 1); // error: "adaptiveAvgPool2d: wrong rank: got shape [3, 8], expected [n, c, h, w] or [c, h, w]"

expectType<Tensor<[2, 3, 4, 5]>>().of(gridSample(image, zeros([2, 4, 5, 2])));
expectType<Tensor<[2, 3, 4, 5, 6]>>().of(gridSample(zeros([2, 3, 7, 8, 9]), zeros([2, 4, 5, 6, 3])));
expectType<Tensor<[2, 3, number, number], 'float64'>>().of(
  image.gridSample(zeros([2, n, n, 2], { dtype: 'float64' }), { padding: 'border' }),
);
expectType<Tensor>().of(gridSample(image, anyShape));
expectType<Tensor<[2, 3, 4, 6]>>().of(gridSample(image, affineGrid(zeros([2, 2, 3]), [2, 3, 4, 6])));
expectType<Tensor<[2, 4, 6, 2]>>().of(affineGrid(zeros([2, 2, 3]), [2, 3, 4, 6]));
gridSample(image, zeros([2, 4, 5, 3])); // error: "gridSample: grid does not fit: got shape [2, 4, 5, 3] for x [2, 3, 8, 6], expected [n, …, axes] of its rank and batch"
gridSample(image, zeros([1, 4, 5, 2])); // error: "gridSample: grid does not fit: got shape [1, 4, 5, 2] for x [2, 3, 8, 6]
gridSample(zeros([3, 8, 6]), zeros([3, 8, 2])); // error: "gridSample: wrong rank: got shape [3, 8, 6], expected [n, c, h, w] or [n, c, d, h, w]"

const [values, indices] = maxPool2dWithIndices(image, 2);
expectType<Tensor<[2, 3, 8, 6]>>().of(maxUnpool2d(values, indices, 2));
expectType<Tensor<[2, 3, 9, 7]>>().of(maxUnpool2d(zeros([2, 3, 4, 3]), indices, 3, { stride: 2 }));
expectType<Tensor<[2, 3, number, number]>>().of(maxUnpool2d(values, indices, 2, { outputSize: [9, 6] }));
maxUnpool2d(zeros([4, 4]), indices, 2); // error: "maxUnpool2d: wrong rank: got shape [4, 4], expected [n, c, h, w] or [c, h, w]"
maxPool1d(zeros([4]), 2); // error: "maxPool1d: wrong rank: got shape [4], expected [n, c, length] or [c, length]"

expectType<Tensor<[5, 3, 7, 7]>>().of(roiAlign(image, zeros([5, 5]), { outputSize: 7 }));
expectType<Tensor<[number, 3, 2, 4]>>().of(roiAlign(image, [zeros([1, 4]), zeros([2, 4])], { outputSize: [2, 4] }));
roiAlign(image, zeros([5, 4])); // error: No overload matches this call
expectType<Tensor<[4, 6]>>().of(boxIou(zeros([4, 4]), zeros([6, 4])));
boxIou(zeros([4, 5]), zeros([6, 4])); // error: "boxIou: boxes: got shape [4, 5], expected [k, 4]"
expectType<Tensor<[number], 'int64'>>().of(nonMaxSuppressionSync(zeros([9, 4]), zeros([9])));
nonMaxSuppressionSync(zeros([9]), zeros([9])); // error: "nonMaxSuppression: boxes: got shape [9], expected [k, 4]"
export const unchecked = [roiAlign(image, anything), nonMaxSuppressionSync(anyShape, anyShape)];
