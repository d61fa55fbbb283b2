/** Layers that act in training only. */
import { ones } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';
import { alphaDropout, dropout, dropout1d, dropout2d, dropout3d, featureAlphaDropout } from '../ops/random';
import { checkChoice } from '../tensor/checks';
import type { AnyTensor } from '../tensor/tensor';
import { Module } from './module';
import { checkProbability } from './options';

/** What the layers share: a probability, checked and printed. */
abstract class DropoutLayer extends Module {
  constructor(readonly probability = 0.5) {
    super();
    checkProbability(this.constructor.name, 'probability', probability);
  }

  protected override describe(): string {
    return `${this.probability}`;
  }
}

/**
 * Zeroes each element with a probability and scales the rest by 1 / (1 − probability), in training; passes through otherwise. Srivastava et al., 2014.
 *
 * @example
 * new nn.Dropout(0.5).eval().forward(ones([2])); // [1, 1]
 */
export class Dropout extends DropoutLayer {
  forward(x: AnyTensor): AnyTensor {
    return dropout(x, this.probability, { training: this.training });
  }
}

/** Zeroes whole channels of x [n, c, length] in training; see `dropout1d`. Tompson et al., 2014. */
export class Dropout1d extends DropoutLayer {
  forward(x: AnyTensor): AnyTensor {
    return dropout1d(x, this.probability, { training: this.training });
  }
}

/** Zeroes whole channels of x [n, c, h, w] in training; see `dropout2d`. Tompson et al., 2014. */
export class Dropout2d extends DropoutLayer {
  forward(x: AnyTensor): AnyTensor {
    return dropout2d(x, this.probability, { training: this.training });
  }
}

/** Zeroes whole channels of x [n, c, d, h, w] in training; see `dropout3d`. Tompson et al., 2014. */
export class Dropout3d extends DropoutLayer {
  forward(x: AnyTensor): AnyTensor {
    return dropout3d(x, this.probability, { training: this.training });
  }
}

/** Sets elements to the lowest value of selu in training, and keeps mean and variance. Klambauer et al., 2017. */
export class AlphaDropout extends DropoutLayer {
  forward(x: AnyTensor): AnyTensor {
    return alphaDropout(x, this.probability, { training: this.training });
  }
}

/** Sets whole channels of x [n, c, …] to the lowest value of selu in training, and keeps mean and variance. Klambauer et al., 2017. */
export class FeatureAlphaDropout extends DropoutLayer {
  forward(x: AnyTensor): AnyTensor {
    return featureAlphaDropout(x, this.probability, { training: this.training });
  }
}

export interface StochasticDepthOptions {
  /** What is dropped together: each row of the batch by itself (`'row'`, unless given), or all of it. */
  readonly mode?: 'row' | 'batch';
}

/**
 * Zeroes whole rows of x [n, …] with a probability and scales the rest by 1 / (1 − probability), in training; passes through otherwise. At the end of a residual
 * block it leaves the shortcut alone. Huang et al., 2016.
 *
 * @throws ArgumentError for a probability outside [0, 1].
 * @example
 * new nn.StochasticDepth(0.2).eval().forward(ones([2, 3])).sum(); // 6
 */
export class StochasticDepth extends DropoutLayer {
  constructor(
    probability?: number,
    readonly options: StochasticDepthOptions = {},
  ) {
    super(probability);
    checkOptions('StochasticDepth', options);
    checkChoice('StochasticDepth', 'mode', options.mode ?? 'row', ['row', 'batch']);
  }

  forward(x: AnyTensor): AnyTensor {
    checkTensor('StochasticDepth', x);
    if (!this.training || this.probability === 0) return x;
    const rows = this.options.mode === 'batch' ? 1 : x.shape[0];
    const shape = x.shape.map((_, axis) => (axis === 0 ? rows! : 1));
    return x.mul(dropout(ones(shape, { dtype: x.dtype, device: x.device }), this.probability)) as AnyTensor;
  }
}
