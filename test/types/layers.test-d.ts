import type {
  Attention,
  AttentionCheck,
  ChannelCheck,
  Conv2d,
  Conv2dCheck,
  CrossEntropyCheck,
  Embedding,
  EndCheck,
  ImageCheck,
  Linear,
  LinearCheck,
  Loss,
  MatMul,
  MatMulCheck,
  OneHot,
  Pool2d,
  Targets,
} from '../../lib/tensor/layer-shape-types';
import type { Good, Shape } from '../../lib/tensor/shape-types';
import { demand, type Equal, type Expect } from './expect';

export type Products = [
  Expect<Equal<MatMul<[32, 784], [784, 10]>, [32, 10]>>,
  Expect<Equal<MatMul<[5, 2, 3], [3, 4]>, [5, 2, 4]>>,
  Expect<Equal<MatMul<[2, 3], [5, 3, 4]>, [5, 2, 4]>>,
  Expect<Equal<MatMul<[7, 1, 2, 3], [5, 3, 4]>, [7, 5, 2, 4]>>,
  Expect<Equal<MatMul<[3], [3]>, []>>,
  Expect<Equal<MatMul<[3], [3, 4]>, [4]>>,
  Expect<Equal<MatMul<[3], [5, 3, 4]>, [5, 4]>>,
  Expect<Equal<MatMul<[2, 3], [3]>, [2]>>,
  Expect<Equal<MatMul<[5, 2, 3], [3]>, [5, 2]>>,
  Expect<Equal<MatMul<[number, 784], [784, 10]>, [number, 10]>>,
  Expect<Equal<MatMul<Shape, [784, 10]>, Shape>>,
  Expect<Equal<MatMul<[32, 784], Shape>, Shape>>,
  Expect<Equal<MatMulCheck<[32, 784], [784, 10]>, Good>>,
  Expect<Equal<MatMulCheck<[32, number], [784, 10]>, Good>>,
  Expect<Equal<MatMulCheck<[5, 2, 3], [1, 3, 4]>, Good>>,
  Expect<Equal<MatMulCheck<[3], [5, 3, 4]>, Good>>,
  Expect<Equal<MatMulCheck<Shape, [784, 10]>, Good>>,
  Expect<Equal<MatMulCheck<[784, 10], Shape>, Good>>,
  Expect<Equal<Linear<[32, 784], 10>, [32, 10]>>,
  Expect<Equal<Linear<[784], 10>, [10]>>,
  Expect<Equal<Linear<[4, number, 8], 16>, [4, number, 16]>>,
  Expect<Equal<Linear<Shape, 10>, Shape>>,
  Expect<Equal<LinearCheck<[32, 784], 784>, Good>>,
  Expect<Equal<LinearCheck<[32, number], 784>, Good>>,
  Expect<Equal<LinearCheck<[32, 784], number>, Good>>,
  Expect<Equal<LinearCheck<Shape, 784>, Good>>,
];
demand<MatMulCheck<[32, 784], [700, 10]>>(0); // error: "matmul: inner sizes differ: 784 vs 700"
demand<MatMulCheck<[3], [4, 2]>>(0); // error: "matmul: inner sizes differ: 3 vs 4"
demand<MatMulCheck<[2, 3], [2]>>(0); // error: "matmul: inner sizes differ: 3 vs 2"
demand<MatMulCheck<[4, 2, 3], [5, 3, 2]>>(0); // error: "matmul: shapes [4] and [5] do not broadcast: 4 vs 5 at axis -1"
demand<MatMulCheck<[], [5, 3]>>(0); // error: "matmul: no axes to multiply: got a [] · b [5, 3], expected at least vectors"
demand<MatMulCheck<[5, 3], []>>(0); // error: "matmul: no axes to multiply: got a [5, 3] · b [], expected at least vectors"
demand<LinearCheck<[32, 784], 700>>(0); // error: "linear: inner sizes differ: 784 vs 700"

export type Images = [
  Expect<Equal<Conv2d<[32, 1, 28, 28], 8, 5>, [32, 8, 24, 24]>>,
  Expect<Equal<Conv2d<[32, 1, 28, 28], 8, 3, 1, 1>, [32, 8, 28, 28]>>,
  Expect<Equal<Conv2d<[32, 1, 28, 28], 8, 3, 2, 1>, [32, 8, 14, 14]>>,
  Expect<Equal<Conv2d<[32, 3, 224, 224], 64, 7, 2, 3>, [32, 64, 112, 112]>>,
  Expect<Equal<Conv2d<[1, 3, 20, 30], 4, [3, 5], [1, 2], [0, 2]>, [1, 4, 18, 15]>>,
  Expect<Equal<Conv2d<[1, 3, 20, 20], 4, 3, 1, 0, 2>, [1, 4, 16, 16]>>,
  Expect<Equal<Conv2d<[number, 3, number, 20], 4, 3>, [number, 4, number, 18]>>,
  Expect<Equal<Conv2d<[1, 3, 20, 20], number, number>, [1, number, number, number]>>,
  Expect<Equal<Conv2d<[1, 3, 20, 20], 4, 3, number>, [1, 4, number, number]>>,
  Expect<Equal<Conv2d<[3, 20, 20], 4, 3>, [4, 18, 18]>>,
  Expect<Equal<Conv2d<Shape, 4, 3>, Shape>>,
  Expect<Equal<Conv2dCheck<[32, 3, 28, 28], 3>, Good>>,
  Expect<Equal<Conv2dCheck<[32, number, 28, 28], 3>, Good>>,
  Expect<Equal<Conv2dCheck<[32, 3, 28, 28], number>, Good>>,
  Expect<Equal<Conv2dCheck<Shape, 3>, Good>>,
  Expect<Equal<Pool2d<[32, 8, 24, 24], 2>, [32, 8, 12, 12]>>,
  Expect<Equal<Pool2d<[32, 8, 25, 25], 2>, [32, 8, 12, 12]>>,
  Expect<Equal<Pool2d<[32, 8, 24, 24], 3, 2, 1>, [32, 8, 12, 12]>>,
  Expect<Equal<Pool2d<[32, 8, 24, 24], [2, 4]>, [32, 8, 12, 6]>>,
  Expect<Equal<Pool2d<[number, 8, 24, 24], 2>, [number, 8, 12, 12]>>,
  Expect<Equal<Pool2d<Shape, 2>, Shape>>,
  Expect<Equal<ImageCheck<[32, 8, 24, 24], 'maxPool2d'>, Good>>,
  Expect<Equal<ImageCheck<Shape, 'maxPool2d'>, Good>>,
  Expect<Equal<ChannelCheck<[32, 8, 24, 24], 8, 'batchNorm'>, Good>>,
  Expect<Equal<ChannelCheck<[32, number], 8, 'batchNorm'>, Good>>,
  Expect<Equal<ChannelCheck<Shape, 8, 'batchNorm'>, Good>>,
];
demand<Conv2dCheck<[32, 3, 28, 28], 1>>(0); // error: "conv2d: channels differ: 3 vs 1"
demand<ImageCheck<[28], 'maxPool2d'>>(0); // error: "maxPool2d: wrong rank: got shape [28], expected [n, c, h, w] or [c, h, w]"
demand<ChannelCheck<[32, 8], 4, 'batchNorm'>>(0); // error: "batchNorm: channels differ: 8 vs 4"

export type Others = [
  Expect<Equal<Embedding<[4, 16], 384>, [4, 16, 384]>>,
  Expect<Equal<Embedding<[number], 384>, [number, 384]>>,
  Expect<Equal<Embedding<Shape, 384>, Shape>>,
  Expect<Equal<OneHot<[4], 10>, [4, 10]>>,
  Expect<Equal<EndCheck<[4, 16, 384], [384]>, Good>>,
  Expect<Equal<EndCheck<[4, 16, 384], [16, 384]>, Good>>,
  Expect<Equal<EndCheck<[4, number], [384]>, Good>>,
  Expect<Equal<EndCheck<[4, 384], number[]>, Good>>,
  Expect<Equal<EndCheck<Shape, [384]>, Good>>,
  Expect<Equal<Attention<[8, 6, 256, 64], [8, 6, 100, 32]>, [8, 6, 256, 32]>>,
  Expect<Equal<Attention<Shape, [8, 6, 100, 32]>, Shape>>,
  Expect<Equal<AttentionCheck<[8, 6, 256, 64], [8, 6, 100, 64], [8, 6, 100, 32]>, Good>>,
  Expect<Equal<AttentionCheck<[8, 6, 256, 64], [8, 6, number, 64], Shape>, Good>>,
  Expect<Equal<Loss<[32]>, []>>,
  Expect<Equal<Loss<[32], 'sum'>, []>>,
  Expect<Equal<Loss<[32], 'none'>, [32]>>,
  Expect<Equal<Loss<[32], 'mean' | 'none'>, [] | [32]>>,
  Expect<Equal<Targets<[32, 10]>, [32]>>,
  Expect<Equal<Targets<[10]>, []>>,
  Expect<Equal<Targets<[8, 21, 64, 64]>, [8, 64, 64]>>,
  Expect<Equal<CrossEntropyCheck<[32, 10], [32]>, Good>>,
  Expect<Equal<CrossEntropyCheck<[number, 10], [32]>, Good>>,
  Expect<Equal<CrossEntropyCheck<[32, 10], [32, 10]>, Good>>,
  Expect<Equal<CrossEntropyCheck<[32, 10], Shape>, Good>>,
  Expect<Equal<CrossEntropyCheck<Shape, [32]>, Good>>,
];
demand<EndCheck<[4, 16], [384]>>(0); // error: "layerNorm: shape is not the end of the input's: got [384], expected the last axes of [4, 16]"
demand<EndCheck<[384], [16, 384]>>(0); // error: "layerNorm: shape is not the end of the input's: got [16, 384], expected the last axes of [384]"
demand<EndCheck<[4, 15, 384], [16, 384]>>(0); // error: "layerNorm: shape is not the end of the input's: got [16, 384], expected the last axes of [4, 15, 384]"
demand<AttentionCheck<[2, 5, 64], [2, 9, 32], [2, 9, 32]>>(0); // error: "scaledDotProductAttention: shapes do not fit: q [2, 5, 64], k [2, 9, 32], v [2, 9, 32]"
demand<AttentionCheck<[2, 5, 64], [2, 9, 64], [2, 8, 64]>>(0); // error: "scaledDotProductAttention: shapes do not fit: q [2, 5, 64], k [2, 9, 64], v [2, 8, 64]"
demand<CrossEntropyCheck<[32, 10], [31]>>(0); // error: "crossEntropy: target does not fit: got shape [31] for logits [32, 10], expected [32]"
demand<CrossEntropyCheck<[32, 10], [32, 1]>>(0); // error: "crossEntropy: target does not fit: got shape [32, 1] for logits [32, 10], expected [32]"
demand<CrossEntropyCheck<[], []>>(0); // error: "crossEntropy: logits: got a scalar, expected [classes], [n, classes] or [n, classes, …]"
