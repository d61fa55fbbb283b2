/**
 * The training loop: batches from a loader through a user's step function into gradients and optimizer steps, with validation, metrics, logging and
 * callbacks around. It owns the order of these and the state that a checkpoint needs; what happens in a step is the user's.
 */
import { noGrad } from '../autograd/modes';
import { unlessAborted } from '../data/loader';
import { allGather, allReduce, barrier } from '../distributed/collectives';
import { DistributedDataParallel } from '../distributed/distributed-data-parallel';
import { rank, worldSize } from '../distributed/process-group';
import { ArgumentError, HadalError } from '../errors';
import { checkSignal } from '../io/paths';
import { deviceOf, Module, type ForwardModule } from '../nn/module';
import type { AveragedModel } from '../optim/averaging';
import { clipGradNorm, clipGradValue } from '../optim/clip';
import { tensor } from '../ops/creation';
import { checkGivenOptions, checkObject, checkOptions, checkTensor } from '../ops/define';
import { memory } from '../runtime/device';
import { getRandomState, setRandomState, type RandomState } from '../runtime/random';
import {
  checkCount,
  checkFunction,
  checkIterable,
  checkList,
  checkMethods,
  checkNumber,
  checkString,
} from '../tensor/checks';
import { describe, shown } from '../tensor/describe';
import { scope } from '../tensor/scope';
import { show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import type { Callback, Run, Values } from './callback';
import { loadCheckpoint, saveCheckpoint, type CheckpointPart, type Positioned, type Stateful } from './checkpoint';
import { Checkpoints } from './checkpoints';
import { monitored } from './early-stopping';
import type { Logger } from './logger';
import { Mean, mergeMetrics, type Metric } from './metrics';
import { mergeStates, mergingMethods, statesOf } from './metrics/merge';

/** What makes steps out of gradients: every class of `optim`. */
export interface Stepper extends Stateful {
  readonly groups: readonly object[];
  step(): void;
  zeroGrad(): void;
}

/** What changes learning rates. One that follows a measurement gets its value. */
export interface Schedule extends Stateful {
  step(value?: number): void;
}

/** What keeps the gradients of 16-bit floats from vanishing: scales the loss, and makes steps only of finite gradients. */
export interface Scaler extends Stateful {
  scale(loss: AnyTensor): AnyTensor;
  unscale_(optimizer: never): void;
  /** Waited for. */
  step(optimizer: never): unknown;
  update(): void;
}

/** What a step function answers: the loss, and for metrics what was predicted and what is true. */
export interface StepOutput {
  readonly loss: AnyTensor;
  readonly predictions?: AnyTensor;
  readonly targets?: AnyTensor;
}

export type BatchSource<Batch> = AsyncIterable<Batch> | Iterable<Batch>;

type Metrics = Readonly<Record<string, Metric<readonly [AnyTensor, AnyTensor]>>>;

/** What was measured: the mean loss, and the value of each metric. */
export type Measured<M> = { readonly loss: number } & {
  readonly [K in keyof M]: M[K] extends Metric<never, infer Value> ? Value : never;
};

export interface TrainerOptions<Batch, M extends Metrics> {
  readonly model: Module;
  readonly optimizer: Stepper;
  /** The loss of a batch, as a 0-d tensor, alone or with what metrics need. Called in a scope, in training and in validation. */
  readonly step: (batch: Batch) => AnyTensor | StepOutput;
  /** Makes the metrics: for training and for each evaluation; where several processes train, for each merging of theirs too, and they need `merge`. */
  readonly metrics?: () => M;
  readonly schedule?: Schedule;
  /** When the schedule makes its steps: after each optimizer step unless given, or at the end of each epoch. */
  readonly scheduleEvery?: 'step' | 'epoch';
  /** The value that the schedule gets, such as `'valLoss'`. */
  readonly scheduleMonitor?: string;
  readonly scaler?: Scaler;
  /** Runs the step function in reduced precision: `(f) => autocast('bfloat16', f)`. */
  readonly autocast?: <T>(f: () => T) => T;
  /** How many batches make one optimizer step, by the mean of their losses; 1 unless given. */
  readonly accumulate?: number;
  /** The largest magnitude of an element of a gradient; not bounded unless given. */
  readonly clipValue?: number;
  /** The largest norm of all gradients together, after `clipValue`; not bounded unless given. */
  readonly clipNorm?: number;
  /** An average of the weights: updated after each optimizer step, and what is validated. */
  readonly average?: AveragedModel;
  readonly callbacks?: readonly Callback[];
  readonly loggers?: readonly Logger[];
  /** How often values are logged, in optimizer steps; 20 unless given. */
  readonly logEvery?: number;
  /** Whether a run goes on when its loss is no number; false unless given. */
  readonly allowNaN?: boolean;
}

export interface FitOptions<Batch> {
  /** Until when: as many epochs or optimizer steps in all, those before a resumption included; at least one of the two. */
  readonly epochs?: number;
  readonly maxSteps?: number;
  readonly validation?: BatchSource<Batch>;
  /** How often the model is validated, in optimizer steps; at the end of each epoch unless given. The end of the run is always validated. */
  readonly validateEvery?: number;
  /** Ends the run between two batches, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** How many batches may be in the device's queue when the next is prepared: with one, the device has work meanwhile. */
const BATCHES_AHEAD = 1;

/** A batch whose loss has been asked for. */
interface Pending {
  readonly loss: Promise<number>;
  readonly samples: number;
  /** What is to be logged once the loss is there. */
  log?: {
    readonly step: number;
    readonly position: Values;
    readonly gradNorm: Promise<number> | undefined;
    readonly metrics: () => Promise<Record<string, unknown>>;
  };
}

/**
 * Trains a model.
 *
 * Between batches the loop waits for the device without blocking: timers, servers and sockets in the same process go on.
 *
 * In several processes (`distributed`) all of them train, and all must call `fit`, `evaluate` and `save`. Losses are means over the processes, metrics
 * those of all batches of all processes; rank 0 alone logs and writes checkpoints.
 *
 * @example
 * const trainer = new train.Trainer({
 *   model,
 *   optimizer: new optim.AdamW(model.parameters(), { lr: 1e-3 }),
 *   step: ([x, targets]: [AnyTensor, AnyTensor]) => {
 *     const predictions = model.forward(x);
 *     return { loss: nn.functional.crossEntropy(predictions, targets), predictions, targets };
 *   },
 *   metrics: () => ({ accuracy: new train.Accuracy() }),
 *   callbacks: [new train.Progress(), new train.EarlyStopping()],
 * });
 * await trainer.fit(loader, { epochs: 10, validation });
 */
export class Trainer<Batch, M extends Metrics = Record<never, never>> implements Run {
  readonly model: Module;
  readonly average: AveragedModel | undefined;
  readonly #options: TrainerOptions<Batch, M>;
  readonly #callbacks: readonly Callback[];
  readonly #loggers: readonly Logger[];
  readonly #accumulate: number;
  readonly #logEvery: number;
  #step = 0;
  #epoch = 0;
  #batch = 0;
  #validatedAt = -1;
  #values: Record<string, number> = {};
  #totalSteps = NaN;
  #finished = false;
  #stopped = false;
  /** The loaders of `fit`: of training and of validation. */
  #loader: BatchSource<Batch> | undefined;
  #validation: BatchSource<Batch> | undefined;
  /** Where they go on, when the run was loaded before `fit`. */
  #positions: Readonly<Record<string, unknown>> = {};
  /** Where each process was in its random numbers, in a run of several that was loaded. */
  #randomStates: RunState['random'];
  /** Batches whose gradients wait for the optimizer. */
  #gathered = 0;
  #gradNorm: AnyTensor | undefined;
  #pending: Pending[] = [];
  /** Since values were last logged. */
  readonly #metrics: M;
  #window = { loss: 0, batches: 0 };
  #speed = { start: 0, step: 0, samples: 0 };

  constructor(options: TrainerOptions<Batch, M>) {
    checkTrainerOptions(options);
    const { accumulate = 1, logEvery = 20, callbacks = [], loggers = [] } = options;
    this.#options = options;
    this.model = options.model;
    this.average = options.average;
    this.#accumulate = accumulate;
    this.#logEvery = logEvery;
    this.#loggers = rank() === 0 ? loggers : [];
    // They come last, so that what the other callbacks remember of a step is saved with it.
    const savesRun = (callback: Callback): boolean => callback instanceof Checkpoints;
    this.#callbacks = [...callbacks.filter((each) => !savesRun(each)), ...callbacks.filter(savesRun)];
    this.#metrics = this.#newMetrics();
  }

  #newMetrics(): M {
    const metrics = this.#options.metrics?.() ?? ({} as M);
    checkObject('Trainer', metrics, 'metrics');
    const methods = [...metricMethods, ...(worldSize() > 1 ? mergingMethods : [])];
    for (const [name, metric] of Object.entries(metrics))
      checkMethods('Trainer', `metrics: ${name}`, metric, [...new Set(methods)]);
    return metrics;
  }

  get step(): number {
    return this.#step;
  }
  get epoch(): number {
    return this.#epoch;
  }
  get batch(): number {
    return this.#batch;
  }
  get totalSteps(): number {
    return this.#totalSteps;
  }
  get finished(): boolean {
    return this.#finished;
  }
  get validates(): boolean {
    return this.#validation !== undefined;
  }
  get values(): Values {
    return this.#values;
  }

  /** Ends the run after the step, or the validation, that is under way. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Trains until as many epochs or steps are done, {@link stop} is called or the signal aborts. Answers the latest of each value that was measured.
   *
   * @throws the signal's reason; HadalError when the loss is no number; whatever the step function or a callback throws.
   */
  async fit(loader: BatchSource<Batch>, options: FitOptions<Batch>): Promise<Values> {
    checkLoader('fit', 'loader', loader);
    checkGivenOptions('fit', options, 'Trainer.fit');
    const { epochs = Infinity, maxSteps = Infinity, validation, validateEvery = Infinity } = options;
    if (validation !== undefined) checkLoader('fit', 'validation', validation);
    checkSignal('fit', options.signal);
    if (epochs === Infinity && maxSteps === Infinity) {
      throw new ArgumentError('fit: epochs: got neither epochs nor maxSteps, expected at least one of them');
    }
    for (const [name, count] of Object.entries({ epochs, maxSteps, validateEvery })) {
      if (count !== Infinity) checkCount('fit', name, count);
    }
    const stepsOfEpochs = epochs === Infinity ? NaN : epochs * Math.ceil((lengthOf(loader) ?? NaN) / this.#accumulate);
    this.#totalSteps = Number.isNaN(stepsOfEpochs) ? finiteOr(maxSteps, NaN) : Math.min(stepsOfEpochs, maxSteps);
    this.#loader = loader;
    this.#validation = validation;
    for (const [name, positioned] of Object.entries(this.#positioned())) {
      if (this.#positions[name] !== undefined) positioned.restore(this.#positions[name] as never);
    }
    this.#positions = {};
    this.#stopped = false;
    this.#finished = false;
    this.#gathered = 0;
    this.#options.optimizer.zeroGrad();
    try {
      await this.#call((callback) => callback.onFitStart?.(this));
      if (this.#step === 0) for (const logger of this.#loggers) await logger.resume?.(0);
      this.model.train();
      this.#speed = { start: performance.now(), step: this.#step, samples: 0 };
      // A run that goes on from its last step still has the end of that epoch to do.
      const goesOn = (): boolean => this.#step < maxSteps || this.#batch === lengthOf(loader);
      while (this.#epoch < epochs && goesOn() && !this.#stopped) await this.#trainEpoch(loader, options);
      await this.#settle(0);
      if (this.#values['loss'] === undefined) await this.#takeLoss();
      if (validation !== undefined && this.#validatedAt !== this.#step) await this.#validate(validation, options);
      this.#finished = true;
    } catch (error) {
      this.#pending = [];
      await this.#end().catch(() => {}); // the first error tells more
      throw error;
    }
    await this.#end();
    return this.#values;
  }

  async #end(): Promise<void> {
    await this.#call((callback) => callback.onFitEnd?.(this));
    for (const logger of this.#loggers) await logger.flush?.();
  }

  async #trainEpoch(loader: BatchSource<Batch>, options: FitOptions<Batch>): Promise<void> {
    const { maxSteps = Infinity, validation, validateEvery, signal } = options;
    if (this.#batch === 0) await this.#call((callback) => callback.onEpochStart?.(this));
    const batches = await this.#remainingBatches(loader);
    try {
      for (;;) {
        const isOver = this.#stopped || this.#step >= maxSteps;
        if (isOver && this.#batch !== lengthOf(loader)) return;
        signal?.throwIfAborted();
        const next = await unlessAborted(Promise.resolve(batches.next()), signal);
        if (next.done === true) break;
        await this.#trainBatch(next.value, options);
      }
    } finally {
      const ended = handledLater(Promise.resolve(batches.return?.()));
      if (signal?.aborted !== true) await ended; // one that is stuck never ends
    }
    if (this.#batch === 0) {
      const which = this.#epoch === 0 ? '' : ` in epoch ${this.#epoch + 1}; a generator can be iterated once`;
      throw new ArgumentError(`fit: loader: got no batches, expected at least one${which}`);
    }
    if (this.#gathered > 0) {
      if (this.model instanceof DistributedDataParallel) this.model.averageGradients();
      await this.#optimize();
      await this.#afterStep(options);
    }
    await this.#settle(0);
    if (validation !== undefined && validateEvery === undefined) await this.#validate(validation, options);
    this.#epoch++;
    this.#batch = 0;
    if (this.#options.scheduleEvery === 'epoch') this.#advanceSchedule();
    await this.#call((callback) => callback.onEpochEnd?.(this));
    this.#checkMonitor();
  }

  /** Throws when the schedule waits for a value that neither an epoch nor what is logged and validated in it has measured. */
  #checkMonitor(): void {
    const { scheduleMonitor } = this.#options;
    const isMeasured = this.#step >= this.#logEvery && (!this.validates || this.#validatedAt >= 0);
    if (scheduleMonitor !== undefined && isMeasured) {
      monitored('Trainer', scheduleMonitor, this.#values, 'scheduleMonitor');
    }
  }

  /** Begins behind the batches of this epoch that are done. */
  async #remainingBatches(loader: BatchSource<Batch>): Promise<AsyncIterator<Batch> | Iterator<Batch>> {
    if (isPositioned(loader) && this.#batch > 0) loader.restore(loader.state() as never);
    const batches = Symbol.asyncIterator in loader ? loader[Symbol.asyncIterator]() : loader[Symbol.iterator]();
    if (!isPositioned(loader)) for (let done = 0; done < this.#batch; done++) await batches.next();
    return batches;
  }

  async #trainBatch(batch: Batch, options: FitOptions<Batch>): Promise<void> {
    const { scaler } = this.#options;
    const isStep = this.#gathered + 1 === this.#accumulate;
    let samples = 0;
    const train = (): AnyTensor => {
      const output = this.#run(batch);
      samples = output.samples;
      const mean = this.#accumulate === 1 ? output.loss : output.loss.mul(1 / this.#accumulate);
      (scaler === undefined ? mean : scaler.scale(mean)).backward();
      updateMetrics(this.#metrics, output);
      return output.loss.detach() as AnyTensor;
    };
    const { model } = this;
    const loss = scope(() => (model instanceof DistributedDataParallel && !isStep ? model.noSync(train) : train()));
    this.#batch++;
    this.#gathered++;
    this.#pending.push({ loss: handledLater(loss.item()), samples });
    if (isStep) await this.#optimize();
    await this.#settle(BATCHES_AHEAD);
    if (isStep) await this.#afterStep(options);
  }

  /** The step function's answer. */
  #run(batch: Batch): StepOutput & { readonly samples: number } {
    const { step, autocast } = this.#options;
    const output: unknown = autocast === undefined ? step(batch) : autocast(() => step(batch));
    const parts = (isTensor(output) ? { loss: output } : output) as StepOutput;
    const loss: unknown = parts?.loss;
    if (!isTensor(loss) || loss.size !== 1) {
      const got = isTensor(loss) ? `shape ${show(loss.shape)}` : describe(loss ?? output);
      throw new ArgumentError(`Trainer: step: loss: got ${got}, expected a tensor of one element`);
    }
    const { predictions, targets } = parts;
    if (predictions !== undefined) checkTensor('Trainer', predictions, 'step: predictions');
    if (targets !== undefined) checkTensor('Trainer', targets, 'step: targets');
    return { ...parts, samples: targets?.shape[0] ?? 0 };
  }

  /** Makes an optimizer step of the gradients that were gathered. */
  async #optimize(): Promise<void> {
    const { optimizer, scaler, clipValue, clipNorm } = this.#options;
    if (clipValue !== undefined || clipNorm !== undefined) scaler?.unscale_(optimizer as never);
    if (clipValue !== undefined) clipGradValue(this.model.parameters(), clipValue);
    if (clipNorm !== undefined) this.#gradNorm = scope(() => clipGradNorm(this.model.parameters(), clipNorm));
    if (scaler === undefined) optimizer.step();
    else {
      await scaler.step(optimizer as never);
      scaler.update();
    }
    optimizer.zeroGrad();
    this.average?.update();
    this.#gathered = 0;
    this.#step++;
    const isLogged = this.#step % this.#logEvery === 0;
    if (isLogged) this.#pending.at(-1)!.log = this.#measurement();
    if (this.#options.scheduleEvery !== 'epoch') this.#advanceSchedule();
  }

  #advanceSchedule(): void {
    const { schedule, scheduleMonitor } = this.#options;
    if (scheduleMonitor === undefined) schedule?.step();
    else if (this.#values[scheduleMonitor] !== undefined) schedule?.step(this.#values[scheduleMonitor]);
  }

  async #afterStep(options: FitOptions<Batch>): Promise<void> {
    const { validation, validateEvery } = options;
    if (validation !== undefined && validateEvery !== undefined && this.#step % validateEvery === 0) {
      await this.#settle(0);
      await this.#validate(validation, options);
    }
    await this.#call((callback) => callback.onStepEnd?.(this));
  }

  /** Asks for what is logged with this step, without waiting for it. */
  #measurement(): NonNullable<Pending['log']> {
    const { optimizer } = this.#options;
    const length = lengthOf(this.#loader);
    const learningRate = (optimizer.groups[0] as { readonly lr?: number } | undefined)?.lr;
    const position = {
      epoch: this.#epoch + (length === undefined ? 0 : this.#batch / length),
      ...(learningRate !== undefined && { learningRate }),
    };
    const gradNorm = this.#gradNorm && handledLater(this.#gradNorm.item());
    const metrics = this.#valuesOf(this.#metrics);
    for (const metric of Object.values(this.#metrics)) metric.reset();
    return { step: this.#step, position, gradNorm, metrics };
  }

  /** Asks for what metrics have gathered by now. The answer's call merges it with that of the other processes, which come to it at the same step. */
  #valuesOf(metrics: M): () => Promise<Record<string, unknown>> {
    if (worldSize() === 1) {
      const values = handledLater(computeAll(metrics));
      return () => values;
    }
    const own = handledLater(statesOf(metrics));
    return async () => await computeAll(await this.#merged(own));
  }

  /** New metrics with what all processes have gathered. */
  async #merged(own: Promise<Uint8Array>): Promise<M> {
    const metrics = this.#newMetrics();
    await mergeStates(metrics, await own);
    return metrics;
  }

  /** Waits until the losses of all but the last `ahead` batches are known. */
  async #settle(ahead: number): Promise<void> {
    while (this.#pending.length > ahead) {
      const { loss: promise, samples, log } = this.#pending[0]!;
      const loss = await promise;
      this.#pending.shift();
      if (this.#options.allowNaN !== true && !Number.isFinite(loss)) {
        throw new HadalError(`fit: loss: got ${loss} at step ${this.#step}, expected a finite number`, {
          step: this.#step,
        });
      }
      this.#window.loss += loss;
      this.#window.batches++;
      this.#speed.samples += samples;
      if (log === undefined) continue;
      const mean = this.#window.loss / this.#window.batches;
      this.#window = { loss: 0, batches: 0 };
      const gradNorm = await log.gradNorm;
      await this.#report(log.step, {
        ...(await meansOf({ ...log.position, loss: mean })),
        ...(await log.metrics()),
        ...(await meansOf({ ...(gradNorm !== undefined && { gradNorm }), ...this.#takeSpeed(log.step) })),
      });
    }
  }

  /** The loss of a run too short to be logged. */
  async #takeLoss(): Promise<void> {
    const { loss, batches } = this.#window;
    if (batches > 0) Object.assign(this.#values, await meansOf({ loss: loss / batches }));
  }

  /** Steps and samples per second since the last call, and the memory in use. */
  #takeSpeed(step: number): Values {
    const now = performance.now();
    const seconds = (now - this.#speed.start) / 1000;
    const { step: from, samples } = this.#speed;
    this.#speed = { start: now, step, samples: 0 };
    return {
      stepsPerSecond: (step - from) / seconds,
      ...(samples > 0 && { samplesPerSecond: samples / seconds }),
      tensorBytes: memory(deviceOf(this.model)).liveBytes,
      processBytes: process.memoryUsage.rss(),
    };
  }

  async #validate(validation: BatchSource<Batch>, { signal }: FitOptions<Batch>): Promise<void> {
    const start = performance.now();
    const measured: Record<string, unknown> = await this.evaluate(validation, signal === undefined ? {} : { signal });
    this.#validatedAt = this.#step;
    const named = Object.entries(measured).map(([name, value]) => [`val${capitalized(name)}`, value] as const);
    const length = lengthOf(this.#loader);
    const epoch = this.#epoch + (this.#batch === 0 || length === undefined ? 0 : this.#batch / length);
    const values = await this.#report(this.#step, { epoch, ...Object.fromEntries(named) });
    await this.#call((callback) => callback.onValidationEnd?.(this, values));
    this.#speed.start += performance.now() - start;
  }

  /** Hands what was measured, the same in all processes, to the loggers; answers the numbers. */
  async #report(step: number, measured: Readonly<Record<string, unknown>>): Promise<Values> {
    const values: Record<string, number> = {};
    for (const [name, value] of Object.entries(measured)) {
      if (typeof value === 'number') values[name] = value;
      else if (isMatrix(value)) for (const logger of this.#loggers) await logger.confusion?.(step, name, value);
      else if (Array.isArray(value)) value.forEach((each: number, i) => (values[`${name}.${i}`] = each));
    }
    await this.log(values, step);
    return values;
  }

  /** Hands values to the loggers, as those of a step; of the present one unless given. */
  async log(values: Values, step: number = this.#step): Promise<void> {
    checkObject('log', values, 'values');
    checkCount('log', 'step', step, 0);
    Object.assign(this.#values, values);
    for (const logger of this.#loggers) await logger.scalars(step, values);
  }

  /**
   * The mean loss and the metrics of a model that is not trained meanwhile. The loss is weighted by the number of samples where the step function
   * answers targets. Where several processes train all must call it, each with its share of the batches: values are those of all shares.
   *
   * @example
   * const { loss, accuracy } = await trainer.evaluate(testLoader);
   */
  async evaluate(loader: BatchSource<Batch>, options: { readonly signal?: AbortSignal } = {}): Promise<Measured<M>> {
    checkLoader('evaluate', 'loader', loader);
    checkOptions('evaluate', options, 'Trainer.evaluate');
    const { signal } = options;
    checkSignal('evaluate', signal);
    const metrics = this.#newMetrics();
    const loss = new Mean();
    using _ = inEvaluation(this.model, this.average);
    let previous: Promise<number> | undefined;
    for await (const batch of loader) {
      signal?.throwIfAborted();
      const lossOfBatch = noGrad(() =>
        scope(() => {
          const output = this.#run(batch);
          loss.update(output.loss, output.samples || 1);
          updateMetrics(metrics, output);
          return output.loss;
        }),
      );
      const current = handledLater(lossOfBatch.item());
      await previous; // the queue stays short
      previous = current;
    }
    const all = { loss, ...metrics } as Metrics;
    await mergeMetrics(all);
    return (await computeAll(all)) as Measured<M>;
  }

  /**
   * What `f` makes of each batch, the model's `forward` unless given, without gradients and with the model in evaluation mode.
   *
   * @example
   * for await (const logits of trainer.predict(loader, ([x]) => model.forward(x))) console.log(await logits.argmax(1).data());
   */
  async *predict<Output = unknown>(
    loader: BatchSource<Batch>,
    f: (batch: Batch) => Output = (batch) => (this.model as ForwardModule).forward(batch as never) as Output,
  ): AsyncGenerator<Output, void, undefined> {
    checkLoader('predict', 'loader', loader);
    checkFunction('predict', 'f', f);
    using _ = inEvaluation(this.model, this.average);
    for await (const batch of loader) {
      yield noGrad(() => scope(() => f(batch)));
    }
  }

  /**
   * Saves everything that {@link load} needs: model, optimizer, schedule, scaler, average, random state, the loaders' positions, metrics, callbacks and counts.
   * Where several processes train all must call it; rank 0 writes the file.
   *
   * @throws what {@link saveCheckpoint} throws; HadalError when the loss of a step that is to be saved is no number.
   */
  async save(path: string): Promise<void> {
    await this.#settle(0);
    const state = await this.#state();
    if (rank() === 0) await saveCheckpoint(path, this.#parts(state));
    if (worldSize() > 1) await barrier(); // the file is there for all
  }

  /** Goes on from what {@link save} saved, in this `fit` or the next. */
  async load(path: string): Promise<void> {
    this.#positions = await loadCheckpoint(path, this.#parts(), { device: deviceOf(this.model) });
    const [low, high, offset] = this.#randomStates?.[rank()] ?? [];
    if (offset !== undefined) setRandomState({ seed: [low!, high!], offset });
    for (const logger of this.#loggers) await logger.resume?.(this.#step);
  }

  #parts(state?: RunState): Record<string, CheckpointPart> {
    const { average } = this;
    const { optimizer, schedule, scaler } = this.#options;
    const run: Stateful = {
      stateDict: () => state,
      loadStateDict: (state: RunState) => this.#loadState(state),
    };
    return {
      model: this.model,
      optimizer,
      ...(schedule !== undefined && { schedule }),
      ...(scaler !== undefined && { scaler }),
      ...(average !== undefined && { average }),
      ...this.#positioned(),
      run,
    };
  }

  #positioned(): Record<string, Positioned> {
    const loaders: Readonly<Record<string, unknown>> = { loader: this.#loader, validation: this.#validation };
    return Object.fromEntries(
      Object.entries(loaders).filter((entry): entry is [string, Positioned] => isPositioned(entry[1])),
    );
  }

  /** Where the run is; of several processes what they have measured since values were last logged is one. */
  async #state(): Promise<RunState> {
    const metrics = worldSize() === 1 ? this.#metrics : await this.#merged(statesOf(this.#metrics));
    return {
      step: this.#step,
      epoch: this.#epoch,
      batch: this.#batch,
      validatedAt: this.#validatedAt,
      values: { ...this.#values },
      window: await meansOf({ ...this.#window }),
      metrics: Object.fromEntries(Object.entries(metrics).map(([name, metric]) => [name, metric.stateDict()])),
      callbacks: this.#callbacks.map((callback) => callback.stateDict?.() ?? null),
      random: worldSize() === 1 ? undefined : await gatherRandomStates(),
    };
  }

  #loadState(state: RunState): void {
    if (state.callbacks.length !== this.#callbacks.length) {
      throw new ArgumentError(
        `Trainer: callbacks: got ${this.#callbacks.length}, expected ${state.callbacks.length} as when the run was saved`,
      );
    }
    this.#randomStates = state.random;
    this.#step = state.step;
    this.#epoch = state.epoch;
    this.#batch = state.batch;
    this.#validatedAt = state.validatedAt;
    this.#values = { ...state.values };
    this.#window = { ...state.window };
    for (const [name, metric] of Object.entries(this.#metrics)) {
      metric.reset();
      // What all processes have gathered counts once.
      if (rank() === 0 && Object.hasOwn(state.metrics, name)) metric.loadStateDict(state.metrics[name] as never);
    }
    this.#callbacks.forEach((callback, i) => {
      if (state.callbacks[i] !== null) callback.loadStateDict?.(state.callbacks[i] as never);
    });
  }

  async #call(hook: (callback: Callback) => void | Promise<void>): Promise<void> {
    const start = performance.now();
    for (const callback of this.#callbacks) await hook(callback);
    this.#speed.start += performance.now() - start;
  }
}

interface RunState {
  readonly step: number;
  readonly epoch: number;
  readonly batch: number;
  readonly validatedAt: number;
  readonly values: Values;
  readonly window: { readonly loss: number; readonly batches: number };
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly callbacks: readonly unknown[];
  /** By rank, where several processes train: seedLow, seedHigh, offset. */
  readonly random?: readonly (readonly number[])[] | undefined;
}

/** The means over all processes, so that all decide alike. */
async function meansOf<V extends Values>(values: V): Promise<V> {
  if (worldSize() === 1) return values;
  const own = tensor(Object.values(values), { dtype: 'float64', device: 'cpu' });
  const means = await allReduce(own, { reduction: 'mean' }).data();
  return Object.fromEntries(Object.keys(values).map((name, i) => [name, means[i]!])) as V;
}

async function gatherRandomStates(): Promise<number[][]> {
  const { seed, offset }: RandomState = getRandomState();
  const own = tensor([...seed, offset], { dtype: 'float64', device: 'cpu' });
  return (await allGather(own).toArray()) as number[][];
}

function updateMetrics(metrics: Metrics, { predictions, targets }: StepOutput): void {
  const all = Object.values(metrics);
  if (all.length === 0) return;
  if (predictions === undefined || targets === undefined) {
    throw new ArgumentError('Trainer: step: got a loss alone, expected { loss, predictions, targets } for the metrics');
  }
  for (const metric of all) metric.update(predictions.detach() as AnyTensor, targets);
}

async function computeAll(metrics: Metrics): Promise<Record<string, unknown>> {
  const values = Object.entries(metrics).map(async ([name, metric]) => [name, await metric.compute()] as const);
  return Object.fromEntries(await Promise.all(values));
}

/**
 * Puts a model and all below it into evaluation mode, with its averaged weights if there are any, until it is disposed of; each part then gets the mode that
 * it had.
 */
function inEvaluation(model: Module, average?: AveragedModel): Disposable {
  const modes = model.modules().map((module) => [module, module.training] as const);
  model.eval();
  const isAveraged = average !== undefined && average.updates > 0;
  if (isAveraged) average.swap();
  return {
    [Symbol.dispose]: () => {
      if (isAveraged) average.swap();
      for (const [module, training] of modes) module.training = training;
    },
  };
}

const isTensor = (value: unknown): value is AnyTensor => value instanceof Tensor;

const isPositioned = (loader: unknown): loader is Positioned =>
  typeof (loader as Partial<Positioned> | undefined)?.restore === 'function';

/** Batches in an epoch, where that is known. */
function lengthOf(loader: unknown): number | undefined {
  const { length } = (loader ?? {}) as { readonly length?: unknown };
  return Number.isSafeInteger(length) ? (length as number) : undefined;
}

const isMatrix = (value: unknown): value is number[][] => Array.isArray(value) && Array.isArray(value[0]);
const capitalized = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);
const finiteOr = (value: number, otherwise: number): number => (Number.isFinite(value) ? value : otherwise);

/** The promise, whose rejection is seen where it is awaited, or nowhere when the run has failed before. */
function handledLater<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

const statefulMethods = ['stateDict', 'loadStateDict'];
const metricMethods = ['update', 'compute', 'reset', ...statefulMethods];

/** Throws unless the options are those of a trainer. */
function checkTrainerOptions(options: TrainerOptions<never, Metrics>): void {
  const owner = 'Trainer';
  checkGivenOptions(owner, options);
  const { model, optimizer, average, scheduleEvery, scheduleMonitor, accumulate = 1, logEvery = 20 } = options;
  if (!((model as unknown) instanceof Module)) {
    throw new ArgumentError(`${owner}: model: got ${describe(model)}, expected a Module`);
  }
  checkMethods(owner, 'optimizer', optimizer, ['step', 'zeroGrad', ...statefulMethods]);
  checkList(owner, 'optimizer.groups', optimizer.groups);
  checkFunction(owner, 'step', options.step);
  for (const name of ['metrics', 'autocast'] as const) {
    if (options[name] !== undefined) checkFunction(owner, name, options[name]);
  }
  if (options.schedule !== undefined) checkMethods(owner, 'schedule', options.schedule, ['step', ...statefulMethods]);
  if (options.scaler !== undefined) {
    checkMethods(owner, 'scaler', options.scaler, ['scale', 'unscale_', 'step', 'update', ...statefulMethods]);
  }
  if (average !== undefined) checkMethods(owner, 'average', average, ['update', 'swap', ...statefulMethods]);
  if (scheduleEvery !== undefined && scheduleEvery !== 'step' && scheduleEvery !== 'epoch') {
    throw new ArgumentError(`${owner}: scheduleEvery: got ${shown(scheduleEvery)}, expected step or epoch`);
  }
  if (scheduleMonitor !== undefined) checkString(owner, 'scheduleMonitor', scheduleMonitor);
  checkCount(owner, 'accumulate', accumulate);
  checkCount(owner, 'logEvery', logEvery);
  for (const name of ['clipValue', 'clipNorm'] as const) {
    if (options[name] !== undefined) checkNumber(owner, name, options[name], 0);
  }
  for (const [name, methods] of [
    ['callbacks', []],
    ['loggers', ['scalars']],
  ] as const) {
    const list: readonly unknown[] = options[name] === undefined ? [] : options[name];
    checkList(owner, name, list);
    list.forEach((each, i) => {
      checkObject(owner, each, `${name}[${i}]`);
      checkMethods(owner, `${name}[${i}]`, each, methods);
    });
  }
}

/** Throws unless `loader` can be iterated. */
function checkLoader(op: string, name: string, loader: unknown): void {
  if (typeof loader === 'object' && loader !== null && Symbol.asyncIterator in loader) return;
  checkIterable(op, name, loader);
}
