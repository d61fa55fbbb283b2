/** Activations as layers. Each applies the tensor method of its name. */
import type { AnyTensor } from '../tensor/tensor';
import { Module } from './module';

/** max(x, 0). */
export class ReLU extends Module {
  forward(x: AnyTensor): AnyTensor {
    return x.relu();
  }
}

/** x for x > 0, else slope·x. */
export class LeakyReLU extends Module {
  constructor(readonly slope = 0.01) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return x.leakyRelu(this.slope);
  }
}

/** x for x > 0, else α·(exp(x) − 1). */
export class ELU extends Module {
  constructor(readonly alpha = 1) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return x.elu(this.alpha);
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
  }
  forward(x: AnyTensor): AnyTensor {
    return x.gelu(this.options);
  }
}

/** x·sigmoid(x). */
export class SiLU extends Module {
  forward(x: AnyTensor): AnyTensor {
    return x.silu();
  }
}

/** x·tanh(softplus(x)). */
export class Mish extends Module {
  forward(x: AnyTensor): AnyTensor {
    return x.mish();
  }
}

/** 1 / (1 + exp(−x)). */
export class Sigmoid extends Module {
  forward(x: AnyTensor): AnyTensor {
    return x.sigmoid();
  }
}

/** The hyperbolic tangent. */
export class Tanh extends Module {
  forward(x: AnyTensor): AnyTensor {
    return x.tanh();
  }
}

/** log(1 + exp(x)). */
export class Softplus extends Module {
  forward(x: AnyTensor): AnyTensor {
    return x.softplus();
  }
}

/** exp(x) / Σ exp(x) along an axis. */
export class Softmax extends Module {
  constructor(readonly axis = -1) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return x.softmax(this.axis);
  }
}

/** log of the softmax along an axis. */
export class LogSoftmax extends Module {
  constructor(readonly axis = -1) {
    super();
  }
  forward(x: AnyTensor): AnyTensor {
    return x.logSoftmax(this.axis);
  }
}
