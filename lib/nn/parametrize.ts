/**
 * Parameters computed from others: a module's field becomes what a chain of parametrizations makes of the trained originals, anew at each read.
 * State names are those of torch.nn.utils.parametrize. Weight norm and spectral norm are here; adapters of low rank in lora.ts.
 */
import { noGrad } from '../autograd/modes';
import { ArgumentError } from '../errors';
import { checkOptions } from '../ops/define';
import { randn } from '../ops/random';
import { shown } from '../tensor/describe';
import type { Shape } from '../tensor/shape-types';
import { normalizeAxis, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from './convolution';
import { Module, Parameter } from './module';
import { snakeCase } from './names';
import { checkSizes } from './options';

/** How a parameter is computed, and what it is computed from. */
export abstract class Parametrization extends Module {
  /** The parameter. The first of a chain gets the originals, each other one what the one before made. */
  abstract forward(...originals: AnyTensor[]): AnyTensor;

  /** What `forward` is to get so that it gives `value`; `value` itself unless overridden. */
  rightInverse(value: AnyTensor): readonly AnyTensor[] {
    return [value];
  }
}

/** What stands for a parametrised parameter in the module: the originals and the chain. */
class Parametrized extends Module {
  readonly chain: Parametrization[] = [];

  constructor(readonly originals: readonly Parameter[]) {
    super();
  }

  protected override fields(): Iterable<[string, unknown]> {
    const { originals, chain } = this;
    const name = (i: number): string => (originals.length === 1 ? 'original' : `original${i}`);
    return [
      ...originals.map((original, i): [string, unknown] => [name(i), original]),
      ...chain.map((step, i): [string, unknown] => [String(i), step]),
    ];
  }

  forward(): AnyTensor {
    const [first, ...rest] = this.chain;
    return rest.reduce((value, step) => step.forward(value), first!.forward(...this.originals));
  }
}

/** A module whose parameters may be computed: by their names in PyTorch's spelling. */
type Host = Module & { parametrizations?: Record<string, Parametrized> };

/**
 * Makes the parameter `name` of a module (`weight`; of recurrent layers `weight_hh_l0` and so on) the output of `parametrization`. Its input, the `original` in
 * the state dict, is trained instead; where the parameter is computed already, the new one comes behind. Make the optimizer afterwards: the originals are new
 * parameters. Answers the module.
 *
 * @throws ArgumentError when the module has no such parameter.
 * @example
 * class Symmetric extends nn.Parametrization {
 *   forward(x: AnyTensor) {
 *     return x.triu().add(x.triu(1).transpose());
 *   }
 * }
 * nn.parametrize(new nn.Linear(3, 3), 'weight', new Symmetric());
 */
export function parametrize<M extends Module>(module: M, name: string, parametrization: Parametrization): M {
  const host = module as Host;
  const key = snakeCase(name);
  const value = parameterOf('parametrize', module, name);
  const originals = noGrad(() => parametrization.rightInverse(value.detach()));
  const known = host.parametrizations?.[key];
  if (known !== undefined) {
    if (originals.length > 1) {
      const got = `${parametrization.constructor.name} of ${originals.length} tensors`;
      throw new ArgumentError(
        `parametrize: parametrization: got ${got}, expected one of a single tensor behind others`,
      );
    }
    known.chain.push(parametrization);
    return module;
  }
  const parametrized = new Parametrized(
    originals.map((original) => new Parameter(original, { requiresGrad: value.requiresGrad })),
  );
  parametrized.chain.push(parametrization);
  const [holder, field] = Module.slotOf(module, name);
  Object.defineProperty(holder, field, { get: () => parametrized.forward(), enumerable: false, configurable: true });
  (host.parametrizations ??= {})[key] = parametrized;
  return module;
}

/** The parameter `name` of a module itself, plain or computed. */
function parameterOf(op: string, module: Module, name: string): AnyTensor {
  const [holder, field] = Module.slotOf(module, name);
  const value = holder[field];
  if (value instanceof Parameter || isParametrized(module, name)) return value as AnyTensor;
  const known = [...Module.tensorsOf(module)].filter(([, tensor]) => tensor instanceof Parameter);
  const expected = known.map(([own]) => own).join(', ') || 'a parameter';
  throw new ArgumentError(`${op}: name: got ${shown(name)} of ${module.constructor.name}, expected ${expected}`);
}

/** Whether the parameter `name` of a module, or any where none is named, is computed. */
export function isParametrized(module: Module, name?: string): boolean {
  const { parametrizations = {} } = module as Host;
  return name === undefined
    ? Object.keys(parametrizations).length > 0
    : Object.hasOwn(parametrizations, snakeCase(name));
}

/**
 * Makes a computed parameter a plain one again, with the value that it has now.
 *
 * @throws ArgumentError when the parameter is not computed.
 * @example
 * const layer = nn.weightNorm(new nn.Linear(3, 2));
 * nn.removeParametrizations(layer, 'weight').weight.shape; // [2, 3]
 */
export function removeParametrizations<M extends Module>(module: M, name: string): M {
  const host = module as Host;
  if (!isParametrized(module, name)) {
    throw new ArgumentError(
      `removeParametrizations: name: got ${shown(name)} of ${module.constructor.name}, expected a parametrised one`,
    );
  }
  const parametrized = host.parametrizations![snakeCase(name)]!;
  const value = new Parameter(noGrad(() => parametrized.forward().clone()));
  const [holder, field] = Module.slotOf(module, name);
  Object.defineProperty(holder, field, { value, enumerable: true, configurable: true, writable: true });
  delete host.parametrizations![snakeCase(name)];
  if (!isParametrized(module)) delete host.parametrizations;
  return module;
}

/** The axes of a tensor but for one. */
const othersThan = (axis: number, shape: Shape): number[] => [...shape.keys()].filter((other) => other !== axis);

class WeightNorm extends Parametrization {
  constructor(private readonly axis: number) {
    super();
  }

  forward(magnitude: AnyTensor, direction: AnyTensor): AnyTensor {
    return direction.mul(magnitude.div(this.norms(direction)));
  }

  override rightInverse(weight: AnyTensor): readonly AnyTensor[] {
    return [this.norms(weight), weight.clone()];
  }

  private norms(x: AnyTensor): AnyTensor {
    return (x.square().sum(othersThan(this.axis, x.shape), { keepDims: true }) as AnyTensor).sqrt();
  }
}

export interface WeightNormOptions {
  /** Along which there are norms of their own; 0, the outputs, unless given. */
  readonly axis?: number;
}

/**
 * Splits a parameter into its length and its direction: w = g·v / ‖v‖, g and v trained. Answers the module. State names are those of
 * torch.nn.utils.parametrizations.weight_norm.
 *
 * @see Salimans and Kingma, 2016, Weight normalization.
 * @example
 * const layer = nn.weightNorm(new nn.Linear(3, 2));
 * Object.keys(layer.stateDict()); // ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
 */
export function weightNorm<M extends Module>(module: M, name = 'weight', options: WeightNormOptions = {}): M {
  checkOptions('weightNorm', options);
  const { axis = 0 } = options;
  const { shape } = parameterOf('weightNorm', module, name);
  return parametrize(module, name, new WeightNorm(normalizeAxis('weightNorm', axis, shape)));
}

class SpectralNorm extends Parametrization {
  readonly _u: AnyTensor;
  readonly _v: AnyTensor;
  readonly #axis: number;
  readonly #iterations: number;
  readonly #epsilon: number;

  constructor(weight: AnyTensor, axis: number, iterations: number, epsilon: number) {
    super();
    this.#axis = axis;
    this.#iterations = iterations;
    this.#epsilon = epsilon;
    const matrix = this.matrixOf(weight.detach());
    const random = (size: number): AnyTensor =>
      (randn([size], { dtype: weight.dtype as 'float32', device: weight.device }) as AnyTensor).normalize({
        axis: 0,
        epsilon,
      });
    const [u, v] = noGrad(() => this.iterate(matrix, random(matrix.shape[0]!), random(matrix.shape[1]!), 15));
    this._u = u.keep();
    this._v = v.keep();
  }

  forward(weight: AnyTensor): AnyTensor {
    const matrix = this.matrixOf(weight);
    let [u, v]: [AnyTensor, AnyTensor] = [this._u, this._v];
    if (this.training) {
      [u, v] = noGrad(() => this.iterate(matrix.detach(), u, v, this.#iterations));
      noGrad(() => {
        this._u.copy_(u);
        this._v.copy_(v);
      });
    }
    return weight.div(u.matmul(matrix.matmul(v)) as AnyTensor);
  }

  /** Brings u and v closer to the singular vectors of the largest singular value. */
  private iterate(matrix: AnyTensor, u: AnyTensor, v: AnyTensor, times: number): [u: AnyTensor, v: AnyTensor] {
    const unit = (x: AnyTensor): AnyTensor => x.normalize({ axis: 0, epsilon: this.#epsilon });
    for (let i = 0; i < times; i++) {
      u = unit(matrix.matmul(v));
      v = unit(matrix.transpose().matmul(u));
    }
    return [u, v];
  }

  private matrixOf(weight: AnyTensor): AnyTensor {
    const first = weight.permute([this.#axis, ...othersThan(this.#axis, weight.shape)]);
    return first.reshape([weight.shape[this.#axis]!, -1]);
  }
}

export interface SpectralNormOptions {
  /** Steps of the power method at each read in training; 1 unless given. */
  readonly iterations?: number;
  /** Against division by zero; 1e-12 unless given. */
  readonly epsilon?: number;
  /** Which stands for the rows of the matrix, all others being columns; the outputs unless given. */
  readonly axis?: number;
}

/**
 * Divides a parameter by its largest singular value, so that the layer is 1-Lipschitz: w / σ(w), with σ found by the power method, its vectors kept
 * from step to step. Answers the module. State names are those of torch.nn.utils.parametrizations.spectral_norm.
 *
 * @throws ArgumentError when the parameter has fewer than two axes.
 * @see Miyato et al., 2018, Spectral normalization for generative adversarial networks.
 * @example
 * const critic = nn.spectralNorm(new nn.Linear(3, 2));
 */
export function spectralNorm<M extends Module>(module: M, name = 'weight', options: SpectralNormOptions = {}): M {
  checkOptions('spectralNorm', options);
  const weight = parameterOf('spectralNorm', module, name);
  if (weight.rank < 2) {
    throw new ArgumentError(`spectralNorm: name: got ${shown(name)} of shape ${show(weight.shape)}, expected a matrix`);
  }
  const isTransposed = [ConvTranspose1d, ConvTranspose2d, ConvTranspose3d].some((layer) => module instanceof layer);
  const { iterations = 1, epsilon = 1e-12, axis = isTransposed ? 1 : 0 } = options;
  checkSizes('spectralNorm', { iterations });
  const along = normalizeAxis('spectralNorm', axis, weight.shape);
  return parametrize(module, name, new SpectralNorm(weight, along, iterations, epsilon));
}
