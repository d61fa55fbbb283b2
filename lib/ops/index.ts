/** Every op as a function. Importing this installs the methods of tensors. */
export { scaledDotProductAttention, type AttentionOptions } from './attention';
export { conv2d, type Conv2dOptions, type Pair } from './convolution';
export { cast, clone, contiguous } from './copy';
export * from './creation';
export * from './diagonal';
export { indexAdd, indexSelect } from './index-select';
export { embedding, gather, scatterAdd, type EmbeddingOptions } from './indexing';
export { bceWithLogits, crossEntropy, mseLoss, type CrossEntropyOptions, type LossOptions } from './losses';
export { linear, matmul } from './matmul';
export * from './movement';
export { batchNorm, layerNorm, logSoftmax, softmax, type BatchNormOptions, type NormOptions } from './normalization';
export * from './pointwise';
export { avgPool2d, maxPool2d, maxPool2dWithIndices, type AvgPool2dOptions, type MaxPool2dOptions } from './pooling';
export { cumprod, prod } from './products';
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
export * from './reduce';
export { cummax, cummin, logCumSumExp } from './scans';
export { argsort, sort, topk, type SortOptions, type TopkOptions } from './sorting';
