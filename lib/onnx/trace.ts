/**
 * What a pass does, noted op by op with attributes and views while it runs, and passes at several sizes compared: what stays the same is fixed, what differs is
 * a {@link Varying}. Knows nothing of ONNX; lib/onnx/save.ts asks for it and lib/onnx/export writes it.
 */
import { ArgumentError } from '../errors';
import type { OpName } from '../native/opcodes';
import type { Storage } from '../runtime/storage';
import { heard, lastRecord, Listener } from '../runtime/tape';
import { bytesOf, dtypes, type DType } from '../tensor/dtype';
import { Tensor, type AnyTensor } from '../tensor/tensor';

/** A number of a pass that differs from size to size: its value in each. */
export class Varying {
  constructor(readonly values: readonly number[]) {}

  get key(): string {
    return this.values.join();
  }
}

export type Size = number | Varying;

/** Elements that no op of the pass makes. */
export type Source =
  | { readonly kind: 'input'; readonly at: number }
  | { readonly kind: 'outside'; readonly tensor: AnyTensor }
  | { readonly kind: 'uploaded'; readonly bytes: Buffer };

/** A tensor of a pass. */
export interface Value {
  readonly dtype: DType;
  readonly shape: readonly Size[];
  readonly source: Source | undefined;
  /** What makes it. */
  maker: Event | undefined;
  /** Whether the results depend on it. */
  used: boolean;
}

/** A number operand, in the dtype that the kernel takes it in. */
export interface Scalar {
  readonly number: Size;
  readonly dtype: DType;
}

export type Operand = Value | Scalar | undefined;

/** One op of a pass. */
export interface Event {
  readonly op: string;
  readonly inputs: readonly Operand[];
  readonly outputs: readonly (Value | undefined)[];
  readonly attributes: readonly Size[];
  /** What a view knows of itself. */
  readonly context: unknown;
  /** The shape of the first output for the kernel: a reduction keeps its axes there. */
  readonly kept: readonly Size[];
}

/** A pass at all its sizes. */
export interface Pass {
  readonly inputs: readonly Value[];
  readonly events: readonly Event[];
  readonly results: readonly { readonly path: string; readonly value: Value }[];
  /** What happened that no event tells, by name. */
  readonly unwritten: readonly string[];
}

interface NotedValue {
  readonly tensor: AnyTensor;
  readonly source: Source | undefined;
}

interface NotedNumber {
  readonly number: number;
  readonly dtype: DType;
}

/** As {@link Event}, with values by number. */
interface Note {
  readonly op: string;
  readonly inputs: readonly (number | NotedNumber | undefined)[];
  readonly outputs: readonly (number | undefined)[];
  readonly attributes: readonly number[];
  readonly context: unknown;
  readonly kept: readonly number[];
}

const keyOf = ({ dtype, offset, shape, strides }: AnyTensor): string =>
  `${dtype} ${offset} ${shape.join()} ${strides.join()}`;

/** Listens to one pass. */
class Notes extends Listener {
  readonly values: NotedValue[] = [];
  readonly notes: Note[] = [];
  readonly unwritten = new Set<string>();
  readonly inputs: readonly number[];
  /** Values by storage and what is seen of it. */
  readonly #known = new Map<Storage, Map<string, number>>();
  readonly #made = new Set<Storage>();
  /** By storage the row-major tensor that is all of it. */
  readonly #wholes = new Map<Storage, AnyTensor>();
  readonly #uploads = new Map<Storage, Buffer>();

  constructor(
    readonly op: string,
    inputs: readonly AnyTensor[],
  ) {
    super();
    this.inputs = inputs.map((tensor, at) => this.#add(tensor, { kind: 'input', at }));
  }

  override take(
    op: OpName,
    inputs: readonly (AnyTensor | number | undefined)[],
    outputs: readonly (AnyTensor | undefined)[],
  ): void {
    const { tensors, attributes } = lastRecord();
    const taken = inputs.map((input, i) =>
      typeof input === 'number' ? { number: input, dtype: dtypes[tensors[i]!.dtypeCode]! } : this.numberOf(op, input),
    );
    const befores = outputs.map((output, i) => {
      return output === undefined || tensors[inputs.length + i]!.isFresh ? undefined : this.#overwritten(op, output);
    });
    const made = outputs.map((output, i) => {
      if (output === undefined) return undefined;
      if (tensors[inputs.length + i]!.isFresh) {
        this.#made.add(output.storage);
        if (output.isContiguous) this.#wholes.set(output.storage, output);
      }
      return this.#add(output, undefined);
    });
    const kept = tensors[inputs.length]?.shape ?? [];
    this.notes.push({ op, inputs: taken, outputs: made, attributes, context: undefined, kept });
    befores.forEach((before, i) => {
      if (before !== undefined) this.#write(before, made[i]!, outputs[i]!);
    });
  }

  override view(op: string, x: AnyTensor, output: AnyTensor, context: unknown): void {
    this.#note(op, [this.numberOf(op, x)], output, context);
  }

  override live(): void {
    this.unwritten.add(this.notes.at(-1)!.op);
  }

  override allocated(storage: Storage): void {
    this.#made.add(storage);
  }

  override uploaded(storage: Storage, offset: number, view: ArrayBufferView): void {
    if (!this.#made.has(storage)) this.refuse(storage.madeBy, 'writes from JavaScript into a tensor made outside');
    const bytes = this.#uploads.get(storage) ?? Buffer.alloc(storage.bytes);
    bytes.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), offset);
    this.#uploads.set(storage, bytes);
  }

  override refuse(op: string, what: string): never {
    throw new ArgumentError(`${this.op}: the pass is more than ops: got ${op}, which ${what}, expected ops on tensors`);
  }

  /** The number of the value that a tensor is. */
  numberOf(op: string, tensor: AnyTensor): number;
  numberOf(op: string, tensor: AnyTensor | undefined): number | undefined;
  numberOf(op: string, tensor: AnyTensor | undefined): number | undefined {
    if (tensor === undefined) return undefined;
    const { storage } = tensor;
    const known = this.#known.get(storage)?.get(keyOf(tensor));
    if (known !== undefined) return known;
    const bytes = this.#uploads.get(storage);
    if (bytes !== undefined) return this.#add(tensor, { kind: 'uploaded', bytes });
    if (!this.#made.has(storage)) return this.#add(tensor, { kind: 'outside', tensor });
    if (storage.bytes === 0) return this.#add(tensor, { kind: 'uploaded', bytes: Buffer.alloc(0) });
    const whole = this.#wholes.get(storage);
    if (whole !== undefined) return this.#note('strided', [this.numberOf(op, whole)], tensor, placesOf(tensor));
    this.unwritten.add(`${op} of memory without values`);
    return this.#add(tensor, undefined);
  }

  #add(tensor: AnyTensor, source: Source | undefined): number {
    const at = this.values.push({ tensor, source }) - 1;
    let views = this.#known.get(tensor.storage);
    if (views === undefined) this.#known.set(tensor.storage, (views = new Map()));
    views.set(keyOf(tensor), at);
    return at;
  }

  /** Notes an op of values that makes one, and answers its number. */
  #note(op: string, inputs: readonly number[], output: AnyTensor, context: unknown): number {
    const made = this.#add(output, undefined);
    this.notes.push({ op, inputs, outputs: [made], attributes: [], context, kept: output.shape });
    return made;
  }

  /**
   * `op` writes into a tensor that there was, so that what was seen of its memory is no more. Answers the value of all the memory before, where it is a part that
   * is written to.
   */
  #overwritten(op: string, output: AnyTensor): number | undefined {
    const { storage, size, dtype, isContiguous } = output;
    const covers = isContiguous && size * bytesOf(dtype) === storage.bytes;
    const whole = this.#wholes.get(storage);
    if (!this.#made.has(storage)) this.unwritten.add(`${op} into a tensor made outside`);
    else if (!covers && whole === undefined) this.unwritten.add(`${op} into a part of a tensor`);
    const before = covers || whole === undefined ? undefined : this.numberOf(op, whole);
    if (covers) this.#wholes.set(storage, output);
    this.#known.delete(storage);
    this.#uploads.delete(storage);
    return before;
  }

  /** A part of memory has been written: what all of it holds now. */
  #write(before: number, part: number, output: AnyTensor): void {
    this.#note('write', [before, part], this.#wholes.get(output.storage)!, placesOf(output));
  }
}

/** Where the elements of a tensor lie in its memory. */
const placesOf = ({ shape, strides, offset }: AnyTensor) => ({ shape, strides, offset });

/** One pass, not yet compared with others. */
export interface Trace {
  readonly notes: Notes;
  readonly results: readonly { readonly path: string; readonly at: number }[];
}

/** Runs `f` on tensors that nothing else sees, and notes what it does. `op` begins the messages of errors. */
export function trace(op: string, f: (...inputs: AnyTensor[]) => unknown, inputs: readonly AnyTensor[]): Trace {
  const notes = new Notes(op, inputs);
  const results = heard(notes, () =>
    resultsOf(op, f(...inputs), '').map(([path, tensor]) => ({ path, at: notes.numberOf('the result', tensor) })),
  );
  if (results.length === 0) throw new ArgumentError(`${op}: results: got none, expected at least one tensor`);
  return { notes, results };
}

/** The tensors of a result with their places in its arrays and objects. */
function resultsOf(op: string, value: unknown, path: string): [path: string, tensor: AnyTensor][] {
  if (value === undefined) return [];
  if (value instanceof Tensor) return [[path, value as AnyTensor]];
  if (typeof value !== 'object' || value === null) {
    const got = value === null ? 'null' : typeof value;
    throw new ArgumentError(`${op}: results: got ${got}${path && ` as ${path}`}, expected tensors`);
  }
  return Object.entries(value).flatMap(([key, inner]) => resultsOf(op, inner, path === '' ? key : `${path}_${key}`));
}

/** Passes over the same ops at different sizes as one. */
export function merged(op: string, traces: readonly Trace[]): Pass {
  const [{ notes, results }] = traces as [Trace];
  const differ = (got: string, then: string): never => {
    throw new ArgumentError(
      `${op}: the pass depends on the sizes of dynamicAxes: got ${got} at one and ${then} at another, expected the same ops at all`,
    );
  };
  const longest = Math.max(...traces.map((trace) => trace.notes.notes.length));
  for (const other of traces) {
    for (let i = 0; i < longest; i++) {
      const [one, two] = [notes.notes[i], other.notes.notes[i]];
      if (signature(notes, one) !== signature(other.notes, two)) differ(one?.op ?? 'the end', two?.op ?? 'the end');
    }
    if (JSON.stringify(results) !== JSON.stringify(other.results)) differ('some results', 'others');
  }
  const values = notes.values.map(({ tensor, source }, i): Value => {
    const shape = combined(traces.map((trace) => trace.notes.values[i]!.tensor.shape)) as Size[];
    return { dtype: tensor.dtype, shape, source, maker: undefined, used: false };
  });
  const events = notes.notes.map((note, i): Event => {
    const of = <T>(field: (note: Note) => T): T => combined(traces.map((trace) => field(trace.notes.notes[i]!))) as T;
    const event = {
      op: note.op,
      inputs: note.inputs.map((input, at): Operand => {
        if (typeof input !== 'object') return values[input!];
        return { number: of((own) => (own.inputs[at] as NotedNumber).number), dtype: input.dtype };
      }),
      outputs: note.outputs.map((output) => (output === undefined ? undefined : values[output])),
      attributes: of((own) => own.attributes),
      context: of((own) => own.context),
      kept: of((own) => own.kept),
    };
    for (const output of event.outputs) if (output !== undefined) output.maker = event;
    return event;
  });
  const pass = {
    inputs: notes.inputs.map((input) => values[input]!),
    events,
    results: results.map(({ path, at }) => ({ path, value: values[at]! })),
    unwritten: [...notes.unwritten],
  };
  for (const { value } of pass.results) value.used = true;
  for (const { inputs, outputs } of [...events].reverse()) {
    if (!outputs.some((output) => output?.used)) continue;
    for (const input of inputs) if (input !== undefined && 'shape' in input) input.used = true;
  }
  return pass;
}

/** What a note must have in common with that of another pass. */
function signature({ values }: Notes, note: Note | undefined): string {
  if (note === undefined) return '';
  const given = note.inputs.map((input) => {
    if (typeof input === 'object') return input.dtype;
    const source = values[input ?? -1]?.source;
    if (source?.kind === 'uploaded') return `${input} ${source.bytes.toString('latin1')}`;
    if (source?.kind !== 'outside') return input;
    const { slot, generation } = source.tensor.storage;
    return `${input} ${slot} ${generation}`;
  });
  const outputs = note.outputs.map((output) => `${output} ${values[output ?? -1]?.tensor.rank}`);
  return [note.op, given, outputs, note.attributes.length].join();
}

/** Data of the same form with the numbers that differ as {@link Varying}. */
function combined(all: readonly unknown[]): unknown {
  const [first] = all;
  if (typeof first === 'number') {
    return all.every((value) => Object.is(value, first)) ? first : new Varying(all as number[]);
  }
  if (Array.isArray(first)) return first.map((_, i) => combined(all.map((value) => (value as unknown[])[i])));
  if (typeof first !== 'object' || first === null) return first;
  return Object.fromEntries(
    Object.keys(first).map((key) => [key, combined(all.map((value) => (value as Record<string, unknown>)[key]))]),
  );
}
