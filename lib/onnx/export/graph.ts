/**
 * The nodes and initializers of the file while it is written: names for values, constants, and sizes that are known only when the model runs. The tables beside
 * this file say how each op is written; lib/onnx/save.ts puts the model together.
 */
import { ArgumentError } from '../../errors';
import { arrays, encode, isFloat, type DType } from '../../tensor/dtype';
import { AttributeType, type AttributeProto, type NodeProto, type TensorProto } from '../messages';
import { Varying, type Event, type Operand, type Size, type Value } from '../trace';

/** TensorProto.DataType of every dtype. */
export const dataTypes: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
};

/** A number is an integer attribute; a floating one is {@link real}. */
export type Attribute = number | string | readonly number[] | readonly string[] | Real;

class Real {
  constructor(readonly value: number) {}
}
export const real = (value: number): Real => new Real(value);

/** How an op is written: the names of its outputs, in order; undefined for one that has no form. */
export type Writer = (graph: Graph, event: Event) => string | readonly (string | undefined)[];

/** The writers of a family of ops, by name. */
export type Table = Readonly<Record<string, Writer>>;

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function attributeOf(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'number') return { name, type: AttributeType.int, i: value };
  if (typeof value === 'string') return { name, type: AttributeType.string, s: text(value) };
  if (value instanceof Real) return { name, type: AttributeType.float, f: value.value };
  return typeof value[0] === 'string'
    ? { name, type: AttributeType.strings, strings: (value as string[]).map(text) }
    : { name, type: AttributeType.ints, ints: value as number[] };
}

export class Graph {
  readonly nodes: NodeProto[] = [];
  readonly constants = new Map<string, TensorProto>();
  /** By values; those of inputs, parameters and whatever was written before. */
  readonly #names = new Map<Value, string>();
  /** Where a varying size can be asked for: an axis of a value. */
  readonly #axes = new Map<string, { readonly size: Varying; readonly name: string; readonly axis: number }>();
  readonly #written = new Map<string, string>();
  #count = 0;
  /** The op that is being written. */
  op = '';

  // ---------------------------------------------------------------------------------------------------------------- values

  /** Gives a value its name. */
  bind(value: Value, name: string): void {
    this.#names.set(value, name);
    value.shape.forEach((size, axis) => {
      if (size instanceof Varying && !this.#axes.has(size.key)) this.#axes.set(size.key, { size, name, axis });
    });
  }

  has(value: Value): boolean {
    return this.#names.has(value);
  }

  name(value: Value): string {
    return this.#names.get(value)!;
  }

  /** The name of an operand that is there; a number becomes a constant, in the dtype of `like` where it is given. */
  operand(operand: Operand, dtype?: DType): string {
    if (operand === undefined) return '';
    return isValue(operand) ? this.name(operand) : this.number(operand.number, dtype ?? operand.dtype);
  }

  // ---------------------------------------------------------------------------------------------------------------- nodes

  /** Writes a node and answers its outputs; inputs at the end that are '' are left out. */
  nodeOf(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute | undefined>>,
    outputs: number,
  ): string[] {
    const given = inputs.slice(0, inputs.findLastIndex((input) => input !== '') + 1);
    const attribute = Object.entries(attributes).flatMap(([name, value]) =>
      value === undefined ? [] : [attributeOf(name, value)],
    );
    // The same question is asked once.
    const key = JSON.stringify([opType, given, attribute, outputs]);
    const known = this.#written.get(key);
    if (known !== undefined) return JSON.parse(known) as string[];
    const number = this.#count++;
    const output = Array.from({ length: outputs }, (_, i) => `${opType}_${number}${i === 0 ? '' : `_${i}`}`);
    this.#written.set(key, JSON.stringify(output));
    this.nodes.push({ opType, name: `${opType}_${number}`, input: given, output, attribute });
    return output;
  }

  node(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute | undefined>> = {},
  ): string {
    return this.nodeOf(opType, inputs, attributes, 1)[0]!;
  }

  cast(name: string, from: DType, to: DType): string {
    return from === to ? name : this.node('Cast', [name], { to: dataTypes[to] });
  }

  // ---------------------------------------------------------------------------------------------------------------- constants

  /** A constant of the file. */
  constant(dtype: DType, dims: readonly number[], numbers: readonly number[]): string {
    const { buffer, byteOffset, byteLength } = encode(dtype, numbers, this.op);
    const rawData = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
    const key = `${dtype} ${dims.join()} ${Buffer.from(rawData).toString('latin1')}`;
    let known = this.constants.get(key);
    if (known === undefined) {
      const name = `constant_${this.constants.size}`;
      this.constants.set(key, (known = { name, dims: [...dims], dataType: dataTypes[dtype], rawData }));
    }
    return known.name!;
  }

  /** A number as a tensor of rank 0. */
  number(value: Size, dtype: DType): string {
    if (typeof value === 'number') return this.constant(dtype, [], [wrapped(dtype, value)]);
    return this.cast(this.node('Squeeze', [this.sizes([value])]), 'int64', dtype);
  }

  // ---------------------------------------------------------------------------------------------------------------- sizes

  /** A number of the op that ONNX has as an attribute. */
  fixed(size: Size, what: string): number {
    if (typeof size === 'number') return size;
    return this.#refuse(size, what, 'a number that stays the same');
  }

  fixedAll(sizes: readonly Size[], what: string): number[] {
    return sizes.map((size) => this.fixed(size, what));
  }

  /** Sizes as a vector of int64. */
  sizes(sizes: readonly Size[]): string {
    if (sizes.every((size) => typeof size === 'number')) return this.constant('int64', [sizes.length], sizes);
    const parts = sizes.map((size) => (typeof size === 'number' ? this.sizes([size]) : this.#size(size)));
    return parts.length === 1 ? parts[0]! : this.node('Concat', parts, { axis: 0 });
  }

  /** The size of an axis, or a multiple or a part of one or of the product of two, and a fixed number more. */
  #size(size: Varying): string {
    const known = this.#axes.get(size.key);
    if (known !== undefined) return this.node('Shape', [known.name], { start: known.axis, end: known.axis + 1 });
    const axes = [...this.#axes.values()];
    const pairs = axes.flatMap((a, i) => axes.slice(i).map((b) => [a, b]));
    for (const factors of [...axes.map((axis) => [axis]), ...pairs]) {
      const fit = linear(
        size.values,
        size.values.map((_, at) => factors.reduce((product, own) => product * own.size.values[at]!, 1)),
      );
      if (fit === undefined) continue;
      let name = factors.map((own) => this.#size(own.size)).reduce((a, b) => this.node('Mul', [a, b]));
      if (fit.times !== 1) name = this.node('Mul', [name, this.sizes([fit.times])]);
      if (fit.over !== 1) name = this.node('Div', [name, this.sizes([fit.over])]);
      return fit.more === 0 ? name : this.node('Add', [name, this.sizes([fit.more])]);
    }
    return this.#refuse(size, 'a size', 'a multiple of one of dynamicAxes, or of two, and a fixed number more');
  }

  #refuse({ values }: Varying, what: string, expected: string): never {
    throw new ArgumentError(
      `onnx.save: ${this.op} depends on dynamicAxes: got ${values.join(', ')} as ${what}, expected ${expected}`,
    );
  }

  /** A value in another shape with the same elements. */
  reshape(name: string, from: readonly Size[], to: readonly Size[]): string {
    const isEmpty = to.includes(0);
    let inferred = false;
    const sizes = to.map((size, axis): Size => {
      if (typeof size === 'number' || isEmpty) return size;
      const own = from[axis];
      if (own instanceof Varying && own.key === size.key) return 0;
      if (inferred) return size;
      inferred = true;
      return -1;
    });
    return this.node('Reshape', [name, this.sizes(sizes)], { allowzero: isEmpty ? 1 : undefined });
  }
}

/** y = x · times / over + more in whole numbers, where that is so. */
function linear(
  y: readonly number[],
  x: readonly number[],
): { readonly times: number; readonly over: number; readonly more: number } | undefined {
  const other = x.findIndex((value) => value !== x[0]);
  if (other === -1) return undefined;
  const slope = (y[other]! - y[0]!) / (x[other]! - x[0]!);
  const over = Number.isInteger(slope) ? 1 : Math.round(1 / slope);
  const times = Math.round(slope * over);
  const more = y[0]! - (x[0]! * times) / over;
  const fits = Number.isInteger(more) && y.every((value, at) => value * over === x[at]! * times + more * over);
  return fits ? { times, over, more } : undefined;
}

/** A number as a dtype holds it: integers wrap around. */
function wrapped(dtype: DType, value: number): number {
  if (isFloat(dtype) || dtype === 'int64') return value;
  const held = new arrays[dtype](1);
  held[0] = value;
  return held[0];
}

/** What floats of 16 bits are computed in where ONNX has an op that rounds on the way. */
export const wideFloat = (dtype: DType): DType => (dtype === 'float64' ? dtype : 'float32');

export const isValue = (operand: Operand): operand is Value => operand !== undefined && 'shape' in operand;

export const sameSize = (a: Size | undefined, b: Size | undefined): boolean =>
  a instanceof Varying ? b instanceof Varying && a.key === b.key : a === b;
