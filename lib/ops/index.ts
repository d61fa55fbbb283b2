/** Every op as a function. Importing this installs the methods of tensors. */
export * from './adaptive-pooling';
export {
  atleast1d,
  atleast2d,
  atleast3d,
  blockDiag,
  cartesianProd,
  columnStack,
  cross,
  dstack,
  hstack,
  indexFill,
  trace,
  vander,
  vstack,
  type VanderOptions,
} from './assemble';
export { at, atSync, gatherNd, scatterNd, setAt, take, takeAlongAxis, type SetAtOptions } from './advanced-indexing';
export { scaledDotProductAttention, type AttentionOptions } from './attention';
export { convTranspose1d, convTranspose2d, convTranspose3d, type ConvTransposeOptions } from './conv-transpose';
export { conv1d, conv2d, conv3d, type Conv1dOptions, type Conv2dOptions, type Conv3dOptions } from './convolution';
export { cast, clone, contiguous } from './copy';
export {
  boxIou,
  nonMaxSuppression,
  nonMaxSuppressionSync,
  roiAlign,
  type NonMaxSuppressionOptions,
  type RoiAlignOptions,
} from './boxes';
export * from './creation';
export { ctcLoss, type CtcOptions } from './ctc';
export {
  diag,
  diagEmbed,
  diagonal,
  eye,
  tril,
  trilIndices,
  triu,
  triuIndices,
  type DiagonalOptions,
  type TriangleIndicesOptions,
} from './diagonal';
export {
  cdist,
  cosineSimilarity,
  normalize,
  pairwiseDistance,
  pdist,
  type CdistOptions,
  type CosineSimilarityOptions,
  type NormalizeOptions,
  type PairwiseDistanceOptions,
} from './distances';
export {
  groupNorm,
  instanceNorm,
  localResponseNorm,
  rmsNorm,
  type InstanceNormOptions,
  type LocalResponseNormOptions,
} from './group-normalization';
export {
  fft,
  fftfreq,
  fftn,
  fftshift,
  ifft,
  ifftn,
  ifftshift,
  irfft,
  irfftn,
  rfft,
  rfftfreq,
  rfftn,
  type FftNorm,
  type FftnOptions,
  type FftOptions,
  type FftShiftOptions,
  type FrequencyOptions,
} from './fft';
export { affineGrid, gridSample, type AffineGridOptions, type GridSampleOptions } from './grid-sample';
export { gumbelSoftmax, type GumbelSoftmaxOptions } from './gumbel-softmax';
export { indexAdd, indexSelect } from './index-select';
export { embedding, gather, scatterAdd, unravelIndex, type EmbeddingOptions } from './indexing';
export { eig, eigvals } from './linalg-eig';
export {
  cholesky,
  choleskyInverse,
  choleskySolve,
  det,
  inv,
  logdet,
  slogdet,
  solve,
  triangularSolve,
  type CholeskyOptions,
  type SolveOptions,
  type TriangularSolveOptions,
} from './linalg-factor';
export { lu, luFactor, luSolve, type LuSolveOptions } from './linalg-lu';
export { cond, matrixNorm, type MatrixNormOptions, type MatrixNormOrder } from './linalg-norms';
export * from './linalg-spectral';
export { tensorinv, tensorsolve, type TensorSolveOptions } from './linalg-tensors';
export { linearScan, type LinearScanOptions } from './linear-scan';
export { linearCrossEntropy, type LinearCrossEntropyOptions } from './linear-cross-entropy';
export { bceWithLogits, crossEntropy, mseLoss, type CrossEntropyOptions, type LossOptions } from './losses';
export * from './margin-losses';
export { einsum, tensordot } from './einsum';
export { linear, matmul } from './matmul';
export { feedForward, type FeedForwardActivation, type FeedForwardOptions } from './feed-forward';
export {
  addmm,
  baddbmm,
  bmm,
  dot,
  kron,
  multiDot,
  mv,
  outer,
  vecdot,
  type AddedProductOptions,
  type VecdotOptions,
} from './matrix-products';
export { maskedFill, maskedScatter, maskedSelect, maskedSelectSync, nonzero, nonzeroSync } from './masks';
export {
  cat,
  chunk,
  expand,
  flatten,
  flip,
  narrow,
  pad,
  permute,
  reshape,
  select,
  slice,
  split,
  squeeze,
  stack,
  tensorSplit,
  transpose,
  unbind,
  unsqueeze,
  type PadMode,
  type PadOptions,
} from './movement';
export { countNonzero, norm, type NormOrderOptions } from './norm';
export { batchNorm, layerNorm, logSoftmax, softmax, type BatchNormOptions, type NormOptions } from './normalization';
export {
  kthValue,
  median,
  mode,
  nanMedian,
  nanQuantile,
  quantile,
  type Interpolation,
  type KthValueOptions,
  type QuantileOptions,
} from './order-statistics';
export { channelShuffle, fold, pixelShuffle, pixelUnshuffle, unfold, type PatchOptions } from './patches';
export * from './pointwise';
export * from './fractional-pool';
export { lpPool1d, lpPool2d, lpPool3d, type LpPoolOptions } from './lp-pool';
export {
  avgPool1d,
  avgPool2d,
  avgPool3d,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
  maxPool3d,
  maxPool3dWithIndices,
} from './pooling';
export type { AvgPoolOptions, MaxPoolOptions, PoolOptions } from './pool-planes';
export { cumprod, prod } from './products';
export {
  dequantizeMatrix,
  quantizedLinear,
  quantizeMatrix,
  type QuantizedMatrix,
  type QuantizeOptions,
} from './quantized';
export * from './random';
export {
  gru,
  gruCell,
  lstm,
  lstmCell,
  rnn,
  rnnCell,
  type LstmOptions,
  type LstmResult,
  type RecurrentOptions,
  type RecurrentResult,
  type RecurrentWeights,
  type RnnOptions,
} from './recurrent';
export {
  moveAxis,
  repeat,
  repeatInterleave,
  repeatInterleaveSync,
  roll,
  rot90,
  tile,
  unflatten,
  view,
  type RepeatInterleaveOptions,
} from './rearrange';
export * from './reduce';
export { max as amax, min as amin } from './reduce';
export * from './regression-losses';
export { bilinear } from './bilinear';
export { embeddingBag, type EmbeddingBagOptions } from './embedding-bag';
export { segmentMax, segmentMean, segmentSoftmax, segmentSum } from './segments';
export { csrFromCoo, spmm, type CsrMatrix } from './sparse';
export { rotaryEmbedding, type RotaryOptions, type RotaryScaling } from './rotary';
export { cummax, cummin, logCumSumExp } from './scans';
export {
  indexCopy,
  indexReduce,
  scatter,
  scatterReduce,
  type ScatterReduceOptions,
  type ScatterReduction,
} from './scatter';
export {
  bincount,
  bincountSync,
  bucketize,
  histogram,
  searchSorted,
  type BincountOptions,
  type HistogramOptions,
  type SearchOptions,
  type SearchSortedOptions,
} from './searching';
export {
  aminmax,
  corrcoef,
  cov,
  cumulativeTrapezoid,
  diff,
  isIn,
  nanMean,
  nanSum,
  renorm,
  trapezoid,
  type CovOptions,
  type DiffOptions,
  type IsInOptions,
  type TrapezoidOptions,
} from './statistics';
export { argsort, sort, topk, type SortOptions, type TopkOptions } from './sorting';
export type { Pair, Single, Triple } from './window';
export { interpolate, type InterpolateMode, type InterpolateOptions } from './interpolate';
export { maxUnpool1d, maxUnpool2d, maxUnpool3d, type MaxUnpoolOptions } from './unpooling';
export { unique, uniqueSync, type Unique, type UniqueOptions } from './unique';
export {
  bartlettWindow,
  blackmanWindow,
  hammingWindow,
  hannWindow,
  kaiserWindow,
  type HammingOptions,
  type KaiserOptions,
  type WindowOptions,
} from './signal-windows';
export { frame, istft, overlapAdd, stft, type IstftOptions, type StftOptions } from './stft';
