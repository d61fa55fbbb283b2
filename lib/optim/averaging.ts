/** Averages of a model's weights over a training: equal (stochastic weight averaging) or exponential. */
import { noGrad } from '../autograd/modes';
import { ArgumentError } from '../errors';
import { tensor } from '../ops/creation';
import { checkObject, checkOptions } from '../ops/define';
import { lerpTensors } from '../ops/optimizer-steps';
import { describe } from '../tensor/describe';
import { isFloat } from '../tensor/dtype';
import { scope } from '../tensor/scope';
import { sameShape, show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { partition } from './optimizer';

/** What averaging needs of a module. */
export interface AveragedModule {
  namedParameters(): [string, AnyTensor][];
  namedBuffers(): [string, AnyTensor][];
}

export interface AveragedModelOptions {
  /** How much of the average is kept in an update, for an exponential average; all updates count equally unless given. */
  readonly decay?: number;
  /** Whether the decay begins small and rises as (1 + n) / (10 + n) over the first updates n, so that the start is soon forgotten; false unless given. */
  readonly warmUp?: boolean;
  /** Whether buffers such as running statistics are averaged too; false unless given: they are those of the last update. */
  readonly useBuffers?: boolean;
}

/**
 * The average of a model's weights, kept beside it. `use` evaluates the model with the averaged weights, `swap` exchanges them for good.
 *
 * @throws ArgumentError for a decay outside [0, 1].
 * @see Izmailov et al., 2018, Averaging weights leads to wider optima and better generalization; Polyak and Juditsky, 1992, for exponential averages.
 * @example
 * const average = new optim.AveragedModel(model, { decay: 0.999 });
 * optimizer.step();
 * average.update();
 * const accuracy = average.use(() => evaluate(model));
 */
export class AveragedModel {
  private readonly averages = new Map<string, AnyTensor>();
  private count = 0;

  constructor(
    private readonly model: AveragedModule,
    private readonly options: AveragedModelOptions = {},
  ) {
    checkOptions('AveragedModel', options);
    const { decay = 0 } = options;
    if (!(decay >= 0 && decay <= 1)) {
      throw new ArgumentError(`AveragedModel: decay: got ${decay}, expected a number from 0 to 1`);
    }
    noGrad(() => {
      for (const [name, value] of this.tensors()) this.averages.set(name, value.clone().keep());
    });
  }

  /** How many updates the average is of. */
  get updates(): number {
    return this.count;
  }

  /** Takes the weights of the model into the average; the first time they are the average. */
  update(): void {
    const { useBuffers = false } = this.options;
    const weight = this.weight();
    const parameters = new Set(this.model.namedParameters().map(([name]) => name));
    const [averages, values]: [AnyTensor[], AnyTensor[]] = [[], []];
    noGrad(() => {
      for (const [name, value] of this.tensors()) {
        const average = this.averageOf(name);
        const isAveraged = weight < 1 && isFloat(value.dtype) && (useBuffers || parameters.has(name));
        if (!isAveraged) average.copy_(value);
        else {
          averages.push(average);
          values.push(value);
        }
      }
      for (const piece of partition(averages, values, () => true))
        lerpTensors(piece.parameters, piece.gradients, weight);
    });
    this.count++;
  }

  /** How much the next update counts. */
  private weight(): number {
    const { count } = this;
    const { decay, warmUp = false } = this.options;
    if (count === 0) return 1;
    if (decay === undefined) return 1 / (count + 1);
    return 1 - (warmUp ? Math.min(decay, (1 + count) / (10 + count)) : decay);
  }

  /** Exchanges the weights of the model and their average. */
  swap(): void {
    noGrad(() =>
      scope(() => {
        for (const [name, value] of this.tensors()) {
          const average = this.averageOf(name);
          const before = value.clone();
          value.copy_(average);
          average.copy_(before);
        }
      }),
    );
  }

  /** Runs `f` with the averaged weights in the model; they are taken out again at its end, or when its promise is settled. */
  use<T>(f: () => T): T {
    this.swap();
    let result: T;
    try {
      result = f();
    } catch (error) {
      this.swap();
      throw error;
    }
    if (result instanceof Promise) return result.finally(() => this.swap()) as T;
    this.swap();
    return result;
  }

  /** The averages under PyTorch's names: those of the model after `module.`, and `n_averaged`. */
  stateDict(): Record<string, AnyTensor> {
    const entries = [...this.averages].map(([name, average]): [string, AnyTensor] => [`module.${name}`, average]);
    return { n_averaged: tensor([this.count], { dtype: 'int64' }).reshape([]), ...Object.fromEntries(entries) };
  }

  /**
   * Takes over a state dict: tensors are copied.
   *
   * @throws ArgumentError when names or shapes differ; nothing is changed then.
   */
  loadStateDict(dict: Readonly<Record<string, AnyTensor>>): void {
    checkObject('AveragedModel', dict, 'state');
    const own = this.stateDict();
    for (const name of new Set([...Object.keys(own), ...Object.keys(dict)])) {
      const [expected, got] = [own[name], dict[name]];
      if (expected !== undefined && got instanceof Tensor && sameShape(expected.shape, got.shape)) continue;
      const shown = (value: unknown): string =>
        value instanceof Tensor ? show(value.shape) : value === undefined ? 'none' : describe(value);
      throw new ArgumentError(`AveragedModel: state: ${name}: got ${shown(got)}, expected ${shown(expected)}`);
    }
    noGrad(() => {
      for (const [name, average] of this.averages) average.copy_(dict[`module.${name}`]!);
    });
    this.count = dict['n_averaged']!.itemSync();
  }

  private tensors(): [string, AnyTensor][] {
    return [...this.model.namedParameters(), ...this.model.namedBuffers()];
  }

  private averageOf(name: string): AnyTensor {
    const average = this.averages.get(name);
    if (average !== undefined) return average;
    throw new ArgumentError(`AveragedModel: model: got a new parameter ${name}, expected those that it had before`);
  }
}

/** A layer whose running statistics can be measured anew. */
interface Tracking {
  momentum: number | null;
  resetRunningStats(): void;
}

/**
 * Measures the running statistics of all batch norms anew, as the mean over `batches`, for weights that were never trained as they are: averaged ones. Leaves
 * the model in the mode that it was in.
 *
 * @example
 * await average.use(() => optim.updateBatchNorm(model, loader, (batch) => model.forward(batch.image)));
 */
export async function updateBatchNorm<Batch>(
  model: {
    modules(): { training: boolean }[];
    train(): unknown;
  },
  batches: Iterable<Batch> | AsyncIterable<Batch>,
  forward: (batch: Batch) => unknown,
): Promise<void> {
  const modules = model.modules();
  const layers = modules.filter((layer): layer is Tracking & { training: boolean } => 'resetRunningStats' in layer);
  if (layers.length === 0) return;
  const modes = modules.map((layer) => layer.training);
  const momenta = layers.map(({ momentum }) => momentum);
  for (const layer of layers) layer.resetRunningStats();
  model.train();
  for (const layer of layers) layer.momentum = null;
  try {
    for await (const batch of batches) noGrad(() => scope(() => void forward(batch)));
  } finally {
    layers.forEach((layer, i) => (layer.momentum = momenta[i]!));
    modules.forEach((layer, i) => (layer.training = modes[i]!));
  }
}
