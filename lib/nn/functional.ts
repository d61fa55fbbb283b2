/** The stateless forms of layers and losses, as `nn.functional`. */
export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool1dWithIndices,
  adaptiveMaxPool2d,
  adaptiveMaxPool2dWithIndices,
  adaptiveMaxPool3d,
  adaptiveMaxPool3dWithIndices,
} from '../ops/adaptive-pooling';
export { scaledDotProductAttention } from '../ops/attention';
export { ctcLoss } from '../ops/ctc';
export { cdist, cosineSimilarity, normalize, pairwiseDistance, pdist } from '../ops/distances';
export { convTranspose1d, convTranspose2d, convTranspose3d } from '../ops/conv-transpose';
export { conv1d, conv2d, conv3d } from '../ops/convolution';
export {
  fractionalMaxPool2d,
  fractionalMaxPool2dWithIndices,
  fractionalMaxPool3d,
  fractionalMaxPool3dWithIndices,
} from '../ops/fractional-pool';
export { interpolate } from '../ops/interpolate';
export { affineGrid, gridSample } from '../ops/grid-sample';
export { maxUnpool1d, maxUnpool2d, maxUnpool3d } from '../ops/unpooling';
export { lpPool1d, lpPool2d, lpPool3d } from '../ops/lp-pool';
export { embedding } from '../ops/indexing';
export { linearCrossEntropy } from '../ops/linear-cross-entropy';
export { bceWithLogits, crossEntropy, mseLoss } from '../ops/losses';
export {
  cosineEmbeddingLoss,
  hingeEmbeddingLoss,
  infoNce,
  marginRankingLoss,
  multiLabelMarginLoss,
  multiLabelSoftMarginLoss,
  multiMarginLoss,
  softMarginLoss,
  tripletMarginLoss,
  tripletMarginWithDistanceLoss,
} from '../ops/margin-losses';
export { linear } from '../ops/matmul';
export { feedForward } from '../ops/feed-forward';
export { pad } from '../ops/movement';
export { channelShuffle, fold, pixelShuffle, pixelUnshuffle, unfold } from '../ops/patches';
export { batchNorm, layerNorm, logSoftmax, softmax } from '../ops/normalization';
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
} from '../ops/pooling';
export { alphaDropout, dropout, dropout1d, dropout2d, dropout3d, featureAlphaDropout, rrelu } from '../ops/random';
export {
  bceLoss,
  gaussianNllLoss,
  huberLoss,
  klDiv,
  l1Loss,
  nllLoss,
  poissonNllLoss,
  smoothL1Loss,
} from '../ops/regression-losses';
export { gru, gruCell, lstm, lstmCell, rnn, rnnCell } from '../ops/recurrent';
export { groupNorm, instanceNorm, localResponseNorm, rmsNorm } from '../ops/group-normalization';
export { gumbelSoftmax } from '../ops/gumbel-softmax';
export { rotaryEmbedding } from '../ops/rotary';
export { embeddingBag } from '../ops/embedding-bag';
export { bilinear } from '../ops/bilinear';
export {
  celu,
  elu,
  gelu,
  glu,
  hardshrink,
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  logSigmoid,
  mish,
  prelu,
  relu,
  relu6,
  selu,
  sigmoid,
  silu,
  softplus,
  softshrink,
  softsign,
  tanh,
  tanhshrink,
  threshold,
} from '../ops/pointwise-activation';
export { oneHot } from '../ops/creation';
