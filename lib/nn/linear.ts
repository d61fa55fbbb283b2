/** Fully connected layers of one input and of two. */
import { bilinear } from '../ops/bilinear';
import { linear } from '../ops/matmul';
import { empty } from '../ops/creation';
import { checkOptions } from '../ops/define';
import type { AnyTensor } from '../tensor/tensor';
import { uniform_ } from './init';
import { Module, Parameter } from './module';
import { checkSizes } from './options';

export interface LinearOptions {
  /** Whether a bias is added; true unless given. */
  readonly bias?: boolean;
}

/**
 * y = x·Wᵀ + b, for x [..., inFeatures] and y [..., outFeatures]. Weights and bias start uniform on ±1/√inFeatures, as in PyTorch.
 *
 * @example
 * new nn.Linear(784, 10).forward(randn([32, 784])).shape; // [32, 10]
 */
export class Linear extends Module {
  /** [outFeatures, inFeatures] */
  weight: Parameter;
  /** [outFeatures] */
  bias: Parameter | undefined;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    checkOptions('Linear', options);
    checkSizes('Linear', { inFeatures, outFeatures });
    const bound = 1 / Math.sqrt(Math.max(inFeatures, 1));
    this.weight = new Parameter(uniform_(empty([outFeatures, inFeatures]), -bound, bound));
    if (options.bias ?? true) this.bias = new Parameter(uniform_(empty([outFeatures]), -bound, bound));
  }

  forward(x: AnyTensor): AnyTensor {
    return linear(x, this.weight, this.bias);
  }

  override multiplyAdds(_: readonly unknown[], output: AnyTensor): number {
    return output.size * this.inFeatures;
  }

  protected override describe(): string {
    return `${this.inFeatures} → ${this.outFeatures}${this.bias === undefined ? ', no bias' : ''}`;
  }
}

/**
 * y[o] = aᵀ·W[o]·b + bias[o] for inputs a [..., first] and b [..., second]. Weights and bias start uniform on ±1/√first, as in PyTorch.
 *
 * @example
 * new nn.Bilinear(3, 4, 2).forward(randn([5, 3]), randn([5, 4])).shape; // [5, 2]
 */
export class Bilinear extends Module {
  /** [outFeatures, first, second] */
  weight: Parameter;
  /** [outFeatures] */
  bias: Parameter | undefined;

  constructor(
    readonly first: number,
    readonly second: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    checkOptions('Bilinear', options);
    checkSizes('Bilinear', { first, second, outFeatures });
    const bound = 1 / Math.sqrt(first);
    this.weight = new Parameter(uniform_(empty([outFeatures, first, second]), -bound, bound));
    if (options.bias ?? true) this.bias = new Parameter(uniform_(empty([outFeatures]), -bound, bound));
  }

  forward(a: AnyTensor, b: AnyTensor): AnyTensor {
    return bilinear(a, b, this.weight, this.bias);
  }

  override multiplyAdds(_: readonly unknown[], output: AnyTensor): number {
    return output.size * (this.first + 1) * this.second;
  }

  protected override describe(): string {
    return `${this.first} × ${this.second} → ${this.outFeatures}`;
  }
}
