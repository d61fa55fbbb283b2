import {
  avgPool2d,
  bceWithLogits,
  cat,
  clamp,
  conv2d,
  crossEntropy,
  embedding,
  eye,
  feedForward,
  linearCrossEntropy,
  layerNorm,
  linear,
  maxPool2d,
  maxPool2dWithIndices,
  mseLoss,
  scaledDotProductAttention,
  split,
  stack,
  zeros,
  type AnyTensor,
  type Shape,
  type Tensor,
} from 'hadal';
import { expectType } from './expect';

declare const n: number;
declare const anyShape: Tensor;
declare const anything: AnyTensor;
declare const padding: 'same' | 'valid';

// Pieces of an axis.
expectType<Tensor<[3, 4]>>().of(zeros([10, 4]).slice(0, 2, 5));
expectType<Tensor<[10, 3]>>().of(zeros([10, 4]).slice(-1, 1));
expectType<Tensor<[8, 4]>>().of(zeros([10, 4]).slice(0, 0, -2));
expectType<Tensor<[number, 4]>>().of(zeros([10, 4]).slice(0, 0, 9, 2));
expectType<Tensor<[number, 4]>>().of(zeros([10, 4]).slice(0, n));
expectType<Tensor>().of(anyShape.slice(0, 1));
expectType<Tensor<[10, 2]>>().of(zeros([10, 4]).narrow(1, n, 2));
expectType<Tensor<[4]>>().of(zeros([10, 4]).select(0, -1));
expectType<Tensor<[10]>>().of(zeros([10, 4]).select(1, n));
expectType<Tensor<[number, 4]>[]>().of(zeros([10, 4]).split(3));
expectType<[Tensor<[10, 1]>, Tensor<[10, 3]>]>().of(zeros([10, 4]).split([1, 3], 1));
expectType<[Tensor<[1]>, Tensor<[2]>]>().of(split(zeros([3]), [1, 2]));
expectType<Tensor<[number, 4]>[]>().of(zeros([10, 4]).chunk(3));
expectType<Tensor<[10]>[]>().of(zeros([10, 4]).unbind(-1));
zeros([10, 4]).slice(2, 0, 1); // error: "slice: axis 2 out of range for shape [10, 4]"
zeros([10, 4]).narrow(-3, 0, 1); // error: "narrow: axis -3 out of range for shape [10, 4]"
zeros([10, 4]).select(0, 10); // error: "select: index 10 out of range for axis 0 of shape [10, 4]"
zeros([10, 4]).select(2, 0); // error: "select: axis 2 out of range for shape [10, 4]"
zeros([10, 4]).split(2, 3); // error: "split: axis 3 out of range for shape [10, 4]"
zeros([10, 4]).unbind(2); // error: "unbind: axis 2 out of range for shape [10, 4]"

// Axes made and merged.
expectType<Tensor<[1, 2, 3]>>().of(zeros([2, 3]).unsqueeze(0));
expectType<Tensor<[2, 3, 1]>>().of(zeros([2, 3]).unsqueeze(-1));
expectType<Tensor<[32, 784]>>().of(zeros([32, 1, 28, 28]).flatten(1));
expectType<Tensor<[24]>>().of(zeros([2, 3, 4]).flatten());
expectType<Tensor<[6, 4]>>().of(zeros([2, 3, 4]).flatten(0, 1));
expectType<Tensor<[1]>>().of(zeros([]).flatten());
zeros([2, 3]).unsqueeze(3); // error: "unsqueeze: axis 3 out of range for shape [2, 3]"

// Tensors joined.
expectType<Tensor<[5, 4]>>().of(cat([zeros([2, 4]), zeros([3, 4])]));
expectType<Tensor<[2, 7]>>().of(cat([zeros([2, 4]), zeros([n, 3])], 1));
expectType<Tensor<[3], 'float64'>>().of(cat([zeros([1], { dtype: 'float64' }), zeros([2])]));
expectType<Tensor<[2, 2, 4]>>().of(stack([zeros([2, 4]), zeros([2, 4])]));
expectType<Tensor<[2, 4, 3]>>().of(stack([zeros([2, 4]), zeros([2, 4]), zeros([2, 4])], -1));
expectType<AnyTensor>().of(cat([anything, anything]));
cat([zeros([2, 4]), zeros([3, 5])]); // error: "cat: tensors[1] does not fit along axis 0: got shape [3, 5], expected [2, 4] except at that axis"
stack([zeros([2]), zeros([3])]); // error: "stack: tensors[1] has another shape: got [3], expected [2]"

// Convolution and pooling.
const images = zeros([8, 3, 32, 32]);
expectType<Tensor<[8, 16, 30, 30]>>().of(images.conv2d(zeros([16, 3, 3, 3])));
expectType<Tensor<[8, 16, 16, 16]>>().of(images.conv2d(zeros([16, 3, 3, 3]), zeros([16]), { stride: 2, padding: 1 }));
expectType<Tensor<[8, 16, 32, 32]>>().of(conv2d(images, zeros([16, 3, 5, 5]), undefined, { padding: 'same' }));
expectType<Tensor<[8, 16, 28, 28]>>().of(conv2d(images, zeros([16, 3, 5, 5]), undefined, { padding: 'valid' }));
expectType<Tensor<[8, 16, 28, 30]>>().of(images.conv2d(zeros([16, 3, 3, 3]), undefined, { dilation: [2, 1] }));
expectType<Tensor<[8, 6, 30, 30]>>().of(images.conv2d(zeros([6, 1, 3, 3]), undefined, { groups: 3 }));
expectType<Tensor<[number, 16, 30, 30]>>().of(zeros([n, 3, 32, 32]).conv2d(zeros([16, 3, 3, 3])));
expectType<Tensor>().of(anyShape.conv2d(zeros([16, 3, 3, 3])));
export const either: Tensor<[8, 16, number, number]> = conv2d(images, zeros([16, 3, 5, 5]), undefined, { padding });
images.conv2d(zeros([16, 4, 3, 3])); // error: "conv2d: channels differ: 3 vs 4"
images.conv2d(zeros([16, 3, 3, 3]), undefined, { groups: 3 }); // error: "conv2d: channels differ: 3 vs 9"
expectType<Tensor<[8, 3, 16, 16]>>().of(images.maxPool2d(2));
expectType<Tensor<[8, 3, 16, 16]>>().of(maxPool2d(images, 3, { stride: 2, padding: 1 }));
expectType<Tensor<[3, 16, 10]>>().of(avgPool2d(zeros([3, 32, 32]), [2, 3]));
expectType<Tensor<[8, 3, number, number]>>().of(images.avgPool2d(3, { stride: 2, ceilMode: true }));
expectType<[Tensor<[8, 3, 16, 16]>, Tensor<[8, 3, 16, 16], 'int64'>]>().of(maxPool2dWithIndices(images, 2));
maxPool2d(zeros([4, 4]), 2); // error: "maxPool2d: wrong rank: got shape [4, 4], expected [n, c, h, w] or [c, h, w]"
zeros([4, 4]).avgPool2d(2); // error: "avgPool2d: wrong rank: got shape [4, 4], expected [n, c, h, w] or [c, h, w]"

expectType<Tensor<[2, 2], 'bool'>>().of(eye(2, { dtype: 'bool' }));
expectType<Tensor<[2, 3]>>().of(eye(2, 3));

// Indexing and statistics.
const cube = zeros([2, 3, 4]);
expectType<Tensor<[3, 4]>>().of(cube.at(0));
expectType<Tensor<[2, 1, number]>>().of(cube.at(':', null, 0, '1:'));
expectType<Tensor<[2, number, 4]>>().of(cube.at(':', { start: 1 }));
expectType<Tensor<[3, 4]>>().of(cube.at(-1, '...'));
expectType<Tensor>().of(cube.at('...', 0));
expectType<Tensor>().of(cube.at(zeros([2], { dtype: 'int64' })));
expectType<Promise<Tensor>>().of(cube.at(zeros([2], { dtype: 'bool' })));
expectType<Tensor>().of(cube.atSync(zeros([2], { dtype: 'bool' })));
expectType<Tensor<[2, 3, 4]>>().of(cube.setAt([0], 1));
cube.setAt([0], true); // error: "setAt: value: got boolean, expected what float32 holds"
expectType<Tensor<[3, 4], 'bool'>>().of(cube.at(0).greater(0).setAt([0], true).maskedFill(cube.at(0).less(0), false));
expectType<AnyTensor>().of(anything.setAt([0], true).maskedFill(anything, false).indexFill(0, anything, true));
cube.at(zeros([2])); // error: not assignable
expectType<Tensor<[2, 4]>>().of(cube.norm(1));
expectType<Tensor<[1, 1, 1]>>().of(cube.norm(undefined, { p: 1, keepDims: true }));
cube.norm(3); // error: "norm: axis 3 out of range for shape [2, 3, 4]"
expectType<Tensor<[2, 3], 'int64'>>().of(cube.countNonzero(-1));
expectType<Tensor<[]>>().of(cube.median());
expectType<Tensor<[3, 4]>>().of(cube.quantile(0.5, 0));
expectType<[Tensor<[2, 3]>, Tensor<[2, 3], 'int64'>]>().of(cube.kthValue(1));
expectType<Tensor<[6, 4]>>().of(cube.view([6, -1]));
cube.view([5, 5]); // error: "view: number of elements differs: got shape [2, 3, 4] with 24, expected [5, 5] with 25"
expectType<Tensor<[2, 3, 4], 'int64'>>().of(cube.bucketize(zeros([3])));

// Layers.
expectType<Tensor<[32, 10]>>().of(linear(zeros([32, 784]), zeros([10, 784]), zeros([10])));
expectType<Tensor<[2, 5, 10]>>().of(linear(zeros([2, 5, 784]), zeros([10, 784])));
linear(zeros([32, 784]), zeros([10, 700])); // error: "linear: inner sizes differ: 784 vs 700"
expectType<Tensor<[2, 5, 8]>>().of(
  feedForward(zeros([2, 5, 4]), zeros([16, 4]), zeros([16]), zeros([8, 16]), undefined),
);
feedForward(zeros([5, 4]), zeros([16, 3]), undefined, zeros([8, 16]), undefined); // error: "feedForward: inner sizes differ: 4 vs 3"
feedForward(zeros([5, 4]), zeros([16, 4]), undefined, zeros([8, 15]), undefined); // error: "feedForward: inner sizes differ: 16 vs 15"
expectType<Tensor<[2, 5, 16]>>().of(layerNorm(zeros([2, 5, 16]), 16));
expectType<Tensor<[2, 5, 16]>>().of(layerNorm(zeros([2, 5, 16]), [5, 16]));
layerNorm(zeros([2, 5, 16]), 15); // error: "layerNorm: shape is not the end of the input's: got [15], expected the last axes of [2, 5, 16]"
expectType<Tensor<[2, 7, 64]>>().of(embedding(zeros([100, 64]), zeros([2, 7], { dtype: 'int32' })));
embedding(zeros([100, 64]), zeros([2, 7])); // error: "embedding: index: got dtype float32, expected int32 or int64"
expectType<Tensor<[2, 1]>>().of(zeros([2, 5]).gather(1, zeros([2, 1], { dtype: 'int64' })));
zeros([2, 5]).gather(1, zeros([2, 1])); // error: "gather: index: got dtype float32, expected int32 or int64"
zeros([2, 5]).gather(2, zeros([2, 1], { dtype: 'int64' })); // error: "gather: axis 2 out of range for shape [2, 5]"
const queries = zeros([2, 8, 16, 64]);
expectType<Tensor<[2, 8, 16, 32]>>().of(scaledDotProductAttention(queries, queries, zeros([2, 8, 16, 32])));
scaledDotProductAttention(queries, zeros([2, 8, 16, 32]), queries); // error: "scaledDotProductAttention: shapes do not fit: q [2, 8, 16, 64], k [2, 8, 16, 32], v [2, 8, 16, 64]"

// Losses.
const logits = zeros([32, 10]);
const classes = zeros([32], { dtype: 'int32' });
expectType<Tensor<[]>>().of(crossEntropy(logits, classes));
expectType<Tensor<[32]>>().of(crossEntropy(logits, classes, { reduction: 'none' }));
expectType<Tensor<[]>>().of(linearCrossEntropy(zeros([32, 8]), zeros([10, 8]), classes));
expectType<Tensor<[32]>>().of(linearCrossEntropy(zeros([32, 8]), zeros([10, 8]), classes, { reduction: 'none' }));
linearCrossEntropy(zeros([32, 8]), zeros([10, 7]), classes); // error: "linearCrossEntropy: inner sizes differ: 8 vs 7"
expectType<Tensor<[]>>().of(crossEntropy(logits, zeros([32, 10])));
expectType<Tensor<[8, 4, 4]>>().of(
  crossEntropy(zeros([8, 10, 4, 4]), zeros([8, 4, 4], { dtype: 'int64' }), { reduction: 'none' }),
);
crossEntropy(logits, zeros([31], { dtype: 'int32' })); // error: "crossEntropy: target does not fit: got shape [31] for logits [32, 10], expected [32]"
expectType<Tensor<[]>>().of(mseLoss(zeros([3, 2]), zeros([3, 2])));
expectType<Tensor<[3, 2]>>().of(bceWithLogits(zeros([3, 2]), zeros([3, 2]), { reduction: 'none' }));
mseLoss(zeros([3, 2]), zeros([3, 1])); // error: "mseLoss: shapes differ: got input [3, 2] and target [3, 1], expected one shape"

// Nothing is rejected where the dtypes are not known.
expectType<Tensor<Shape>>().of(zeros([2, 5]).gather(1, anything));
expectType<Tensor<[2, 1]>>().of(zeros([2, 5]).gather(1, zeros([2, 1]) as Tensor<[2, 1], 'int32' | 'float32'>));
expectType<Tensor<Shape>>().of(embedding(zeros([100, 64]), anything));
expectType<Tensor<[2, 5]>>().of(zeros([2, 5]).scatterAdd(1, anything, anything).indexAdd(0, anything, anything));
expectType<Tensor<[2, 5]>>().of(zeros([2, 5]).maskedFill(anything, 0).setAt([anything], 1));
zeros([2, 5]).maskedFill(zeros([2, 5]), 0); // error: "maskedFill: mask: got dtype float32, expected bool"

// Nothing is rejected where the shapes are not known.
export function classify(x: Tensor<Shape>, w: Tensor<Shape>, target: Tensor<Shape, 'int64'>): Tensor {
  const y: Tensor = linear(x.conv2d(w).maxPool2d(2).flatten(1), w);
  return crossEntropy(layerNorm(y, y.shape).slice(0, 1).unsqueeze(0).select(0, 0), target) as Tensor;
}

// Bounds take part in the shape and the dtype.
expectType<Tensor<[2, 3], 'float64'>>().of(clamp(zeros([2, 1]), zeros([3], { dtype: 'float64' })));
expectType<Tensor<[2], 'float32'>>().of(zeros([2]).clamp(undefined, zeros([2])));
expectType<Tensor<[2], 'int32'>>().of(zeros([2], { dtype: 'int32' }).clamp(0, 5));
