/** Tables of trained vectors. */
import { embeddingBag, type EmbeddingBagOptions } from '../ops/embedding-bag';
import { noGrad } from '../autograd/modes';
import { checkIndex, embedding, paddingRow, type EmbeddingOptions } from '../ops/indexing';
import { empty } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { scope } from '../tensor/scope';
import type { AnyTensor } from '../tensor/tensor';
import { normal_ } from './init';
import { Module, Parameter } from './module';
import { checkPositive, checkSizes } from './options';

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

export interface EmbeddingLayerOptions extends EmbeddingOptions {
  /** The largest norm of a row: rows that `forward` reads are scaled down to it first, in the table itself. Not bounded unless given. */
  readonly maxNorm?: number;
  /** The p of that norm; 2 unless given. */
  readonly normType?: number;
}

/**
 * Rows of a table: index of any shape to [...index.shape, size]. Rows start standard normal, a padding row zero, as in PyTorch.
 *
 * @throws ArgumentError for a norm that is not above 0.
 * @example
 * new nn.Embedding(100, 8).forward(tensor([3, 7], { dtype: 'int32' })).shape; // [2, 8]
 * new nn.Embedding(100, 8, { maxNorm: 1, scaleGradByFrequency: true });
 */
export class Embedding extends Module {
  /** [count, size] */
  weight: Parameter;

  constructor(
    readonly count: number,
    readonly size: number,
    readonly options: EmbeddingLayerOptions = {},
  ) {
    super();
    this.weight = tableOf('Embedding', count, size, options);
    const { maxNorm, normType = 2 } = options;
    if (maxNorm !== undefined) checkPositive('Embedding', 'maxNorm', maxNorm);
    checkPositive('Embedding', 'normType', normType);
  }

  forward(index: AnyTensor): AnyTensor {
    const { maxNorm, normType = 2, ...options } = this.options;
    if (maxNorm === undefined) return embedding(this.weight, index, options);
    checkIndex('embedding', index);
    noGrad(() => scope(() => this.#bound(index.reshape([-1]), maxNorm, normType)));
    return embedding(this.weight, index, options);
  }

  /** Scales the rows that are named down to a norm. A row that is named twice is written twice, the same. */
  #bound(index: AnyTensor, maxNorm: number, normType: number): void {
    const rows = this.weight.indexSelect(0, index as never) as AnyTensor;
    const bounded = rows.renorm(normType, 0, maxNorm);
    this.weight.copy_(this.weight.indexCopy(0, index as never, bounded));
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
