/** What an operator is given: its inputs, attributes and version, checked as it asks for them. */
import { ArgumentError, FormatError } from '../errors';
import type { Device } from '../runtime/device';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { AttributeType, type AttributeProto } from './messages';
import { Known, type Value } from './value';

/**
 * Computes a node's outputs: one value, or a list of them. `known` names the inputs that it wants as known values, or that are constants by their nature: where
 * initializers are given there, they are no parameters.
 */
export interface Operator {
  (call: Call): Value | Outputs;
  readonly known?: readonly number[];
}

/** Several outputs; a list alone would be a sequence. */
export class Outputs {
  constructor(readonly values: readonly Value[]) {}
}

export const outputs = (...values: Value[]): Outputs => new Outputs(values);

/** An operator with inputs that are to be known. */
export const knowing = (known: readonly number[], run: (call: Call) => Value | Outputs): Operator =>
  Object.assign((call: Call) => run(call), { known });

/** What all calls of one run share. */
export interface Running {
  readonly device: Device;
  readonly training: boolean;
}

/** A subgraph as a function of its inputs. */
export type Body = (...inputs: Value[]) => readonly Value[];

/** The attributes of a node whose values are at hand. */
export interface Attributes {
  readonly protos: ReadonlyMap<string, AttributeProto>;
  /** Of the tensors among them. */
  readonly tensors: ReadonlyMap<string, Known>;
}

export class Call {
  constructor(
    /** The operator, and which node: the beginning of its errors. */
    readonly what: string,
    readonly version: number,
    readonly inputs: readonly Value[],
    /** The names of inputs and outputs; '' for those left out. */
    readonly names: { readonly inputs: readonly string[]; readonly outputs: readonly string[] },
    readonly attributes: Attributes,
    readonly bodies: ReadonlyMap<string, Body>,
    readonly running: Running,
  ) {}

  /** Whether the output at `i` is wanted. */
  wants(i: number): boolean {
    return (this.names.outputs[i] ?? '') !== '';
  }

  /** Whether an input is given. */
  has(i: number): boolean {
    return this.inputs[i] !== undefined;
  }

  /** An input of any kind. */
  value(i: number): Value {
    if (this.inputs[i] !== undefined) return this.inputs[i];
    throw new FormatError(`${this.what}: input ${i}: got none, expected one`);
  }

  /** An input as a tensor. */
  tensor(i: number): AnyTensor {
    return this.asTensor(this.value(i), `input ${i}`);
  }

  /** The same, undefined where it is left out. */
  optional(i: number): AnyTensor | undefined {
    return this.has(i) ? this.tensor(i) : undefined;
  }

  /** All inputs as tensors. */
  tensors(): AnyTensor[] {
    return this.inputs.map((_, i) => this.tensor(i));
  }

  asTensor(value: Value, name: string): AnyTensor {
    if (value instanceof Tensor) return value;
    if (value instanceof Known) return value.tensor(this.running.device);
    throw new FormatError(`${this.what}: ${name}: got a sequence, expected a tensor`);
  }

  sequence(i: number): readonly Value[] {
    const value = this.value(i);
    if (Array.isArray(value)) return value as readonly Value[];
    throw new FormatError(`${this.what}: input ${i}: got a tensor, expected a sequence`);
  }

  /** The shape of an input. */
  shape(i: number): readonly number[] {
    const value = this.value(i);
    return value instanceof Known ? value.shape : this.tensor(i).shape;
  }

  /**
   * The elements of an input.
   *
   * @throws ArgumentError when they are not known before the model runs.
   */
  known(i: number): readonly number[] {
    const value = this.value(i);
    if (value instanceof Known) return value.values;
    const name = this.names.inputs[i]!;
    throw new ArgumentError(
      `${this.what}: input ${name}: got a tensor, expected a constant, or what follows from shapes alone; where it is an input of the model, numbers`,
      { unknown: name },
    );
  }

  /** The same, undefined where the input is left out. */
  knownOptional(i: number): readonly number[] | undefined {
    return this.has(i) ? this.known(i) : undefined;
  }

  /** The element of an input with one. */
  knownScalar(i: number): number;
  knownScalar(i: number, absent: number): number;
  knownScalar(i: number, absent?: number): number {
    if (absent !== undefined && !this.has(i)) return absent;
    const [value, ...others] = this.known(i);
    if (value !== undefined && others.length === 0) return value;
    throw new FormatError(`${this.what}: input ${i}: got shape [${this.shape(i).join(', ')}], expected one element`);
  }

  int(name: string, absent?: number): number {
    return this.#attribute(name, 'int', ({ i = 0 }) => i, absent);
  }
  float(name: string, absent?: number): number {
    return this.#attribute(name, 'float', ({ f = 0 }) => f, absent);
  }
  string(name: string, absent?: string): string {
    return this.#attribute(name, 'string', ({ s }) => Buffer.from(s ?? []).toString(), absent);
  }
  ints(name: string): readonly number[] | undefined;
  ints(name: string, absent: readonly number[]): readonly number[];
  ints(name: string, absent?: readonly number[]): readonly number[] | undefined {
    return this.#list(name, 'ints', ({ ints = [] }) => ints, absent);
  }
  floats(name: string, absent: readonly number[]): readonly number[] {
    return this.#list(name, 'floats', ({ floats = [] }) => floats, absent);
  }
  strings(name: string, absent: readonly string[]): readonly string[] {
    return this.#list(name, 'strings', ({ strings = [] }) => strings.map((s) => Buffer.from(s).toString()), absent);
  }
  /** A tensor among the attributes. */
  constant(name: string): Known | undefined {
    return this.attributes.tensors.get(name);
  }
  body(name: string): Body {
    const body = this.bodies.get(name);
    if (body !== undefined) return body;
    throw new FormatError(`${this.what}: attribute ${name}: got none, expected a graph`);
  }

  /** One of the strings that an attribute may be; the first where it is left out. */
  choice<const T extends string>(name: string, ...choices: readonly [T, ...T[]]): T {
    const value = this.string(name, choices[0]);
    if ((choices as readonly string[]).includes(value)) return value as T;
    throw new FormatError(`${this.what}: attribute ${name}: got ${value}, expected ${choices.join(' or ')}`);
  }

  /** An error about what the operator is asked to do. */
  refuse(what: string, got: string, expected: string): never {
    throw new ArgumentError(`${this.what}: ${what}: got ${got}, expected ${expected}`);
  }

  #list<T>(
    name: string,
    type: keyof typeof AttributeType,
    read: (proto: AttributeProto) => T,
    absent: T | undefined,
  ): T;
  #list<T>(name: string, type: keyof typeof AttributeType, read: (proto: AttributeProto) => T, absent: T): T {
    return this.attributes.protos.has(name) ? this.#attribute(name, type, read) : absent;
  }

  #attribute<T>(name: string, type: keyof typeof AttributeType, read: (proto: AttributeProto) => T, absent?: T): T {
    const proto = this.attributes.protos.get(name);
    if (proto?.type === AttributeType[type]) return read(proto);
    if (proto === undefined && absent !== undefined) return absent;
    const got = proto === undefined ? 'none' : `type ${proto.type ?? 0}`;
    throw new FormatError(
      `${this.what}: attribute ${name}: got ${got}, expected ${type} (type ${AttributeType[type]})`,
    );
  }
}
