/** Metrics of images: how near restored, compressed or generated ones are to the originals. */
import { ArgumentError, ShapeError } from '../../errors';
import { arange } from '../../ops/creation';
import { conv2d } from '../../ops/convolution';
import { stack } from '../../ops/movement';
import { shown } from '../../tensor/describe';
import { show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';
import { checkSameShape, countOf, RatioMetric, sumsOf } from './metric';
import { MeanSquaredError, type Numbers } from './regression';

function checkRange(metric: string, range: unknown): void {
  if (Number.isFinite(range) && (range as number) > 0) return;
  throw new ArgumentError(`${metric}: dataRange: got ${shown(range)}, expected a positive number`);
}

/**
 * The peak signal-to-noise ratio in decibels, 10·log₁₀(dataRange² / mean squared error), over all elements of all batches; infinite where
 * predictions meet the targets. Both are of one shape, any. `dataRange` is how far apart the least and the greatest possible value are: 1 or 255, say.
 *
 * @throws ArgumentError when the range is not positive.
 * @see Huynh-Thu and Ghanbari, 2008, Scope of validity of PSNR in image/video quality assessment.
 * @example
 * const psnr = new train.PeakSignalNoiseRatio(3);
 * psnr.update(tensor([[0, 1], [2, 3]]), tensor([[3, 2], [1, 0]]));
 * await psnr.compute(); // 2.5527
 */
export class PeakSignalNoiseRatio extends MeanSquaredError {
  constructor(readonly dataRange: number) {
    super();
    checkRange('PeakSignalNoiseRatio', dataRange);
  }

  protected override evaluate(sums: Float64Array): number {
    return 20 * Math.log10(this.dataRange) - 10 * Math.log10(super.evaluate(sums));
  }
}

type Five = [AnyTensor, AnyTensor, AnyTensor, AnyTensor, AnyTensor];

/** Of the window: a Gaussian of 11 × 11. */
const RADIUS = 5;
const SIGMA = 1.5;
/** Of the range, squared: what keeps the quotients of luminance and of contrast finite. */
const K1 = 0.01;
const K2 = 0.03;

/** Means of planes [n, 1, height, width] under the window about each pixel; beyond the edge they are mirrored. */
function windowed(planes: AnyTensor): AnyTensor {
  const distance = arange(-RADIUS, RADIUS + 1, { dtype: 'float64', device: planes.device });
  const weights = distance
    .square()
    .div(-2 * SIGMA ** 2)
    .softmax(0);
  const padded = planes.pad(
    [
      [RADIUS, RADIUS],
      [RADIUS, RADIUS],
    ],
    { mode: 'reflect' },
  ) as AnyTensor;
  const columns = conv2d(padded, weights.reshape([1, 1, -1, 1]) as AnyTensor) as AnyTensor;
  return conv2d(columns, weights.reshape([1, 1, 1, -1]) as AnyTensor) as AnyTensor;
}

/**
 * The structural similarity index (SSIM), at most 1: how alike luminance, contrast and structure are about each pixel, under a Gaussian of 11 × 11 pixels with a
 * standard deviation of 1.5; the mean over pixels and channels, then over images. Both are [n, channels, height, width] of at
 * least 6 × 6 pixels. `dataRange` is how far apart the least and the greatest possible value are: 1 or 255, say.
 *
 * @throws ShapeError when images are none or too small; ArgumentError when the range is not positive.
 * @see Wang et al., 2004, Image quality assessment: from error visibility to structural similarity.
 * @example
 * const ssim = new train.StructuralSimilarity(1);
 * ssim.update(zeros([1, 3, 16, 16]), ones([1, 3, 16, 16]));
 * await ssim.compute(); // 0.0001
 */
export class StructuralSimilarity extends RatioMetric<Numbers> {
  constructor(readonly dataRange: number) {
    super();
    checkRange('StructuralSimilarity', dataRange);
  }

  protected measure(predictions: AnyTensor, targets: AnyTensor): AnyTensor {
    checkSameShape('StructuralSimilarity', predictions, targets);
    const { shape } = targets;
    const [n, channels, height, width] = shape as [number, number, number, number];
    if (shape.length !== 4 || channels === 0 || Math.min(height, width) <= RADIUS) {
      throw new ShapeError(
        `StructuralSimilarity: predictions: got shape ${show(shape)}, expected [n, channels, height, width] of at least ${RADIUS + 1} × ${RADIUS + 1}`,
      );
    }
    const [x, y] = [predictions, targets].map((images) => images.detach().cast('float64')) as [AnyTensor, AnyTensor];
    const moments = stack([x, y, x.square(), y.square(), x.mul(y)] as AnyTensor[]);
    const planes = moments.reshape([5 * n * channels, 1, height, width]) as AnyTensor;
    const means = windowed(planes).reshape([5, n, channels, height, width]);
    const [meanX, meanY, squareX, squareY, product] = means.unbind() as AnyTensor[] as Five;
    const [c1, c2] = [(K1 * this.dataRange) ** 2, (K2 * this.dataRange) ** 2];
    const ofMeans = meanX.mul(meanY) as AnyTensor;
    const squares = meanX.square().add(meanY.square()) as AnyTensor;
    const covariance = product.sub(ofMeans) as AnyTensor;
    const variances = squareX.add(squareY).sub(squares) as AnyTensor;
    const luminance = ofMeans.mul(2).add(c1).div(squares.add(c1)) as AnyTensor;
    const structure = covariance.mul(2).add(c2).div(variances.add(c2)) as AnyTensor;
    return sumsOf(luminance.mul(structure).mean([1, 2, 3]).sum(), countOf(n, targets));
  }
}
