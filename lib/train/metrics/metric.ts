/**
 * What metrics share: they gather on the device what each batch adds, without waiting for it, and read the device only when a value is asked
 * for. The classes beside this file say what is gathered and what it means.
 */
import { noGrad } from '../../autograd/modes';
import { ArgumentError, ShapeError } from '../../errors';
import { full } from '../../ops/creation';
import { checkObject, checkTensor } from '../../ops/define';
import { stack } from '../../ops/movement';
import { scope } from '../../tensor/scope';
import { sameShape, show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';

/** What a metric has gathered so far, for checkpoints and for other processes: tensors and plain data. */
export type MetricState = Readonly<Record<string, unknown>>;

/** A value over many batches. */
export interface Metric<Inputs extends readonly unknown[] = readonly never[], Value = unknown> {
  /** Adds a batch. Nothing waits for the device. */
  update(...inputs: Inputs): void;
  /** The value over all batches since the last {@link reset}; NaN where there is none. */
  compute(): Promise<Value>;
  /** Forgets all batches. */
  reset(): void;
  stateDict(): MetricState;
  loadStateDict(state: MetricState): void;
  /** Adds the batches of another metric with the same settings, from its {@link stateDict}. Where several processes train it must be there. */
  merge?(state: MetricState): void;
}

/** A metric that follows from sums over all samples: a vector of float64 on the device of the first batch, to which each batch adds. */
export abstract class SumMetric<Inputs extends readonly unknown[], Value = number> implements Metric<Inputs, Value> {
  #sums: AnyTensor | undefined;

  /** How many sums there are. */
  protected abstract readonly length: number;

  /** What a batch adds, as float64 [length]. Runs without recording, in a scope. */
  protected abstract measure(...inputs: Inputs): AnyTensor;

  /** The value that follows from the sums. */
  protected abstract evaluate(sums: Float64Array): Value;

  /** Takes the sums of other batches into `sums`, in place. */
  protected accumulate(sums: AnyTensor, added: AnyTensor): void {
    sums.add_(added);
  }

  update(...inputs: Inputs): void {
    this.#add(() => this.measure(...inputs));
  }

  /** @throws ArgumentError when the state is that of another metric. */
  merge(state: MetricState): void {
    const sums = this.#sumsOf(state);
    if (sums !== undefined) this.#add(() => sums.clone() as AnyTensor);
  }

  #add(sums: () => AnyTensor): void {
    noGrad(() =>
      scope(() => {
        const added = sums();
        if (this.#sums === undefined) this.#sums = added.keep();
        else this.accumulate(this.#sums, added.to(this.#sums.device) as AnyTensor);
      }),
    );
  }

  async compute(): Promise<Value> {
    const sums = this.#sums === undefined ? new Float64Array(this.length) : await this.#sums.data();
    return this.evaluate(sums as Float64Array);
  }

  reset(): void {
    this.#sums = undefined;
  }

  stateDict(): MetricState {
    return this.#sums === undefined ? {} : { sums: this.#sums };
  }

  /** @throws ArgumentError when the state is that of another metric. */
  loadStateDict(state: MetricState): void {
    const sums = this.#sumsOf(state);
    this.#sums = sums && noGrad(() => sums.clone().keep());
  }

  #sumsOf(state: MetricState): AnyTensor | undefined {
    const name = this.constructor.name;
    checkObject(name, state, 'state');
    const sums: unknown = state['sums'];
    if (sums !== undefined) checkTensor(name, sums, 'state: sums');
    if (sums !== undefined && !sameShape(sums.shape, [this.length])) {
      throw new ArgumentError(`${name}: state: got sums of shape ${show(sums.shape)}, expected [${this.length}]`);
    }
    return sums;
  }
}

/** A metric that is the quotient of two sums, such as a mean; NaN where there is nothing to divide. */
export abstract class RatioMetric<Inputs extends readonly unknown[]> extends SumMetric<Inputs> {
  protected readonly length = 2;

  protected evaluate(sums: Float64Array): number {
    return sums[0]! / sums[1]!;
  }
}

/** A number as a 0-d tensor of float64 beside `like`. */
export const countOf = (value: number, like: AnyTensor): AnyTensor =>
  full([], value, { dtype: 'float64', device: like.device }) as AnyTensor;

/** 0-d tensors as one vector of float64. */
export const sumsOf = (...values: readonly AnyTensor[]): AnyTensor =>
  stack(values.map((value) => value.cast('float64') as AnyTensor)) as AnyTensor;

/** Throws unless predictions, or scores, and targets are tensors. */
export function checkInputs(metric: string, predictions: unknown, targets: unknown, name = 'predictions'): void {
  checkTensor(metric, predictions, name);
  checkTensor(metric, targets, 'targets');
}

/** Throws unless the two have one shape. */
export function checkSameShape(metric: string, predictions: AnyTensor, targets: AnyTensor): void {
  checkInputs(metric, predictions, targets);
  if (sameShape(predictions.shape, targets.shape)) return;
  throw new ShapeError(
    `${metric}: predictions: got shape ${show(predictions.shape)}, expected ${show(targets.shape)} as the targets`,
  );
}
