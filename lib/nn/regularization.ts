/** Layers that act in training only. */
import { alphaDropout, dropout, dropout1d, dropout2d, dropout3d, featureAlphaDropout } from '../ops/random';
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
