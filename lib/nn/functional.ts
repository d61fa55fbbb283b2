/** The stateless forms of layers and losses, as `nn.functional`. */
export { scaledDotProductAttention } from '../ops/attention';
export { conv2d } from '../ops/convolution';
export { ctcLoss } from '../ops/ctc';
export { cdist, cosineSimilarity, normalize, pairwiseDistance } from '../ops/distances';
export { embedding } from '../ops/indexing';
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
} from '../ops/margin-losses';
export { linear } from '../ops/matmul';
export { pad } from '../ops/movement';
export { batchNorm, layerNorm, logSoftmax, softmax } from '../ops/normalization';
export { avgPool2d, maxPool2d, maxPool2dWithIndices } from '../ops/pooling';
export { alphaDropout, dropout, dropout1d, dropout2d, dropout3d, featureAlphaDropout } from '../ops/random';
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
