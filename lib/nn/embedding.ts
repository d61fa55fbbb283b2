/** Tables of trained vectors. */
import { ArgumentError } from '../errors';
import { embedding, type EmbeddingOptions } from '../ops/indexing';
import { empty } from '../ops/creation';
import type { IndexDType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { normal_ } from './init';
import { Module, Parameter } from './module';
import { checkSizes } from './options';

/**
 * Rows of a table: index of any shape to [...index.shape, size]. Rows start standard normal, a padding row zero, as in PyTorch.
 *
 * @example
 * new nn.Embedding(100, 8).forward(tensor([3, 7], { dtype: 'int32' })).shape; // [2, 8]
 */
export class Embedding extends Module {
  /** [count, size] */
  readonly weight: Parameter;

  constructor(
    readonly count: number,
    readonly size: number,
    readonly options: EmbeddingOptions = {},
  ) {
    super();
    checkSizes('Embedding', { count, size });
    this.weight = new Parameter(normal_(empty([count, size])));
    const { paddingIndex } = options;
    if (paddingIndex === undefined) return;
    if (!(Number.isInteger(paddingIndex) && paddingIndex >= 0 && paddingIndex < count)) {
      throw new ArgumentError(`Embedding: paddingIndex: got ${paddingIndex}, expected a row of ${count}`);
    }
    this.weight.detach().select(0, paddingIndex).copy_(0);
  }

  forward(index: AnyTensor): AnyTensor {
    return embedding(this.weight, index as Tensor<Shape, IndexDType>, this.options);
  }

  protected override describe(): string {
    return `${this.count} × ${this.size}`;
  }
}
