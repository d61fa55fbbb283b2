// Linear algebra, recurrent networks, segments of graphs, losses, and what is composed of other ops.
import {
  addmm,
  bceLoss,
  cholesky,
  choleskyInverse,
  cond,
  corrcoef,
  cosineEmbeddingLoss,
  cov,
  cross,
  crossEntropy,
  csrFromCoo,
  ctcLoss,
  det,
  eig,
  eigh,
  eigvals,
  gru,
  huberLoss,
  inv,
  klDiv,
  logAddExp,
  unravelIndex,
  lstm,
  lu,
  luFactor,
  luSolve,
  marginRankingLoss,
  matrixNorm,
  matrixPower,
  mseLoss,
  nanMean,
  nllLoss,
  rnn,
  segmentMean,
  segmentSoftmax,
  segmentSum,
  slogdet,
  solve,
  spmm,
  svd,
  trace,
  vecdot,
  zeros,
  type AnyTensor,
  type LstmResult,
  type Tensor,
} from 'hadal';
import { expectType } from './expect';

declare const n: number;
declare const anyShape: Tensor;
const batch = zeros([5, 3, 3]);
const long = zeros([4], { dtype: 'int64' });

// Linear algebra.
expectType<Tensor<[5, 3, 3]>>().of(inv(batch));
expectType<Tensor<[5, 3, 3]>>().of(cholesky(batch, { upper: true }));
expectType<Tensor<[5]>>().of(det(batch));
expectType<Tensor<[]>>().of(slogdet(zeros([3, 3]))[0]);
expectType<Tensor<[5, 3]>>().of(eigh(batch)[0]);
expectType<Tensor<[5, 3]>>().of(svd(batch)[1]);
expectType<[Tensor<[5, 3, 3]>, Tensor<[5, 3, 3]>, Tensor<[5, 3, 3]>]>().of(lu(batch));
expectType<[Tensor<[4, 4]>, Tensor<[4, number]>, Tensor<[number, 2]>]>().of(zeros([4, 2]).lu());
expectType<[Tensor<[4, 2]>, Tensor<[number], 'int32'>]>().of(luFactor(zeros([4, 2])));
expectType<Tensor<[5, 3, 3]>>().of(choleskyInverse(batch));
expectType<[Tensor<[5, 3, 2]>, Tensor<[5, 3, 3, 2]>]>().of(eig(batch));
expectType<Tensor<[n: number, pair: 2], 'float64'>>().of(eigvals(zeros([n, n], { dtype: 'float64' })));
expectType<Tensor>().of(eigvals(anyShape));
expectType<Tensor<[5]>>().of(matrixNorm(batch));
expectType<Tensor<[1, 3, 1]>>().of(matrixNorm(zeros([2, 3, 4]), 'nuc', { axes: [0, 2], keepDims: true }));
expectType<Tensor<[5]>>().of(cond(zeros([5, 3, 4]), -2));
expectType<Tensor<[2, 4]>>().of(vecdot(zeros([2, 1, 3]), zeros([4, 3])));
expectType<Tensor<[3]>>().of(zeros([2, 3]).vecdot(zeros([2, 3]), { axis: 0 }));
expectType<Tensor<[number, number]>>().of(matrixPower(zeros([n, n]), 3));
expectType<Tensor<[5]>>().of(trace(batch));
expectType<Tensor>().of(inv(anyShape));
expectType<Tensor<[2, 4]>>().of(addmm(zeros([4]), zeros([2, 3]), zeros([3, 4])));
expectType<Tensor<[2, 4]>>().of(zeros([2, 4]).addmm(zeros([2, 3]), zeros([3, 4])));
expectType<Tensor<[7, 3]>>().of(cross(zeros([7, 3]), zeros([3])));
inv(zeros([5, 3, 4])); // error: "inv: not square: got x of shape [5, 3, 4], expected [..., n, n]"
det(zeros([3])); // error: "det: not square: got x of shape [3], expected [..., n, n]"
solve(zeros([3, 4]), zeros([3])); // error: "solve: not square: got x of shape [3, 4], expected [..., n, n]"
eig(zeros([3, 4])); // error: "eig: not square: got x of shape [3, 4], expected [..., n, n]"
choleskyInverse(zeros([3])); // error: "choleskyInverse: not square: got l of shape [3], expected [..., n, n]"
luSolve(zeros([3, 3]), zeros([3]), zeros([3])); // error: not assignable
matrixNorm(zeros([3])); // error: "matrixNorm: axis -2 out of range for shape [3]"
matrixNorm(zeros([3, 3]), 'max'); // error: not assignable
vecdot(zeros([2, 3]), zeros([4])); // error: "vecdot: shapes [2, 3] and [4] do not broadcast: 3 vs 4 at axis -1"
cross(zeros([7, 3]), zeros([6, 3])); // error: "cross: shapes [7, 3] and [6, 3] do not broadcast: 7 vs 6 at axis -2"
zeros([2, 4]).addmm(zeros([2, 3]), zeros([2, 4])); // error: "addmm: inner sizes differ: 3 vs 2"

// Recurrent networks: weights by name, and options.
const weights = [{ weightIh: zeros([4, 3]), weightHh: zeros([4, 4]) }];
expectType<AnyTensor>().of(rnn(zeros([7, 2, 3]), weights, { nonlinearity: 'relu' }).output);
expectType<AnyTensor>().of(gru(zeros([7, 2, 3]), weights, { batchFirst: true, lengths: long }).hidden);
expectType<LstmResult>().of(lstm(zeros([7, 2, 3]), weights));
rnn(zeros([7, 2, 3]), weights, { nonlinearity: 'gelu' }); // error: not assignable
gru(zeros([7, 2, 3]), weights, { cell: zeros([1, 2, 4]) }); // error: 'cell' does not exist
lstm(zeros([7, 2, 3]), [{ weightIh: zeros([4, 3]) }]); // error: 'weightHh' is missing

// Graphs.
expectType<Tensor<[10, 8]>>().of(segmentSum(zeros([4, 8]), long, 10));
expectType<Tensor<[number]>>().of(segmentMean(zeros([4]), long, n));
expectType<Tensor<[4, 8]>>().of(segmentSoftmax(zeros([4, 8]), long, 10));
expectType<Tensor>().of(segmentSum(anyShape, long, n));
expectType<AnyTensor>().of(spmm(csrFromCoo(long, long, undefined, [3, 3]), zeros([3, 2])));
segmentSum(zeros([5, 8]), long, 10); // error: "segmentSum: index does not fit: got shape [4] for x [5, 8], expected one place for each row"
segmentMean(zeros([4, 8]), zeros([4, 1], { dtype: 'int64' }), 10); // error: "segmentMean: index does not fit: got shape [4, 1] for x [4, 8]
csrFromCoo(long, long, undefined, [3]); // error: not assignable

// Losses.
expectType<Tensor<[]>>().of(mseLoss(zeros([4, 2]), zeros([4, 2])));
expectType<Tensor<[4, 2]>>().of(huberLoss(zeros([4, 2]), zeros([4, 2]), { reduction: 'none' }));
expectType<Tensor<[4]>>().of(nllLoss(zeros([4, 9]), long, { reduction: 'none' }));
expectType<Tensor<[]>>().of(crossEntropy(zeros([4, 9]), long, { labelSmoothing: 0.1 }));
expectType<Tensor<[4]>>().of(marginRankingLoss(zeros([4]), zeros([4]), zeros([4]), { reduction: 'none' }));
expectType<Tensor<[]>>().of(bceLoss(zeros([4, n]), zeros([n, 2])));
mseLoss(zeros([4, 2]), zeros([4])); // error: "mseLoss: shapes differ: got input [4, 2] and target [4], expected one shape"
klDiv(zeros([4, 2]), zeros([4, 3])); // error: "klDiv: shapes differ: got input [4, 2] and target [4, 3], expected one shape"
crossEntropy(zeros([4, 9]), zeros([5], { dtype: 'int64' })); // error: "crossEntropy: target does not fit: got shape [5] for logits [4, 9], expected [4]"
mseLoss(zeros([4]), zeros([4]), { reduction: 'average' }); // error: not assignable
export const others = [
  cosineEmbeddingLoss(zeros([4, 2]), zeros([4, 2]), zeros([4])),
  ctcLoss(zeros([9, 2, 5]), zeros([2, 3], { dtype: 'int64' }), [9, 9], [3, 2]),
];

// Compositions.
expectType<Tensor<[2, 3]>>().of(logAddExp(zeros([2, 1]), zeros([3])));
expectType<Tensor<[2], 'float32'>>().of(zeros([2], { dtype: 'int32' }).xlogy(2));
expectType<Tensor<[2]>>().of(nanMean(zeros([2, 3]), 1));
expectType<[Tensor<[5], 'int64'>, Tensor<[5], 'int64'>]>().of(unravelIndex(zeros([5], { dtype: 'int32' }), [2, 3]));
expectType<Tensor<[2]>>().of(zeros([2, 3]).nanMedian(1));
expectType<Tensor<readonly [number, 3]>>().of(zeros([3, 5]).nanQuantile([0.1, 0.9], 1));
expectType<Tensor<[number, 3]>[]>().of(zeros([7, 3]).tensorSplit(2));
expectType<Tensor<[3, 3]>>().of(cov(zeros([3, 9])));
expectType<Tensor<[]>>().of(corrcoef(zeros([9])));
logAddExp(zeros([2, 3]), zeros([4])); // error: "logAddExp: shapes [2, 3] and [4] do not broadcast: 3 vs 4 at axis -1"
nanMean(zeros([2, 3]), 2); // error: "nanMean: axis 2 out of range for shape [2, 3]"
