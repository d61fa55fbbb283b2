/** Low-rank adapters: large matrices stay as they are, and what is trained is a small correction to them. */
import { ArgumentError } from '../errors';
import { empty, zeros } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { show } from '../tensor/shapes';
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

/** W + (α / r)·B·A, A at random and B zero at first. The axes behind the first of W count as one. */
class LoraParametrization extends Parametrization {
  /** [rank, inputs] */
  readonly loraA: Parameter;
  /** [outputs, rank] */
  readonly loraB: Parameter;
  readonly #scale: number;

  constructor(weight: AnyTensor, rank: number, alpha: number) {
    super();
    const { dtype, device } = weight;
    const [outputs, inputs] = [weight.shape[0]!, weight.size / weight.shape[0]!];
    this.loraA = new Parameter(heUniform_(empty([rank, inputs], { dtype, device }), { slope: Math.sqrt(5) }));
    this.loraB = new Parameter(zeros([outputs, rank], { dtype, device }));
    this.#scale = alpha / rank;
  }

  protected override fields(): Iterable<[string, unknown]> {
    return [
      ['lora_A', this.loraA],
      ['lora_B', this.loraB],
    ];
  }

  forward(weight: AnyTensor): AnyTensor {
    const correction = (this.loraB as AnyTensor).matmul(this.loraA).mul(this.#scale);
    return weight.add(correction.reshape(weight.shape));
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
    return Object.values(this.stateDict()) as Parameter[];
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

  /** Adds the corrections to the matrices for good, which are plain parameters again. Answers the model. */
  merge(): Module {
    for (const [module, own] of this.#adapted) removeParametrizations(module, own);
    return this.model;
  }
}

const isAdapter = (name: string): boolean => /\.lora_[AB]$/.test(name);

/**
 * Gives parameters of a model low-rank adapters, W + (α / r)·B·A with A [r, inputs] and B [outputs, r], and freezes everything else: layers of any
 * kind, attention's joint projections and convolutions too, whose further axes count as inputs. B starts at zero, so the model computes what it did. The sum is
 * formed at each forward pass, at the cost of a product of rank r, however large the batch.
 *
 * @throws ArgumentError when no parameter matches.
 * @see Hu et al., 2021, LoRA: low-rank adaptation of large language models.
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
      if (!(value instanceof Parameter) || value.rank < 2) return [];
      const name = `${prefix === '' ? '' : `${prefix}.`}${own}`;
      return name.search(match) >= 0 ? [[module, own, name, value] as const] : [];
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
  for (const [module, own, , weight] of adapted) {
    parametrize(module, own, new LoraParametrization(weight, rank, alpha));
  }
  return new LoraAdapters(
    model,
    adapted.map(([module, own, name]) => [module, own, name]),
  );
}
