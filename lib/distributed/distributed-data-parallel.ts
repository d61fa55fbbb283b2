/**
 * A model that several processes train, each on its share of every batch: parameters start as those of rank 0, and gradients are averaged in buckets while
 * `backward` goes on. What a bucket is and when it goes are decided here; how, in collectives.ts.
 */
import { currentPass, type Pass } from '../autograd/backward';
import { noGrad } from '../autograd/modes';
import { ArgumentError, AutogradError } from '../errors';
import { checkForward } from '../nn/container';
import { Module, type ForwardModule, type LoadResult, type Parameter, type StateDict } from '../nn/module';
import { zerosLike } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { guard } from '../runtime/tape';
import { bytesOf } from '../tensor/dtype';
import { allReduceTensors, broadcastTensors } from './collectives';

export interface DistributedDataParallelOptions {
  /** How many bytes of gradients are averaged at a time; 25 MiB unless given, as in PyTorch. */
  readonly bucketBytes?: number;
  /** Whether buffers, such as running means, become those of rank 0 at the start of each forward pass in training; true unless given. */
  readonly broadcastBuffers?: boolean;
  /**
   * Whether parameters may be left out of a step. Those get zeros where no process has a gradient for them; false unless given, and a parameter without a
   * gradient is then an error.
   */
  readonly findUnusedParameters?: boolean;
}

/** Parameters whose gradients are averaged together. */
interface Bucket {
  readonly parameters: readonly Parameter[];
  /** Those whose gradient has not come in this pass. */
  readonly missing: Set<Parameter>;
}

/**
 * Wraps a model for training in several processes. The loss of each process is to be the mean over its own samples, as many as in the others; the step is
 * then that of one process with all samples.
 *
 * Names in its state dict are those of the wrapped model, so that checkpoints fit both.
 *
 * @see Li et al., 2020, PyTorch Distributed: experiences on accelerating data parallel training.
 * @example
 * distributed.init();
 * const model = new distributed.DistributedDataParallel(new nn.Linear(4, 1));
 * const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
 * model.forward(randn([8, 4])).square().mean().backward(); // gradients are averaged
 * optimizer.step();
 */
export class DistributedDataParallel<M extends ForwardModule = ForwardModule> extends Module {
  readonly #options: Required<DistributedDataParallelOptions>;
  readonly #buckets: readonly Bucket[];
  readonly #bucketOf = new Map<Parameter, Bucket>();
  #syncing = true;
  #pass: Pass | undefined;
  /** How many buckets have been averaged in this pass: they go in their order, which is the same on all processes. */
  #averaged = 0;

  constructor(
    readonly module: M,
    options: DistributedDataParallelOptions = {},
  ) {
    super();
    checkOptions('DistributedDataParallel', options);
    const { bucketBytes = 25 * 2 ** 20, broadcastBuffers = true, findUnusedParameters = false } = options;
    checkForward('DistributedDataParallel', 'module', module);
    if (!(bucketBytes > 0)) {
      throw new ArgumentError(`DistributedDataParallel: bucketBytes: got ${bucketBytes}, expected a positive number`);
    }
    const trained = module.parameters().filter(({ requiresGrad }) => requiresGrad);
    if (trained.length === 0) {
      throw new ArgumentError(
        'DistributedDataParallel: module: got no parameter that requires a gradient, expected at least one',
      );
    }
    this.#options = { bucketBytes, broadcastBuffers, findUnusedParameters };
    this.#buckets = bucketsOf(trained, bucketBytes);
    for (const bucket of this.#buckets)
      for (const parameter of bucket.parameters) this.#bucketOf.set(parameter, bucket);
    for (const parameter of trained) parameter.registerPostAccumulateGradHook(() => this.#arrived(parameter));
    noGrad(() => broadcastTensors(Object.values(module.stateDict()), 0));
  }

  /** What the wrapped model computes. A field, so that it has the type of the model's own. */
  readonly forward = ((...inputs: never[]): unknown => {
    if (this.#options.broadcastBuffers && this.training && this.#isSyncing()) {
      const buffers = this.module.namedBuffers().map(([, buffer]) => buffer);
      noGrad(() => broadcastTensors(buffers, 0));
    }
    return this.module.forward(...inputs);
  }) as M['forward'];

  override stateDict(): StateDict {
    return this.module.stateDict();
  }
  override loadStateDict(dict: Readonly<StateDict>, options: { readonly strict?: boolean } = {}): LoadResult {
    checkOptions('loadStateDict', options, 'DistributedDataParallel.loadStateDict');
    return this.module.loadStateDict(dict, options);
  }

  /**
   * Runs `f`, in which `backward` collects gradients without averaging them: the next `backward` outside averages them all. To gather the gradients of several
   * batches for one step.
   *
   * @example
   * model.noSync(() => model.forward(first).mean().backward());
   * model.forward(second).mean().backward(); // the mean over processes of both
   */
  noSync<T>(f: () => T): T {
    const before = this.#syncing;
    this.#syncing = false;
    try {
      const result = f();
      if (result instanceof Promise) {
        throw new ArgumentError('noSync: f: got an async function, expected one that returns when it is done');
      }
      return result;
    } finally {
      this.#syncing = before;
    }
  }

  /** Averages the gradients that are there, such as those of {@link noSync}, without a backward pass. All processes must have them for the same parameters. */
  averageGradients(): void {
    for (const { parameters } of this.#buckets) average(parameters.filter(({ edge }) => edge?.grad !== undefined));
  }

  #isSyncing(): boolean {
    return guard(() => this.#syncing);
  }

  #arrived(parameter: Parameter): void {
    if (!this.#isSyncing()) return;
    const pass = currentPass()!;
    if (this.#pass !== pass) this.#begin(pass);
    if (!this.#bucketOf.get(parameter)!.missing.delete(parameter)) {
      throw new AutogradError(
        `DistributedDataParallel: ${this.#nameOf(parameter)}: got its gradient twice in a backward pass, expected once; a parameter cannot be shared by several checkpoints`,
      );
    }
    this.#averageComplete();
  }

  #begin(pass: Pass): void {
    this.#pass = pass;
    this.#averaged = 0;
    for (const { parameters, missing } of this.#buckets) for (const parameter of parameters) missing.add(parameter);
    pass.atEnd.push(() => this.#finish());
  }

  #averageComplete(): void {
    for (; this.#averaged < this.#buckets.length; this.#averaged++) {
      const { parameters, missing } = this.#buckets[this.#averaged]!;
      if (missing.size > 0) return;
      average(parameters);
    }
  }

  #finish(): void {
    this.#pass = undefined;
    const unused = this.#buckets.flatMap(({ missing }) => [...missing]);
    if (unused.length > 0 && !this.#options.findUnusedParameters) {
      const names = unused.map((parameter) => this.#nameOf(parameter)).join(', ');
      throw new AutogradError(
        `DistributedDataParallel: parameters without a gradient: got none for ${names}, expected one for each; pass findUnusedParameters: true for a model ` +
          'that leaves some out',
      );
    }
    for (const parameter of unused) {
      if (parameter.edge!.grad === undefined) parameter.grad = zerosLike(parameter.detach()).keep();
    }
    for (const { missing } of this.#buckets) missing.clear();
    this.#averageComplete();
  }

  #nameOf(parameter: Parameter): string {
    return this.module.namedParameters().find(([, each]) => each === parameter)?.[0] ?? 'a parameter';
  }
}

/** The last parameters come first, as their gradients do; tensors of one dtype share a bucket. */
function bucketsOf(parameters: readonly Parameter[], bucketBytes: number): Bucket[] {
  const buckets: { parameters: Parameter[]; missing: Set<Parameter>; bytes: number }[] = [];
  for (const parameter of [...parameters].reverse()) {
    const last = buckets.at(-1);
    const bytes = parameter.size * bytesOf(parameter.dtype);
    if (last?.parameters[0]!.dtype === parameter.dtype && last.bytes + bytes <= bucketBytes) {
      last.parameters.push(parameter);
      last.bytes += bytes;
    } else {
      buckets.push({ parameters: [parameter], missing: new Set(), bytes });
    }
  }
  return buckets;
}

/** Replaces gradients by their means over all processes. */
function average(parameters: readonly Parameter[]): void {
  const gradients = parameters.map((parameter) => {
    const gradient = parameter.edge!.grad!;
    if (gradient.edge === undefined) return gradient;
    throw new AutogradError(
      'DistributedDataParallel: gradients do not pass between processes: got backward with createGraph, expected one without',
    );
  });
  noGrad(() => allReduceTensors(gradients, 'mean'));
}
