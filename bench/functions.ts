/**
 * Single calls of many functions of a million elements beside PyTorch's, eager, forward and with gradients: what no other row covers, so that none is far behind unseen.
 * bench/peers/call.py evaluates the expression of the other side with inputs by the same names.
 */
import * as hadal from 'hadal';
import { tensor, type AnyTensor } from 'hadal';

import { prepareKernel, type Workload } from './harness';

const F = hadal.nn.functional;
const side = 1024;

/** Each input as its kind, its shape and the numbers that its formula takes; the peer reads the same table. */
const inputs = {
  x: ['chirp', [side, side], 1, -2, 2],
  y: ['chirp', [side, side], 2, -2, 2],
  z: ['chirp', [side, side], 3, -2, 2],
  positive: ['chirp', [side, side], 4, 0.5, 3],
  unit: ['chirp', [side, side], 5, 0.01, 0.99],
  target: ['chirp', [side, side], 6, 0.01, 0.99],
  row: ['chirp', [side], 7, -2, 2],
  table: ['chirp', [side, side], 8, -2, 2],
  weights: ['chirp', [64, 32, 32], 9, -1, 1],
  mixing: ['chirp', [64, 64], 10, -1, 1],
  images: ['chirp', [16, 64, 32, 32], 11, -2, 2],
  columns: ['chirp', [16, 576, 1024], 12, -2, 2],
  heads: ['chirp', [4, 8, 256, 64], 13, -2, 2],
  series: ['chirp', [16, 64, 256], 14, -2, 2],
  kernel1d: ['chirp', [64, 64, 3], 15, -1, 1],
  kernel2d: ['chirp', [64, 32, 2, 2], 16, -1, 1],
  grid: ['chirp', [16, 32, 32, 2], 17, -1, 1],
  places: ['places', [side, side], side],
  labels: ['places', [side], side],
  few: ['places', [64], side],
  mask: ['mask', [side, side], 18],
  mask2: ['mask', [side, side], 19],
  signs: ['signs', [side], 20],
  sides: ['signs', [side, side], 21],
  edges: ['steps', [50], -2.5, 0.1],
} as const;
type Name = keyof typeof inputs;
type Inputs = Readonly<Record<Name, AnyTensor>>;

/** sin of a square, which is as good as random, from 0 to 1. */
const chirp = (count: number, seed: number): Float64Array =>
  Float64Array.from({ length: count }, (_, j) => (1 + Math.sin(0.7 * j * j + seed)) / 2);

function make(name: Name): AnyTensor {
  const [kind, shape, first, low, high] = inputs[name] as readonly [
    string,
    readonly number[],
    number,
    number?,
    number?,
  ];
  const count = shape.reduce((product, size) => product * size, 1);
  if (kind === 'places') {
    return tensor(Int32Array.from({ length: count }, (_, j) => (31 * j * j + 7 * j) % first))
      .reshape(shape)
      .cast('int64');
  }
  if (kind === 'steps') return tensor(Float32Array.from({ length: count }, (_, j) => first + low! * j));
  const values = chirp(count, first);
  if (kind === 'mask') return tensor(Float32Array.from(values)).greater(0.5).reshape(shape);
  if (kind === 'signs') return tensor(Float32Array.from(values, (value) => (value < 0.5 ? -1 : 1))).reshape(shape);
  return tensor(Float32Array.from(values, (value) => low! + (high! - low!) * value)).reshape(shape);
}

/** What gradients are taken of. */
const isVariable = (name: Name): boolean => inputs[name][0] === 'chirp';

interface CallOptions {
  /** Random numbers, which nothing can agree with. */
  readonly isRandom?: boolean;
}

function call(
  name: string,
  f: (inputs: Inputs) => AnyTensor,
  expression: string,
  { isRandom = false }: CallOptions,
  backward: boolean,
): Workload {
  const used = (Object.keys(inputs) as Name[]).filter((input) => new RegExp(`\\b${input}\\b`).test(expression));
  const table = Object.fromEntries(used.map((input) => [input, inputs[input]]));
  return {
    name: `${name}${backward ? ' fwd+bwd' : ''}`,
    twin: ['call', expression, table, backward],
    turn: 0.05,
    prepare() {
      const constants = used.filter((input) => !backward || !isVariable(input));
      const fixed = Object.fromEntries(constants.map((input) => [input, make(input)]));
      const variables = used.filter((input) => !constants.includes(input));
      const of = (...given: AnyTensor[]): AnyTensor =>
        f({ ...fixed, ...Object.fromEntries(variables.map((input, i) => [input, given[i]!])) } as Inputs);
      const { step, check } = prepareKernel({ inputs: variables.map(make), backward }, of);
      return { step, check: isRandom ? [] : check };
    },
  };
}

/** Forward, and with the gradients of all that is variable. */
function both(...[name, f, expression, options = {}]: CallArguments): Workload[] {
  return [false, true].map((backward) => call(name, f, expression, options, backward));
}
function forward(...[name, f, expression, options = {}]: CallArguments): Workload[] {
  return [call(name, f, expression, options, false)];
}
type CallArguments = [name: string, f: (inputs: Inputs) => AnyTensor, expression: string, options?: CallOptions];

export const workloads: Workload[] = [
  // Activations and losses.
  ...both('hardsigmoid', ({ x }) => F.hardsigmoid(x), 'F.hardsigmoid(x)'),
  ...both('hardswish', ({ x }) => F.hardswish(x), 'F.hardswish(x)'),
  ...both('softshrink', ({ x }) => F.softshrink(x), 'F.softshrink(x)'),
  ...both('hardshrink', ({ x }) => F.hardshrink(x), 'F.hardshrink(x)'),
  ...both('tanhshrink', ({ x }) => F.tanhshrink(x), 'F.tanhshrink(x)'),
  ...both('softsign', ({ x }) => F.softsign(x), 'F.softsign(x)'),
  ...both('mish', ({ x }) => F.mish(x), 'F.mish(x)'),
  ...both('softplus', ({ x }) => F.softplus(x), 'F.softplus(x)'),
  ...both('logSigmoid', ({ x }) => F.logSigmoid(x), 'F.logsigmoid(x)'),
  ...both('celu', ({ x }) => F.celu(x, 1.5), 'F.celu(x, 1.5)'),
  ...both('threshold', ({ x }) => F.threshold(x, 0.1, 2), 'F.threshold(x, 0.1, 2)'),
  ...both('glu', ({ x }) => F.glu(x), 'F.glu(x)'),
  ...both('prelu', ({ x, row }) => F.prelu(x, row), 'F.prelu(x, row)'),
  ...both('rrelu', ({ x }) => F.rrelu(x, 1 / 8, 1 / 3, { training: true }), 'F.rrelu(x, training=True)', {
    isRandom: true,
  }),
  ...both('gumbelSoftmax', ({ x }) => F.gumbelSoftmax(x), 'F.gumbel_softmax(x)', { isRandom: true }),
  ...both('normalize', ({ x }) => F.normalize(x), 'F.normalize(x)'),
  ...both('cosineSimilarity', ({ x, y }) => F.cosineSimilarity(x, y), 'F.cosine_similarity(x, y)'),
  ...both('pairwiseDistance', ({ x, y }) => F.pairwiseDistance(x, y), 'F.pairwise_distance(x, y)'),
  ...both('pdist', ({ x }) => hadal.pdist(x.narrow(0, 0, 256)), 'F.pdist(x.narrow(0, 0, 256))'),
  ...both('l1Loss', ({ x, y }) => F.l1Loss(x, y), 'F.l1_loss(x, y)'),
  ...both('smoothL1Loss', ({ x, y }) => F.smoothL1Loss(x, y), 'F.smooth_l1_loss(x, y)'),
  ...both('huberLoss', ({ x, y }) => F.huberLoss(x, y), 'F.huber_loss(x, y)'),
  ...both('bceLoss', ({ unit, target }) => F.bceLoss(unit, target), 'F.binary_cross_entropy(unit, target)'),
  ...both(
    'bceWithLogits',
    ({ x, target }) => F.bceWithLogits(x, target),
    'F.binary_cross_entropy_with_logits(x, target)',
  ),
  ...both(
    'klDiv',
    ({ x, target }) => F.klDiv(x, target, { reduction: 'batchmean' }),
    "F.kl_div(x, target, reduction='batchmean')",
  ),
  ...both('nllLoss', ({ x, labels }) => F.nllLoss(x, labels), 'F.nll_loss(x, labels)'),
  ...both('poissonNllLoss', ({ x, target }) => F.poissonNllLoss(x, target), 'F.poisson_nll_loss(x, target)'),
  ...both(
    'gaussianNllLoss',
    ({ x, y, positive }) => F.gaussianNllLoss(x, y, positive),
    'F.gaussian_nll_loss(x, y, positive)',
  ),
  ...both(
    'cosineEmbeddingLoss',
    ({ x, y, signs }) => F.cosineEmbeddingLoss(x, y, signs),
    'F.cosine_embedding_loss(x, y, signs)',
  ),
  ...both('hingeEmbeddingLoss', ({ x, sides }) => F.hingeEmbeddingLoss(x, sides), 'F.hinge_embedding_loss(x, sides)'),
  ...both(
    'marginRankingLoss',
    ({ x, y, sides }) => F.marginRankingLoss(x, y, sides),
    'F.margin_ranking_loss(x, y, sides)',
  ),
  ...both('multiMarginLoss', ({ x, labels }) => F.multiMarginLoss(x, labels), 'F.multi_margin_loss(x, labels)'),
  ...both(
    'multiLabelSoftMarginLoss',
    ({ x, target }) => F.multiLabelSoftMarginLoss(x, target),
    'F.multilabel_soft_margin_loss(x, target)',
  ),
  ...both('softMarginLoss', ({ x, sides }) => F.softMarginLoss(x, sides), 'F.soft_margin_loss(x, sides)'),
  ...both(
    'tripletMarginLoss',
    ({ x, y, positive }) => F.tripletMarginLoss(x, positive, y),
    'F.triplet_margin_loss(x, positive, y)',
  ),
  ...both('mseLoss', ({ x, y }) => F.mseLoss(x, y), 'F.mse_loss(x, y)'),
  ...both('dropout', ({ x }) => F.dropout(x, 0.3), 'F.dropout(x, 0.3)', { isRandom: true }),
  // Images.
  ...both('localResponseNorm', ({ images }) => F.localResponseNorm(images, 5), 'F.local_response_norm(images, 5)'),
  ...both('instanceNorm', ({ images }) => F.instanceNorm(images), 'F.instance_norm(images)'),
  ...both('groupNorm', ({ images }) => F.groupNorm(images, 8), 'F.group_norm(images, 8)'),
  ...both(
    'batchNorm',
    ({ images }) => F.batchNorm(images, undefined, undefined, undefined, undefined, { training: true }),
    'F.batch_norm(images, None, None, training=True)',
  ),
  ...both('rmsNorm', ({ x, row }) => F.rmsNorm(x, [1024], row), 'F.rms_norm(x, (1024, ), row)'),
  ...both('lpPool2d', ({ images }) => F.lpPool2d(images, 2, 2), 'F.lp_pool2d(images, 2, 2)'),
  ...both('maxPool2d 2', ({ images }) => F.maxPool2d(images, 2), 'F.max_pool2d(images, 2)'),
  ...both(
    'maxPool2d 3, stride 2',
    ({ images }) => F.maxPool2d(images, 3, { stride: 2, padding: 1 }),
    'F.max_pool2d(images, 3, 2, 1)',
  ),
  ...both('avgPool2d 2', ({ images }) => F.avgPool2d(images, 2), 'F.avg_pool2d(images, 2)'),
  ...both('adaptiveAvgPool2d 7', ({ images }) => F.adaptiveAvgPool2d(images, 7), 'F.adaptive_avg_pool2d(images, 7)'),
  ...both('adaptiveAvgPool2d 1', ({ images }) => F.adaptiveAvgPool2d(images, 1), 'F.adaptive_avg_pool2d(images, 1)'),
  ...both('adaptiveMaxPool2d 7', ({ images }) => F.adaptiveMaxPool2d(images, 7), 'F.adaptive_max_pool2d(images, 7)'),
  ...both(
    'interpolate nearest',
    ({ images }) => F.interpolate(images, { scaleFactor: 2 }),
    'F.interpolate(images, scale_factor=2)',
  ),
  ...both(
    'interpolate bilinear',
    ({ images }) => F.interpolate(images, { scaleFactor: 2, mode: 'bilinear' }),
    "F.interpolate(images, scale_factor=2, mode='bilinear')",
  ),
  ...both(
    'interpolate bicubic',
    ({ images }) => F.interpolate(images, { scaleFactor: 2, mode: 'bicubic' }),
    "F.interpolate(images, scale_factor=2, mode='bicubic')",
  ),
  ...both(
    'gridSample',
    ({ images, grid }) => F.gridSample(images, grid),
    'F.grid_sample(images, grid, align_corners=False)',
  ),
  ...both('pixelShuffle', ({ images }) => F.pixelShuffle(images, 2), 'F.pixel_shuffle(images, 2)'),
  ...both('pixelUnshuffle', ({ images }) => F.pixelUnshuffle(images, 2), 'F.pixel_unshuffle(images, 2)'),
  ...both('channelShuffle', ({ images }) => F.channelShuffle(images, 4), 'F.channel_shuffle(images, 4)'),
  ...both('unfold', ({ images }) => F.unfold(images, 3, { padding: 1 }), 'F.unfold(images, 3, padding=1)'),
  ...both(
    'pad reflect',
    ({ images }) =>
      images.pad(
        [
          [1, 1],
          [1, 1],
        ],
        { mode: 'reflect' },
      ),
    "F.pad(images, (1, 1, 1, 1), mode='reflect')",
  ),
  ...both(
    'pad',
    ({ images }) =>
      images.pad([
        [1, 1],
        [1, 1],
      ]),
    'F.pad(images, (1, 1, 1, 1))',
  ),
  ...both(
    'pad circular',
    ({ images }) =>
      images.pad(
        [
          [1, 1],
          [1, 1],
        ],
        { mode: 'circular' },
      ),
    "F.pad(images, (1, 1, 1, 1), mode='circular')",
  ),
  ...both(
    'embeddingBag',
    ({ table, places }) => hadal.embeddingBag(table, places.narrow(1, 0, 16).contiguous()),
    'F.embedding_bag(places[:, :16].contiguous(), table)',
  ),
  ...both('embedding', ({ table, labels }) => F.embedding(table, labels), 'F.embedding(labels, table)'),
  ...both(
    'bilinear',
    ({ x, y, weights }) => F.bilinear(x.narrow(1, 0, 32), y.narrow(1, 0, 32), weights),
    'F.bilinear(x[:, :32], y[:, :32], weights)',
  ),
  // Sums and orders along an axis.
  ...both('cumsum of columns', ({ x }) => x.cumsum(0), 'x.cumsum(0)'),
  ...both('cumsum', ({ x }) => x.cumsum(1), 'x.cumsum(1)'),
  ...both('cumprod', ({ x }) => x.cumprod(1), 'x.cumprod(1)'),
  ...both('logCumSumExp', ({ x }) => hadal.logCumSumExp(x, 1), 'x.logcumsumexp(1)'),
  ...both('cummax', ({ x }) => x.cummax(1)[0], 'x.cummax(1)[0]'),
  ...both('logSumExp', ({ x }) => x.logSumExp(1), 'x.logsumexp(1)'),
  ...both('std', ({ x }) => x.std(1), 'x.std(1)'),
  ...both('var of columns', ({ x }) => x.var(0), 'x.var(0)'),
  ...both('norm', ({ x }) => x.norm(), 'x.norm()'),
  ...both('norm of rows', ({ x }) => x.norm(1), 'x.norm(dim=1)'),
  ...both('prod', ({ x }) => x.prod(1), 'x.prod(1)'),
  ...both('amax', ({ x }) => x.amax(1), 'x.amax(1)'),
  ...both('amax of columns', ({ x }) => x.amax(0), 'x.amax(0)'),
  ...forward('argmax', ({ x }) => x.argmax(1), 'x.argmax(1)'),
  ...both('median', ({ x }) => x.median(1), 'x.median(1)[0]'),
  ...both('kthValue', ({ x }) => x.kthValue(5, { axis: 1 })[0], 'x.kthvalue(5, 1)[0]'),
  ...both('quantile', ({ x }) => x.quantile(0.3, 1), 'x.quantile(0.3, 1)'),
  ...both('sort', ({ x }) => x.sort({ axis: 1 })[0], 'x.sort(1)[0]'),
  // Movement.
  ...both('gather', ({ x, places }) => x.gather(1, places), 'x.gather(1, places)'),
  ...both('gather of columns', ({ x, places }) => x.gather(0, places), 'x.gather(0, places)'),
  ...both('scatterAdd', ({ x, y, places }) => x.scatterAdd(1, places, y), 'x.scatter_add(1, places, y)'),
  ...both('indexSelect', ({ x, labels }) => x.indexSelect(0, labels), 'x.index_select(0, labels)'),
  ...both('indexSelect of columns', ({ x, labels }) => x.indexSelect(1, labels), 'x.index_select(1, labels)'),
  ...both('indexAdd', ({ x, y, labels }) => x.indexAdd(0, labels, y), 'x.index_add(0, labels, y)'),
  ...both('where', ({ x, y, mask }) => hadal.where(mask, x, y), 'torch.where(mask, x, y)'),
  ...both('maskedFill', ({ x, mask }) => x.maskedFill(mask, 0), 'x.masked_fill(mask, 0)'),
  ...both('flip', ({ x }) => x.flip(1), 'x.flip(1)'),
  ...both('roll', ({ x }) => x.roll(5, 1), 'x.roll(5, 1)'),
  ...both('rot90', ({ x }) => x.rot90(), 'x.rot90()'),
  ...both('tril', ({ x }) => x.tril(), 'x.tril()'),
  ...both('repeat', ({ x }) => x.repeat([1, 2]), 'x.repeat(1, 2)'),
  ...both('repeatInterleave', ({ x }) => x.repeatInterleave(2, { axis: 1 }), 'x.repeat_interleave(2, 1)'),
  ...both('cat', ({ x, y }) => hadal.cat([x, y], 1), 'torch.cat([x, y], 1)'),
  ...both('stack', ({ x, y }) => hadal.stack([x, y], 2), 'torch.stack([x, y], 2)'),
  ...both('transpose, contiguous', ({ x }) => x.transpose().contiguous(), 'x.t().contiguous()'),
  ...both('diff', ({ x }) => x.diff(), 'x.diff()'),
  // Mathematics.
  ...both('outer', ({ row }) => hadal.outer(row, row), 'torch.outer(row, row)'),
  ...both('addmm', ({ x, y, row }) => hadal.addmm(row, x, y), 'torch.addmm(row, x, y)'),
  ...both('lerp', ({ x, y }) => hadal.lerp(x, y, 0.3), 'torch.lerp(x, y, 0.3)'),
  ...both('addcmul', ({ x, y, z }) => hadal.addcmul(x, y, z), 'torch.addcmul(x, y, z)'),
  ...both('addcdiv', ({ x, y, positive }) => hadal.addcdiv(x, y, positive), 'torch.addcdiv(x, y, positive)'),
  ...both('pow', ({ positive }) => positive.pow(1.7), 'positive.pow(1.7)'),
  ...both('pow of a whole number', ({ x }) => x.pow(3), 'x.pow(3)'),
  ...both('pow of tensors', ({ positive, unit }) => positive.pow(unit), 'positive.pow(unit)'),
  ...both('exp', ({ x }) => x.exp(), 'x.exp()'),
  ...both('log', ({ positive }) => positive.log(), 'positive.log()'),
  ...both('log1p', ({ positive }) => positive.log1p(), 'positive.log1p()'),
  ...both('expm1', ({ x }) => x.expm1(), 'x.expm1()'),
  ...both('rsqrt', ({ positive }) => positive.rsqrt(), 'positive.rsqrt()'),
  ...both('sqrt', ({ positive }) => positive.sqrt(), 'positive.sqrt()'),
  ...both('sin', ({ x }) => x.sin(), 'x.sin()'),
  ...both('tan', ({ x }) => x.tan(), 'x.tan()'),
  ...both('atan', ({ x }) => x.atan(), 'x.atan()'),
  ...both('asinh', ({ x }) => x.asinh(), 'x.asinh()'),
  ...both('sinh', ({ x }) => x.sinh(), 'x.sinh()'),
  ...both('erf', ({ x }) => x.erf(), 'x.erf()'),
  ...both('erfinv', ({ target }) => target.mul(0.9).erfinv(), '(target*0.9).erfinv()'),
  ...both('lgamma', ({ positive }) => positive.lgamma(), 'positive.lgamma()'),
  ...both('digamma', ({ positive }) => positive.digamma(), 'positive.digamma()'),
  ...both('i0', ({ x }) => x.i0(), 'torch.special.i0(x)'),
  ...both('logit', ({ unit }) => unit.logit(), 'unit.logit()'),
  ...both('sinc', ({ x }) => x.sinc(), 'x.sinc()'),
  ...both('xlogy', ({ positive, unit }) => hadal.xlogy(positive, unit), 'torch.special.xlogy(positive, unit)'),
  ...both('logAddExp', ({ x, y }) => hadal.logAddExp(x, y), 'torch.logaddexp(x, y)'),
  ...both('atan2', ({ x, y }) => hadal.atan2(x, y), 'torch.atan2(x, y)'),
  ...both('hypot', ({ x, y }) => hadal.hypot(x, y), 'torch.hypot(x, y)'),
  ...both('remainder', ({ x }) => hadal.remainder(x, 0.7), 'torch.remainder(x, 0.7)'),
  ...both('fmod', ({ x }) => hadal.fmod(x, 0.7), 'torch.fmod(x, 0.7)'),
  ...forward('floorDivide', ({ x }) => hadal.floorDivide(x, 0.7), 'torch.floor_divide(x, 0.7)'),
  ...both('div', ({ x, positive }) => x.div(positive), 'x.div(positive)'),
  ...both('reciprocal', ({ positive }) => positive.reciprocal(), 'positive.reciprocal()'),
  ...both('maximum', ({ x, y }) => hadal.maximum(x, y), 'torch.maximum(x, y)'),
  ...both('fmax', ({ x, y }) => hadal.fmax(x, y), 'torch.fmax(x, y)'),
  ...both('clamp', ({ x }) => x.clamp(-0.5, 0.5), 'x.clamp(-0.5, 0.5)'),
  ...both('copySign', ({ x, sides }) => hadal.copySign(x, sides), 'torch.copysign(x, sides)'),
  ...both('nanToNum', ({ x }) => x.nanToNum(), 'x.nan_to_num()'),
  ...both('frac', ({ x }) => x.frac(), 'x.frac()'),
  ...forward('round', ({ x }) => x.round(), 'x.round()'),
  ...forward('sign', ({ x }) => x.sign(), 'x.sign()'),
  ...forward('isFinite', ({ x }) => x.isFinite(), 'x.isfinite()'),
  ...forward('less', ({ x, y }) => x.less(y), 'x.lt(y)'),
  ...forward('logicalAnd', ({ mask, mask2 }) => mask.logicalAnd(mask2), 'mask.logical_and(mask2)'),
  ...forward('any', ({ mask }) => mask.any(1), 'mask.any(1)'),
  ...both('cast bfloat16', ({ x }) => x.cast('bfloat16'), 'x.to(torch.bfloat16)'),
  ...forward('cast int64', ({ x }) => x.cast('int64'), 'x.to(torch.int64)'),
  ...both('cast float64', ({ x }) => x.cast('float64'), 'x.to(torch.float64)'),
  // Counting and other.
  ...forward('oneHot', ({ labels }) => hadal.oneHot(labels, 1024), 'F.one_hot(labels, 1024)'),
  ...forward('bincount', ({ labels }) => hadal.bincountSync(labels), 'torch.bincount(labels)'),
  ...forward('histogram', ({ x }) => hadal.histogram(x, 50)[0], 'torch.histc(x, 50)'),
  ...forward('searchSorted', ({ x, edges }) => hadal.searchSorted(edges, x), 'torch.searchsorted(edges, x)'),
  ...forward('bucketize', ({ x, edges }) => hadal.bucketize(x, edges), 'torch.bucketize(x, edges)'),
  ...forward('isIn', ({ labels, few }) => hadal.isIn(labels, few), 'torch.isin(labels, few)'),
  ...both('einsum', ({ x, y }) => hadal.einsum('ij, kj->ik', x, y), "torch.einsum('ij, kj->ik', x, y)"),
  ...both(
    'einsum of images',
    ({ mixing, images }) => hadal.einsum('bchw, dc->bdhw', images, mixing),
    "torch.einsum('bchw, dc->bdhw', images, mixing)",
  ),
  ...both('cov', ({ x }) => hadal.cov(x.narrow(0, 0, 64)), 'torch.cov(x[:64])'),
  ...both('trace', ({ x }) => hadal.trace(x), 'torch.trace(x)'),
  ...both('diag', ({ row }) => hadal.diag(row), 'torch.diag(row)'),
  ...both(
    'cross',
    ({ x, y }) => hadal.cross(x.narrow(1, 0, 3), y.narrow(1, 0, 3)),
    'torch.cross(x[:, :3], y[:, :3], dim=1)',
  ),
  ...both('rfft', ({ x }) => hadal.rfft(x), 'torch.view_as_real(torch.fft.rfft(x))'),
  ...both(
    'stft',
    ({ x }) => hadal.stft(x.narrow(0, 0, 16), 256, { window: hadal.hannWindow(256) }),
    'torch.view_as_real(torch.stft(x[:16], 256, window=torch.hann_window(256), return_complex=True))',
  ),
  ...both(
    'fft',
    ({ x }) => hadal.fft(x.reshape([side, -1, 2])),
    'torch.view_as_real(torch.fft.fft(torch.view_as_complex(x.reshape(1024, -1, 2))))',
  ),
  ...both(
    'rfftn of images',
    ({ images }) => hadal.rfftn(images, { axes: [-2, -1] }),
    'torch.view_as_real(torch.fft.rfft2(images))',
  ),
  ...both(
    'fold',
    ({ columns }) => F.fold(columns, [32, 32], 3, { padding: 1 }),
    'F.fold(columns, (32, 32), 3, padding=1)',
  ),
  ...forward('rand', () => hadal.rand([1024, 1024]), 'torch.rand(1024, 1024)', { isRandom: true }),
  ...forward('randn', () => hadal.randn([1024, 1024]), 'torch.randn(1024, 1024)', { isRandom: true }),
  ...forward('randint', () => hadal.randint(0, 10, [1024, 1024]), 'torch.randint(0, 10, (1024, 1024))', {
    isRandom: true,
  }),
  ...forward('bernoulli', ({ target }) => hadal.bernoulli(target), 'torch.bernoulli(target)', { isRandom: true }),
  ...forward('multinomial', ({ target }) => hadal.multinomial(target, 4), 'torch.multinomial(target, 4)', {
    isRandom: true,
  }),
  ...forward('exponential', () => hadal.exponential([1024, 1024]), 'torch.empty(1024, 1024).exponential_()', {
    isRandom: true,
  }),
  ...forward('full', () => hadal.full([1024, 1024], 2), 'torch.full((1024, 1024), 2.)'),
  ...forward('eye', () => hadal.eye(1024), 'torch.eye(1024)'),
  ...forward('linspace', () => hadal.linspace(0, 1, 1048576), 'torch.linspace(0, 1, 1048576)'),
  ...both(
    'scaledDotProductAttention',
    ({ heads }) => F.scaledDotProductAttention(heads, heads, heads),
    'F.scaled_dot_product_attention(heads, heads, heads)',
  ),
  ...both('conv1d', ({ series, kernel1d }) => F.conv1d(series, kernel1d), 'F.conv1d(series, kernel1d)'),
  ...both(
    'convTranspose2d',
    ({ images, kernel2d }) => F.convTranspose2d(images, kernel2d, undefined, { stride: 2 }),
    'F.conv_transpose2d(images, kernel2d, stride=2)',
  ),
];
