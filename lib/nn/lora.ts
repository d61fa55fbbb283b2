/** Low-rank adapters: large matrices stay as they are, and what is trained is a small correction to them. */
import { noGrad } from '../autograd/modes';
import { ArgumentError } from '../errors';
import { empty, zeros } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { embedding } from '../ops/indexing';
import { linear } from '../ops/matmul';
import { formOf, matrixForm, type MatrixForm } from '../ops/matrix-form';
import type { Shape } from '../tensor/shape-types';
import { show, sizeOf } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { heUniform_ } from './init';
import { Module, Parameter, type LoadResult, type StateDict } from './module';
import { checkSizes } from './options';
import { parametrize, Parametrization, removeParametrizations } from './parametrize';

export interface LoraOptions {
  /** Of the corrections: how many columns A and rows B have; 8 unless given. */
  readonly rank?: number;
  /** A correction is scaled by α / rank; α is the rank unless given. */
  readonly alpha?: number;
  /** Which parameters of two axes or more get one, by their names; all unless given. */
  readonly match?: RegExp;
}

/** What a weight has, whatever form it is in. */
type Matrix = Pick<MatrixForm, 'dtype' | 'device'> & { readonly shape: Shape };

/** W + (α / r)·B·A, A at random and B zero at first. The axes behind the first of W count as one. */
class LoraParametrization extends Parametrization {
  /** [rank, inputs] */
  readonly loraA: AnyTensor;
  /** [outputs, rank] */
  readonly loraB: AnyTensor;
  readonly #scale: number;

  constructor(loraA: AnyTensor, loraB: AnyTensor, scale: number) {
    super();
    this.loraA = loraA;
    this.loraB = loraB;
    this.#scale = scale;
  }

  /** What starts as no correction of a weight. */
  static of({ shape, dtype, device }: Matrix, rank: number, alpha: number): LoraParametrization {
    const [outputs, inputs] = [shape[0]!, sizeOf(shape.slice(1))];
    const a = new Parameter(heUniform_(empty([rank, inputs], { dtype, device }), { slope: Math.sqrt(5) }));
    return new LoraParametrization(a, new Parameter(zeros([outputs, rank], { dtype, device })), alpha / rank);
  }

  protected override fields(): Iterable<[string, unknown]> {
    return [
      ['lora_A', this.loraA],
      ['lora_B', this.loraB],
    ];
  }

  forward(weight: AnyTensor): AnyTensor {
    const correction = this.loraB.matmul(this.loraA).mul(this.#scale) as AnyTensor;
    return weight.add(correction.reshape(weight.shape));
  }

  /** x times the transpose of the correction alone, which is not formed. */
  product(x: AnyTensor): AnyTensor {
    return linear(linear(x, this.loraA), this.loraB).mul(this.#scale) as AnyTensor;
  }

  /** Rows of the correction alone. */
  rows(index: AnyTensor): AnyTensor {
    return (embedding(this.loraB, index) as AnyTensor).matmul(this.loraA).mul(this.#scale) as AnyTensor;
  }

  narrow(start: number, length: number): LoraParametrization {
    return new LoraParametrization(this.loraA, this.loraB.narrow(0, start, length), this.#scale);
  }
}

/** The same of a weight that is no tensor, whose products are corrected instead: x·Wᵀ + (α / r)·(x·Aᵀ)·Bᵀ. */
class CorrectedMatrix extends Module implements MatrixForm {
  readonly [matrixForm] = true;

  constructor(
    readonly base: MatrixForm,
    readonly correction: LoraParametrization,
  ) {
    super();
  }

  get shape(): MatrixForm['shape'] {
    return this.base.shape;
  }
  get dtype(): MatrixForm['dtype'] {
    return this.base.dtype;
  }
  get device(): MatrixForm['device'] {
    return this.base.device;
  }

  linear(x: AnyTensor, bias: AnyTensor | undefined): AnyTensor {
    return this.base.linear(x, bias).add(this.correction.product(x)) as AnyTensor;
  }

  rows(index: AnyTensor): AnyTensor {
    return this.base.rows(index).add(this.correction.rows(index)) as AnyTensor;
  }

  narrow(axis: 0, start: number, length: number): CorrectedMatrix {
    return new CorrectedMatrix(this.base.narrow(axis, start, length), this.correction.narrow(start, length));
  }

  dense(): AnyTensor {
    return this.correction.forward(this.base.dense());
  }
}

/** The adapters of a model: what is trained, saved and loaded. */
export class LoraAdapters {
  /** Each adapted parameter: its module, its name there, and its name in the model. */
  readonly #adapted: readonly (readonly [module: Module, own: string, name: string])[];

  /** @internal */
  constructor(
    readonly model: Module,
    adapted: readonly (readonly [module: Module, own: string, name: string])[],
  ) {
    this.#adapted = adapted;
  }

  /** The names of the adapted parameters. */
  get names(): string[] {
    return this.#adapted.map(([, , name]) => name);
  }

  /** What is trained: A and B of each. */
  parameters(): Parameter[] {
    return [...new Set(Object.values(this.stateDict()))] as Parameter[];
  }

  /** The adapters alone, under the names that the model's state dict gives them. */
  stateDict(): StateDict {
    return Object.fromEntries(Object.entries(this.model.stateDict()).filter(([name]) => isAdapter(name)));
  }

  /**
   * Copies adapters into the model.
   *
   * @throws ArgumentError when names are missing or unexpected; ShapeError when shapes differ.
   */
  loadStateDict(dict: Readonly<StateDict>): LoadResult {
    const own = Object.entries(this.model.stateDict()).filter(([name]) => !isAdapter(name));
    return this.model.loadStateDict({ ...Object.fromEntries(own), ...dict });
  }

  /** Adds the corrections to the matrices for good, which are plain parameters again, quantized ones too. Answers the model. */
  merge(): Module {
    const merged = new Map<MatrixForm, Parameter>();
    for (const [module, own] of this.#adapted) {
      const [holder, key] = Module.slotOf(module, own);
      const form = formOf(holder[key]);
      if (form === undefined) {
        removeParametrizations(module, own);
        continue;
      }
      if (!merged.has(form)) merged.set(form, new Parameter(noGrad(() => form.dense())));
      holder[key] = merged.get(form);
    }
    return this.model;
  }
}

const isAdapter = (name: string): boolean => /\.lora_[AB]$/.test(name);

/**
 * Gives parameters of a model low-rank adapters, W + (α / r)·B·A with A [r, inputs] and B [outputs, r], and freezes everything else: layers of any
 * kind, attention's joint projections and convolutions too, whose further axes count as inputs. B starts at zero, so the model computes what it did. The sum is
 * formed at each forward pass, at the cost of a product of rank r, however large the batch. Quantized weights (`nn.quantize`) stay quantized, and their products are
 * corrected instead.
 *
 * @throws ArgumentError when no parameter matches.
 * @see Hu et al., 2021, LoRA: low-rank adaptation of large language models; Dettmers et al., 2023, QLoRA: efficient finetuning of quantized LLMs.
 * @example
 * const model = new nn.TransformerEncoderLayer(16, 4);
 * const adapters = nn.lora(model, { rank: 2, match: /self_attn|linear/ });
 * const optimizer = new optim.AdamW(adapters.parameters(), { lr: 1e-3 });
 */
export function lora(model: Module, options: LoraOptions = {}): LoraAdapters {
  checkOptions('lora', options);
  const { rank = 8, alpha = rank, match = /^/ } = options;
  checkSizes('lora', { rank });
  const adapted = model.namedModules().flatMap(([prefix, module]) =>
    [...Module.tensorsOf(module)].flatMap(([own, value]) => {
      if (formOf(value) === undefined && (!(value instanceof Parameter) || value.rank < 2)) return [];
      const name = `${prefix === '' ? '' : `${prefix}.`}${own}`;
      return name.search(match) >= 0 ? [[module, own, name, value as Parameter | MatrixForm] as const] : [];
    }),
  );
  if (adapted.length === 0) {
    const large = model.namedParameters().filter(([, parameter]) => parameter.rank >= 2);
    const known = large.map(([name, parameter]) => `${name} ${show(parameter.shape)}`).join(', ');
    throw new ArgumentError(
      `lora: match: got ${match.source}, expected one that fits any of ${known || 'no matrices'}`,
    );
  }
  model.requiresGrad_(false);
  // A matrix that several layers share stays shared.
  const corrected = new Map<Matrix, CorrectedMatrix>();
  for (const [module, own, , weight] of adapted) {
    const correction = (): LoraParametrization => LoraParametrization.of(weight, rank, alpha);
    if (weight instanceof Parameter) {
      parametrize(module, own, correction());
      continue;
    }
    if (!corrected.has(weight)) corrected.set(weight, new CorrectedMatrix(weight, correction()));
    const [holder, key] = Module.slotOf(module, own);
    holder[key] = corrected.get(weight);
  }
  return new LoraAdapters(
    model,
    adapted.map(([module, own, name]) => [module, own, name]),
  );
}
