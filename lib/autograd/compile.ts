/**
 * `compile(f)`: traces a step, checks that it is the same on the next call, and from then on replays it with one native call. Owns what a step
 * means beyond its commands: arguments, results, gradients of leaves, and what must hold for a replay to be right.
 */
import { CompileError } from '../errors';
import { autocasting } from '../ops/autocast';
import { getDefaultDevice } from '../runtime/device';
import { createProgram, replayProgram, type Program } from '../runtime/program';
import { getRandomState, type RandomState } from '../runtime/random';
import { allocateStorage, detachFromScopes, disposedError, Storage, writeStorage } from '../runtime/storage';
import { refuse, tape as activeTape, taped, type Tape } from '../runtime/tape';
import { checkFunction } from '../tensor/checks';
import { bytesOf } from '../tensor/dtype';
import { collectingCount, recording, traced, type Edge, type GradientBefore } from '../tensor/node';
import { scope } from '../tensor/scope';
import { sameShape } from '../tensor/shapes';
import { compacted, Tensor, type AnyTensor } from '../tensor/tensor';

/** A step that {@link compile} made. */
export interface Compiled<Arguments extends readonly unknown[], Result> {
  (...args: Arguments): Result;
  /** Forgets every trace: the next calls run and trace the step anew. */
  reset(): void;
}

/** What one traced call did. */
interface Trace {
  readonly tape: Tape;
  /** The storages that stood for the arguments' tensors. */
  readonly stands: readonly Storage[];
  /** Tensors among the arguments that the step saw copies of, or that share memory. */
  readonly readOnly: ReadonlySet<number>;
  readonly gradientsBefore: ReadonlyMap<Edge, GradientBefore>;
  readonly gradientsAfter: ReadonlyMap<Edge, AnyTensor | undefined>;
  /** Of the storages from outside, whether a leaf there collected gradients. */
  readonly collecting: ReadonlyMap<Storage, boolean>;
  readonly result: unknown;
  readonly randomStart: RandomState;
  readonly randomBlocks: number;
}

/** All calls with arguments of the same shapes, dtypes and values. */
interface Variant {
  /** Whether the last call ran `f` as it stands, so that the next one may trace it. */
  warm: boolean;
  /** Those that wait for a second one to be compared with, the oldest first. */
  readonly traces: Trace[];
  readonly steps: Step[];
}

/** How many traces of a variant wait at most: each keeps what its call used. */
const maxTraces = 4;

/**
 * A function that does what `f` does, at the cost of one call into native code: it traces `f` once per signature of its arguments, and replays the commands
 * without running `f` again, with memory planned ahead. `f` may be a whole training step: forward, backward, and optimizer.
 *
 * The first call with new shapes, dtypes or other values runs `f` as it stands, so that optimizers make their state; the second and third trace it, and fail
 * unless both gave the same commands; later ones replay. Each call runs in a `scope`: tensors are freed but those returned, which are cut off from the graph, and
 * the gradients of leaves. Random numbers go on, learning rates may change, and it is noticed when `train()`, `eval()` or `requiresGrad_()` was called outside, and
 * which leaves have gradients to add to; everything else that JavaScript decides in `f` is decided once. After another change, as of a layer, call `reset()`.
 *
 * @throws CompileError from a call whose step cannot be replayed: it reads a tensor's value, differs from call to call, or keeps a tensor.
 * @example
 * const w = randn([4]).requiresGrad_();
 * const optimizer = new optim.SGD([w], { lr: 0.1 });
 * const step = compile((x: AnyTensor) => {
 *   optimizer.zeroGrad();
 *   const loss = x.sub(w).square().sum();
 *   loss.backward();
 *   optimizer.step();
 *   return loss;
 * });
 * for (let i = 0; i < 100; i++) step(ones([4]));
 * step(ones([4])).itemSync() < 1e-6; // true
 */
export function compile<Arguments extends readonly unknown[], Result>(
  f: (...args: Arguments) => Result,
): Compiled<Arguments, Result> {
  checkFunction('compile', 'f', f);
  const variants = new Map<string, Variant>();
  const call = (...args: Arguments): Result => {
    // Inside another traced step, or where NaNs are looked for, it is an ordinary function.
    if (activeTape !== undefined || recording.anomaly) return scope(() => f(...args));
    const tensors: AnyTensor[] = [];
    const key = signature(args, tensors);
    let variant = variants.get(key);
    if (variant === undefined) variants.set(key, (variant = { warm: false, traces: [], steps: [] }));
    const step = variant.steps.find((candidate) => candidate.fits());
    const bound = tensors.map((tensor) => (isBindable(tensor) ? tensor : compacted.copy(tensor)));
    if (step !== undefined) return step.replay(bound) as Result;
    const first = variant.traces.findIndex((trace) => collectsAsThen(trace) && fits(trace));
    if (first === -1 && !variant.warm) {
      variant.warm = true;
      return detached(scope(() => f(...args)));
    }
    const trace = traceCall(f, args, bound);
    if (first === -1) {
      variant.warm = false;
      variant.traces.push(trace);
      if (variant.traces.length > maxTraces) variant.traces.shift();
    } else {
      checkEqual(variant.traces[first]!, trace);
      variant.traces.splice(first, 1);
      variant.steps.push(new Step(trace));
    }
    return mapTensors(trace.result, (tensor) => standIn(tensor, trace.stands, bound)) as Result;
  };
  return Object.assign(call, { reset: () => variants.clear() });
}

// ------------------------------------------------------------------------------------------------------------------ structures

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** `value` with every tensor in its arrays and plain objects replaced. */
function mapTensors(value: unknown, f: (tensor: AnyTensor) => AnyTensor): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Tensor) return f(value as AnyTensor);
  if (Array.isArray(value)) return value.map((entry) => mapTensors(entry, f));
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, mapTensors(entry, f)]));
}

const detached = <T>(value: T): T =>
  mapTensors(value, (tensor) => (tensor.edge?.node === undefined ? tensor : tensor.detach())) as T;

const identities = new WeakMap<object, number>();
let identityCount = 0;

/** What a trace depends on of the arguments, and of the modes it runs in; fills `tensors` with the arguments' tensors. */
function signature(args: readonly unknown[], tensors: AnyTensor[]): string {
  const parts: string[] = [getDefaultDevice(), String(recording.enabled), String(autocasting.dtype)];
  const visit = (value: unknown, name: string): void => {
    if (value instanceof Tensor) {
      const tensor = value as AnyTensor;
      if (tensor.edge !== undefined) {
        throw new CompileError(
          `compile: ${name} requires a gradient: got shape [${tensor.shape.join(', ')}], expected a tensor that does not; use parameters from outside the step`,
        );
      }
      const same = tensors.findIndex(({ storage }) => storage === tensor.storage);
      tensors.push(tensor);
      parts.push(`${tensor.dtype}[${tensor.shape.join()}]${tensor.storage.device}${same === -1 ? '' : `@${same}`}`);
    } else if (Array.isArray(value)) {
      parts.push('[');
      value.forEach((entry, i) => visit(entry, `${name}[${i}]`));
      parts.push(']');
    } else if (typeof value === 'object' && value !== null && isPlain(value)) {
      parts.push('{');
      for (const [key, entry] of Object.entries(value)) {
        parts.push(`${JSON.stringify(key)}:`);
        visit(entry, `${name}.${key}`);
      }
      parts.push('}');
    } else if ((typeof value === 'object' && value !== null) || typeof value === 'function') {
      let identity = identities.get(value);
      if (identity === undefined) identities.set(value, (identity = ++identityCount));
      parts.push(`#${identity}`);
    } else {
      parts.push(typeof value === 'string' ? JSON.stringify(value) : `${typeof value} ${String(value)}`);
    }
  };
  args.forEach((value, i) => visit(value, `argument ${i + 1}`));
  return parts.join(' ');
}

// --------------------------------------------------------------------------------------------------------------------- tracing

/** Whether a tensor can be bound as it is: its elements are the whole start of its storage. */
const isBindable = (tensor: AnyTensor): boolean => tensor.isContiguous && tensor.offset === 0;

/** `bound` are the arguments' tensors, or copies of those that cannot be bound. */
function traceCall(f: (...args: never[]) => unknown, args: readonly unknown[], bound: readonly AnyTensor[]): Trace {
  // The step sees storages of its own, so that what it was given can be told from what it found outside.
  const stands = bound.map(({ storage: { device, madeBy, slot, generation, released }, size, dtype }) =>
    Object.assign(new Storage(device, size * bytesOf(dtype), madeBy), { slot, generation, released }),
  );
  let next = 0;
  const readOnly = new Set<number>();
  const seen = mapTensors(args, (tensor) => {
    const isShared = bound.some(({ storage }, i) => i !== next && storage === tensor.storage);
    if (tensor !== bound[next] || isShared) readOnly.add(next);
    const result = over(stands[next]!, bound[next]!);
    next++;
    return result;
  }) as never[];
  const gradientsBefore = new Map<Edge, GradientBefore>();
  const collectingBefore = new Map<Storage, boolean>();
  const randomStart = getRandomState();
  autocasting.casts.clear(); // what was cast before is no part of the step
  traced.gradients = gradientsBefore;
  traced.leaves = new Set();
  traced.collecting = collectingBefore;
  try {
    const { result, tape } = taped(() => {
      const value = scope(() => f(...seen));
      for (const leaf of traced.leaves!) leaf.dropGrad('when its step ended');
      return value;
    });
    const randomEnd = getRandomState();
    if (randomEnd.seed.some((word, i) => word !== randomStart.seed[i]))
      refuse('manualSeed', 'starts the random stream anew');
    const gradientsAfter = new Map([...gradientsBefore.keys()].map((edge) => [edge, edge.grad]));
    const trace = {
      tape,
      stands,
      readOnly,
      gradientsBefore,
      gradientsAfter,
      collecting: new Map(
        tape.storages
          .filter((storage) => !tape.made(storage) && !stands.includes(storage))
          .map((storage) => [storage, collectingBefore.get(storage) ?? storage.collects]),
      ),
      result: detached(result),
      randomStart,
      randomBlocks: randomEnd.offset - randomStart.offset,
    };
    checkReplayable(trace);
    return trace;
  } finally {
    traced.gradients = traced.leaves = traced.collecting = undefined;
  }
}

/** Throws when the step does what a replay would not. */
function checkReplayable(trace: Trace): void {
  const { tape } = trace;
  const leftBehind = new Set<Storage>();
  mapTensors(trace.result, (tensor) => {
    leftBehind.add(tensor.storage);
    return tensor;
  });
  for (const [edge, gradient] of trace.gradientsAfter) {
    if (gradient?.edge !== undefined) refuse('backward', 'leaves a gradient with a graph of its own');
    if (gradient !== undefined && gradient.storage !== trace.gradientsBefore.get(edge)!.grad?.storage) {
      leftBehind.add(gradient.storage);
    }
  }
  const constants = new Set(tape.uploads.map(({ storage }) => storage));
  const stands = new Map(trace.stands.map((storage, i) => [storage, i]));
  for (const record of tape.records) {
    if (record.words[1] !== tape.records[0]!.words[1])
      refuse(record.op, 'runs on another device than the step began on');
    for (const number of record.outputs) {
      const storage = tape.storages[number]!;
      if (constants.has(storage)) refuse(record.op, 'writes into a tensor that JavaScript filled in the step');
      const i = stands.get(storage);
      if (i !== undefined && trace.readOnly.has(i)) {
        refuse(record.op, `writes into argument tensor ${i + 1}, a view or given twice`);
      }
    }
  }
  for (const storage of tape.storages) {
    if (storage === undefined || !tape.made(storage) || storage.released !== undefined) continue;
    if (leftBehind.has(storage) || constants.has(storage)) continue;
    if (tape.droppedGradients.has(storage)) storage.release('when its step ended');
    else {
      refuse(storage.madeBy, `makes a tensor of ${storage.bytes} bytes that outlives the step without being returned`);
    }
  }
}

/** Whether the leaves that collect gradients are those that did when the step was traced. */
const collectsAsThen = ({ collecting }: Trace): boolean =>
  [...collecting].every(([storage, collected]) => storage.collects === collected);

/** Whether the step would now begin as it did when it was traced, in the same modes, and with gradients of the same leaves to add to. */
function fits({ gradientsBefore, tape }: Trace): boolean {
  for (const [edge, { grad, used }] of gradientsBefore) {
    if (!used) continue;
    const isThere = edge.grad !== undefined && edge.grad.storage.released === undefined;
    if (isThere !== (grad !== undefined)) return false;
    if (isThere && !(isBindable(edge.grad!) && sameShape(edge.grad!.shape, edge.shape))) return false;
  }
  return tape.guards.every((holds) => holds());
}

/** Throws unless two traces are the same step. */
function checkEqual(first: Trace, second: Trace): void {
  const differs = (what: string, got: unknown, then: unknown): never => {
    throw new CompileError(
      `compile: the step differs from call to call: ${what}: got ${String(got)}, then ${String(then)}; what changes must be a tensor argument`,
    );
  };
  const [a, b] = [first.tape, second.tape];
  for (let i = 0; i < Math.max(a.records.length, b.records.length); i++) {
    const [one, other] = [a.records[i], b.records[i]];
    if (one?.op !== other?.op) differs(`command ${i + 1}`, one?.op ?? 'none', other?.op ?? 'none');
    const length = Math.max(one!.words.length, other!.words.length);
    const attributes = one!.words.length - one!.words[4]!;
    for (let word = 0; word < length; word++) {
      let [left, right] = [one!.words[word], other!.words[word]];
      if (one!.live !== undefined && other!.live !== undefined && word >= attributes) continue;
      if (word === one!.randomOffset) {
        left! -= first.randomStart.offset;
        right! -= second.randomStart.offset;
      } else if (one!.randomOffset !== undefined && word >= one!.randomOffset - 2 && word < one!.randomOffset) {
        continue;
      }
      if (!Object.is(left, right)) differs(`command ${i + 1} (${one!.op})`, left, right);
    }
  }
  a.storages.forEach((storage, number) => {
    const other = b.storages[number];
    if (storage === undefined || other === undefined) return;
    const [left, right] = [roleOf(first, storage), roleOf(second, other)];
    if (left !== right) differs(`a tensor made by ${storage.madeBy}`, 'one', `another, made by ${other.madeBy}`);
  });
  if (a.uploads.length !== b.uploads.length) differs('uploads', a.uploads.length, b.uploads.length);
  a.uploads.forEach(({ storage, bytes }, i) => {
    if (Buffer.compare(bytes, b.uploads[i]!.bytes) !== 0) {
      differs(`the values of a tensor made by ${storage.madeBy} from JavaScript`, 'some', 'others');
    }
  });
  const [left, right] = [valuesOf(first.result), valuesOf(second.result)];
  if (left !== right) differs('the result', left, right);
}

/** A result without its tensors. */
const valuesOf = (result: unknown): string =>
  JSON.stringify(mapTensors(result, ({ shape, dtype }) => `tensor [${shape.join()}] ${dtype}` as never)) ?? 'undefined';

/** What stands behind a storage of a trace, equal in two traces when it is the same. */
function roleOf(trace: Trace, storage: Storage): unknown {
  if (trace.tape.made(storage)) return 'made';
  const argument = trace.stands.indexOf(storage);
  if (argument !== -1) return argument;
  for (const [edge, { grad }] of trace.gradientsBefore) if (grad?.storage === storage) return edge;
  return storage;
}

/** A tensor of a traced result as the caller gets it: views of arguments lie in the arguments themselves. */
function standIn(tensor: AnyTensor, stands: readonly Storage[], bound: readonly AnyTensor[]): AnyTensor {
  const i = stands.indexOf(tensor.storage);
  return i === -1 ? tensor : over(bound[i]!.storage, tensor);
}

const over = (storage: Storage, { dtype, shape, strides, offset, isContiguous }: AnyTensor): AnyTensor =>
  new Tensor(storage, dtype, shape, strides, offset, isContiguous);

// --------------------------------------------------------------------------------------------------------------------- replaying

/** What is known of one replay while it runs. */
interface Replay {
  readonly args: readonly AnyTensor[];
  /** Storages made for this replay, by number on the tape. */
  readonly made: Map<number, Storage>;
}

/** A traced step, ready to be replayed. */
class Step {
  readonly #trace: Trace;
  readonly #program: Program;
  /** Made at the first replay, where the memory of the traced step may have room for it. */
  #arena: Storage | undefined;
  /** Where the storage of each binding comes from. */
  readonly #sources: ((replay: Replay) => Storage)[];
  /** Bindings that the step writes and that were there before it. */
  readonly #written: boolean[];
  /** The count when the leaves that collect gradients were last found as they are to be. */
  #collectingCount = -1;
  /** The storages of gradients that the step leaves; each replay writes into the same ones, unless somebody has taken them. */
  readonly #gradients = new Map<Edge, AnyTensor>();

  constructor(trace: Trace) {
    this.#trace = trace;
    const { tape } = trace;
    const bindings: number[] = [];
    this.#sources = [];
    this.#written = [];
    const outputs = new Set(tape.records.flatMap((record) => [...record.outputs]));
    const results = new Set<Storage>();
    mapTensors(trace.result, (tensor) => {
      results.add(tensor.storage);
      return tensor;
    });
    tape.storages.forEach((storage, number) => {
      if (storage === undefined) return;
      const source = this.#sourceOf(storage, number, results);
      if (source === undefined) return;
      bindings.push(number);
      this.#sources.push(source);
      this.#written.push(!tape.made(storage) && outputs.has(number));
    });
    this.#program = createProgram(tape, bindings, trace.randomStart);
  }

  /** Whether a replay would now do what the step would. */
  fits(): boolean {
    if (this.#collectingCount !== collectingCount) {
      if (!collectsAsThen(this.#trace)) return false;
      this.#collectingCount = collectingCount;
    }
    return fits(this.#trace);
  }

  replay(args: readonly AnyTensor[]): unknown {
    const { tape, result, randomBlocks, stands } = this.#trace;
    const replay: Replay = { args, made: new Map() };
    const storages = this.#sources.map((source) => source(replay));
    for (const storage of storages) if (storage.released !== undefined) throw disposedError('compile', storage, []);
    this.#arena ??= lasting(this.#program.device, this.#program.arenaBytes, 'compile');
    replayProgram(this.#program, [...storages, this.#arena], randomBlocks);
    storages.forEach((storage, i) => {
      if (this.#written[i]!) storage.version++;
    });
    this.#leaveGradients();
    return mapTensors(result, (tensor) => {
      const number = tape.numberOf(tensor.storage);
      const own = number === undefined ? undefined : replay.made.get(number);
      return own === undefined ? standIn(tensor, stands, args) : over(own, tensor);
    });
  }

  /** Undefined for a storage that is in use only during a run. */
  #sourceOf(
    storage: Storage,
    number: number,
    results: ReadonlySet<Storage>,
  ): ((replay: Replay) => Storage) | undefined {
    const { tape, stands, gradientsBefore, gradientsAfter, uploads } = { ...this.#trace, ...this.#trace.tape };
    const argument = stands.indexOf(storage);
    if (argument !== -1) return ({ args }) => args[argument]!.storage;
    if (!tape.made(storage)) {
      for (const [edge, { grad }] of gradientsBefore) {
        if (grad?.storage === storage) return () => edge.grad!.storage;
      }
      return () => storage;
    }
    const written = uploads.filter((upload) => upload.storage === storage);
    if (written.length > 0) {
      const constant = lasting(storage.device, storage.bytes, storage.madeBy);
      for (const { offset, bytes } of written) writeStorage(constant, offset, bytes, 'compile');
      return () => constant;
    }
    for (const [edge, gradient] of gradientsAfter) {
      if (gradient?.storage === storage) {
        this.#gradients.set(edge, gradient);
        return () => this.#gradientOf(edge).storage;
      }
    }
    if (!results.has(storage)) return undefined;
    return ({ made }) => {
      let own = made.get(number);
      if (own === undefined) made.set(number, (own = allocateStorage(storage.device, storage.bytes, storage.madeBy)));
      return own;
    };
  }

  /** The gradient that a replay writes; another one than before when that has been freed, or seen by somebody who may keep it. */
  #gradientOf(edge: Edge): AnyTensor {
    const own = this.#gradients.get(edge)!;
    if (own.storage.released === undefined && !(edge.grad === own && edge.gradSeen)) return own;
    const { device, bytes, madeBy } = own.storage;
    const fresh = over(lasting(device, bytes, madeBy), own);
    this.#gradients.set(edge, fresh);
    return fresh;
  }

  #leaveGradients(): void {
    for (const [edge, after] of this.#trace.gradientsAfter) {
      const own = this.#gradients.get(edge);
      if (own !== undefined && edge.grad !== own) {
        edge.grad = own;
        edge.gradSeen = false;
      } else if (after === undefined) {
        edge.grad = undefined;
      }
    }
  }
}

/** A storage that outlives every scope. */
function lasting(device: number, bytes: number, madeBy: string): Storage {
  const storage = allocateStorage(device, bytes, madeBy);
  detachFromScopes(storage);
  return storage;
}
