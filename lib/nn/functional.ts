/** The stateless forms of layers and losses, as `nn.functional`. */
export { scaledDotProductAttention } from '../ops/attention';
export { conv2d } from '../ops/convolution';
export { embedding } from '../ops/indexing';
export { bceWithLogits, crossEntropy, mseLoss } from '../ops/losses';
export { linear } from '../ops/matmul';
export { pad } from '../ops/movement';
export { batchNorm, layerNorm, logSoftmax, softmax } from '../ops/normalization';
export { avgPool2d, maxPool2d, maxPool2dWithIndices } from '../ops/pooling';
export { dropout } from '../ops/random';
export { gru, gruCell, lstm, lstmCell, rnn, rnnCell } from '../ops/recurrent';
