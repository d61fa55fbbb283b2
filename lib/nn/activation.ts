/** Activations as layers. Each applies the function of its name. */
import { full } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { logSoftmax, softmax } from '../ops/normalization';
import {
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
  type SoftplusOptions,
} from '../ops/pointwise-activation';
import { neg } from '../ops/pointwise-unary';
import { rrelu } from '../ops/random';
import type { AnyTensor } from '../tensor/tensor';
import { Module, Parameter } from './module';
import { checkSizes } from './options';

/** max(x, 0). */
export class ReLU extends Module {
  forward(x: AnyTensor): AnyTensor {
    return relu(x);
  }
}

/** x for x > 0, else slope·x. */
export class LeakyReLU extends Module {
  constructor(readonly slope = 0.01) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return leakyRelu(x, this.slope);
  }
}

/** x for x > 0, else α·(exp(x) − 1). */
export class ELU extends Module {
  constructor(readonly alpha = 1) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return elu(x, this.alpha);
  }
}

export interface GELUOptions {
  /** `'tanh'` for the approximation that GPT-2 uses; exact unless given. */
  readonly approximate?: 'none' | 'tanh';
}

/** x·Φ(x), with Φ the normal distribution function. */
export class GELU extends Module {
  constructor(readonly options: GELUOptions = {}) {
    super();
    checkOptions('GELU', options);
  }
  forward(x: AnyTensor): AnyTensor {
    return gelu(x, this.options);
  }
}

/** x·sigmoid(x). */
export class SiLU extends Module {
  forward(x: AnyTensor): AnyTensor {
    return silu(x);
  }
}

/** x·tanh(softplus(x)). */
export class Mish extends Module {
  forward(x: AnyTensor): AnyTensor {
    return mish(x);
  }
}

/** 1 / (1 + exp(−x)). */
export class Sigmoid extends Module {
  forward(x: AnyTensor): AnyTensor {
    return sigmoid(x);
  }
}

/** The hyperbolic tangent. */
export class Tanh extends Module {
  forward(x: AnyTensor): AnyTensor {
    return tanh(x);
  }
}

/** log(1 + exp(βx)) / β. */
export class Softplus extends Module {
  constructor(readonly options: SoftplusOptions = {}) {
    super();
    checkOptions('Softplus', options);
  }
  forward(x: AnyTensor): AnyTensor {
    return softplus(x, this.options);
  }
}

/** exp(x) / Σ exp(x) along an axis. */
export class Softmax extends Module {
  constructor(readonly axis = -1) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return softmax(x, this.axis);
  }
}

/** log of the softmax along an axis. */
export class LogSoftmax extends Module {
  constructor(readonly axis = -1) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return logSoftmax(x, this.axis);
  }
}

/** min(max(x, 0), 6). */
export class ReLU6 extends Module {
  forward(x: AnyTensor): AnyTensor {
    return relu6(x);
  }
}

/** λ·x for x > 0, else λα·(exp(x) − 1), with constants that keep mean 0 and variance 1. Klambauer et al., 2017. */
export class SELU extends Module {
  forward(x: AnyTensor): AnyTensor {
    return selu(x);
  }
}

/** x / (1 + |x|). */
export class Softsign extends Module {
  forward(x: AnyTensor): AnyTensor {
    return softsign(x);
  }
}

/** log of the sigmoid. */
export class LogSigmoid extends Module {
  forward(x: AnyTensor): AnyTensor {
    return logSigmoid(x);
  }
}

/** (x + 3) / 6, clipped to [0, 1]. */
export class Hardsigmoid extends Module {
  forward(x: AnyTensor): AnyTensor {
    return hardsigmoid(x);
  }
}

/** x·(x + 3) / 6 between −3 and 3, 0 below and x above. Howard et al., 2019. */
export class Hardswish extends Module {
  forward(x: AnyTensor): AnyTensor {
    return hardswish(x);
  }
}

/** x − tanh(x). */
export class Tanhshrink extends Module {
  forward(x: AnyTensor): AnyTensor {
    return tanhshrink(x);
  }
}

/** x for x > 0, else α·(exp(x / α) − 1). */
export class CELU extends Module {
  constructor(readonly alpha = 1) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return celu(x, this.alpha);
  }
}

/** x moved towards 0 by λ, 0 within λ of it. */
export class Softshrink extends Module {
  constructor(readonly lambda = 0.5) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return softshrink(x, this.lambda);
  }
}

/** x, and 0 within λ of it. */
export class Hardshrink extends Module {
  constructor(readonly lambda = 0.5) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return hardshrink(x, this.lambda);
  }
}

/** The first half along an axis times the sigmoid of the second. Dauphin et al., 2017. */
export class GLU extends Module {
  constructor(readonly axis = -1) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return glu(x, this.axis);
  }
}

/** x for x ≥ 0, else x times a slope drawn from [lower, upper) in training, their mean otherwise; see `nn.functional.rrelu`. Xu et al., 2015. */
export class RReLU extends Module {
  constructor(
    readonly lower = 1 / 8,
    readonly upper = 1 / 3,
  ) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return rrelu(x, this.lower, this.upper, { training: this.training });
  }
}

/** x clipped to [min, max]. */
export class Hardtanh extends Module {
  constructor(
    readonly min = -1,
    readonly max = 1,
  ) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return hardtanh(x, this.min, this.max);
  }
}

/** x above a threshold, else a value. */
export class Threshold extends Module {
  constructor(
    readonly threshold: number,
    readonly value: number,
  ) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return threshold(x, this.threshold, this.value);
  }
}

/** The softmax of −x along an axis. */
export class Softmin extends Module {
  constructor(readonly axis = -1) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return softmax(neg(x), this.axis);
  }
}

/** The softmax over the channels of images [n, c, h, w], or [c, h, w]. */
export class Softmax2d extends Module {
  forward(x: AnyTensor): AnyTensor {
    return softmax(x, -3);
  }
}

/** x for x > 0, else a trained slope times x: one for all, or one per channel of x [n, c, …]. He et al., 2015. */
export class PReLU extends Module {
  /** [slopes] */
  weight: Parameter;

  constructor(slopes = 1, initial = 0.25) {
    super();
    checkSizes('PReLU', { slopes });
    this.weight = new Parameter(full([slopes], initial));
  }
  forward(x: AnyTensor): AnyTensor {
    return prelu(x, this.weight);
  }
}
