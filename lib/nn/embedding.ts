/** Tables of trained vectors. */
import { embeddingBag, type EmbeddingBagOptions } from '../ops/embedding-bag';
import { embedding, paddingRow, type EmbeddingOptions } from '../ops/indexing';
import { empty } from '../ops/creation';
import { checkOptions } from '../ops/define';
import type { AnyTensor } from '../tensor/tensor';
import { normal_ } from './init';
import { Module, Parameter } from './module';
import { checkSizes } from './options';

/** A table of standard normal rows, the padding row zero, as in PyTorch. */
function tableOf(
  layer: string,
  count: number,
  size: number,
  options: Pick<EmbeddingBagOptions, 'paddingIndex'>,
): Parameter {
  checkOptions(layer, options);
  checkSizes(layer, { count, size });
  const { paddingIndex } = options;
  const weight = new Parameter(normal_(empty([count, size])));
  if (paddingIndex === undefined) return weight;
  weight
    .detach()
    .select(0, paddingRow(layer, paddingIndex, count))
    .copy_(0);
  return weight;
}

/**
 * Rows of a table: index of any shape to [...index.shape, size]. Rows start standard normal, a padding row zero, as in PyTorch.
 *
 * @example
 * new nn.Embedding(100, 8).forward(tensor([3, 7], { dtype: 'int32' })).shape; // [2, 8]
 */
export class Embedding extends Module {
  /** [count, size] */
  weight: Parameter;

  constructor(
    readonly count: number,
    readonly size: number,
    readonly options: EmbeddingOptions = {},
  ) {
    super();
    this.weight = tableOf('Embedding', count, size, options);
  }

  forward(index: AnyTensor): AnyTensor {
    return embedding(this.weight, index, this.options);
  }

  protected override describe(): string {
    return `${this.count} × ${this.size}`;
  }
}

/**
 * Sums, means or maxima of bags of rows; see `nn.functional.embeddingBag`. Rows start standard normal, a padding row zero, as in PyTorch.
 *
 * @example
 * new nn.EmbeddingBag(100, 8).forward(tensor([[3, 7], [1, 1]], { dtype: 'int32' })).shape; // [2, 8]
 */
export class EmbeddingBag extends Module {
  /** [count, size] */
  weight: Parameter;

  constructor(
    readonly count: number,
    readonly size: number,
    readonly options: Pick<EmbeddingBagOptions, 'mode' | 'paddingIndex'> = {},
  ) {
    super();
    this.weight = tableOf('EmbeddingBag', count, size, options);
  }

  forward(index: AnyTensor, offsets?: AnyTensor, perSampleWeights?: AnyTensor): AnyTensor {
    return embeddingBag(this.weight, index, { ...this.options, offsets, perSampleWeights });
  }

  protected override describe(): string {
    return `${this.count} × ${this.size}`;
  }
}
