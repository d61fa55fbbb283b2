/**
 * How tensors look as text: aligned columns, long axes shortened in the middle, and whatever is not usual behind. Installs `toString` and
 * what `util.inspect` and `console.log` call. Reads what it prints from the device, and waits for that.
 */
import { inspect } from 'node:util';

import { ArgumentError } from '../errors';
import { decode, isFloat, type DType } from './dtype';
import type { Shape } from './shape-types';
import { isContiguous, show } from './shapes';
import { Tensor, type AnyTensor } from './tensor';

/** Tensors with more elements than this are shortened. */
const threshold = 1000;
/** How many elements at each end of an axis are shown then. */
const edge = 3;
const columns = 80;
const decimals = 4;

type Value = number | bigint;
/** The elements that are shown: nested arrays, with null where some are left out. */
type Nested = Value | null | Nested[];

function toText(x: AnyTensor): string {
  const { shape, storage } = x;
  if (storage.released !== undefined) return `tensor(<released ${storage.released}>${trailer(x, true)})`;
  const shortened = x.size > threshold;
  const isEmpty = x.size === 0;
  const values = isEmpty ? [] : shortened ? edges(x, 0) : nested(x);
  const prefix = 'tensor(';
  return `${prefix}${layOut(values, formatter(values, x.dtype), prefix.length)}${trailer(x, shortened || (isEmpty && shape.length > 1))})`;
}

/** The options that would make the tensor, where they are not the usual ones. */
function trailer(x: AnyTensor, withShape: boolean): string {
  const options = [
    ...(withShape ? [`shape: [${x.shape.join(', ')}]`] : []),
    ...(x.dtype === 'float32' ? [] : [`dtype: '${x.dtype}'`]),
    ...(x.device === 'cpu' ? [] : [`device: '${x.device}'`]),
    ...(x.requiresGrad ? ['requiresGrad: true'] : []),
  ];
  return options.length === 0 ? '' : `, { ${options.join(', ')} }`;
}

function elements(x: AnyTensor): ArrayLike<Value> {
  const data = x.dataSync();
  return data instanceof BigInt64Array ? data : decode(x.dtype, data);
}

function nested(x: AnyTensor): Nested {
  const values = elements(x);
  let at = 0;
  const level = (axis: number): Nested =>
    axis === x.rank ? values[at++]! : Array.from({ length: x.shape[axis]! }, () => level(axis + 1));
  return level(0);
}

/** The ends of every axis from `axis` on; only they are read from the device. */
function edges(x: AnyTensor, axis: number): Nested {
  const size = x.shape[axis]!;
  const isLast = axis === x.rank - 1;
  const run = (start: number, count: number): Nested[] => {
    if (isLast) return Array.from(elements(part(x, axis, start, count)));
    return Array.from({ length: count }, (_, i) => edges(part(x, axis, start + i, 1), axis + 1));
  };
  return size <= 2 * edge ? run(0, size) : [...run(0, edge), null, ...run(size - edge, edge)];
}

/** `count` positions of an axis, as a view. */
function part(x: AnyTensor, axis: number, start: number, count: number): AnyTensor {
  const shape: Shape = x.shape.map((size, i) => (i === axis ? count : size));
  const offset = x.offset + start * x.strides[axis]!;
  return new Tensor(x.storage, x.dtype, shape, x.strides, offset, isContiguous(shape, x.strides));
}

/** How the elements of one tensor are written: all with the same width. */
function formatter(values: Nested, dtype: DType): (value: Value) => string {
  const all: Value[] = [];
  flatten(values, all);
  const write = writer(all, dtype);
  const width = all.reduce<number>((widest, value) => Math.max(widest, write(value).length), 0);
  return (value) => write(value).padStart(width);
}

function flatten(values: Nested, into: Value[]): void {
  if (Array.isArray(values)) for (const entry of values) flatten(entry, into);
  else if (values !== null) into.push(values);
}

function writer(all: readonly Value[], dtype: DType): (value: Value) => string {
  if (dtype === 'bool') return (value) => String(value !== 0);
  if (!isFloat(dtype)) return String;
  const sizes = (all as readonly number[]).filter((value) => Number.isFinite(value) && value !== 0).map(Math.abs);
  const greatest = sizes.reduce((a, b) => Math.max(a, b), 0);
  const least = sizes.reduce((a, b) => Math.min(a, b), Infinity);
  const whole = sizes.every(Number.isInteger);
  const scientific = greatest >= 1e8 || (!whole && (greatest > 1000 * least || least < 1e-4));
  const finite = scientific
    ? (value: number) => value.toExponential(decimals).replace(/e([+-])(\d)$/, 'e$10$2')
    : whole
      ? (value: number) => `${sign(value)}${Math.abs(value)}.`
      : (value: number) => value.toFixed(decimals);
  return (value) => (Number.isFinite(value) ? finite(value as number) : String(value));
}

const sign = (value: number): string => (value < 0 || Object.is(value, -0) ? '-' : '');

/** Nested brackets; lines after the first are indented so that they stand below it. */
function layOut(values: Nested, write: (value: Value) => string, indent: number): string {
  if (values === null) return '…';
  if (!Array.isArray(values)) return write(values);
  const inner = indent + 1;
  const entries = values.map((entry) => layOut(entry, write, inner));
  const depth = depthOf(values);
  if (depth > 1) return `[${entries.join(`,${'\n'.repeat(depth - 1)}${' '.repeat(inner)}`)}]`;
  const lines: string[] = [];
  let line = '';
  for (const [i, entry] of entries.entries()) {
    const text = i === entries.length - 1 ? entry : `${entry},`;
    if (line !== '' && inner + line.length + 1 + text.length > columns) {
      lines.push(line);
      line = text;
    } else {
      line = line === '' ? text : `${line} ${text}`;
    }
  }
  return `[${[...lines, line].join(`\n${' '.repeat(inner)}`)}]`;
}

function depthOf(values: Nested): number {
  if (!Array.isArray(values)) return 0;
  return 1 + values.reduce<number>((deepest, entry) => Math.max(deepest, depthOf(entry)), 0);
}

declare module './tensor' {
  // The parameters have the names of the class.

  interface Tensor<S extends Shape, D extends DType> {
    /** The tensor as text, like PyTorch's: aligned, shortened in the middle beyond 1000 elements. Waits for the device. */
    toString(): string;
    [inspect.custom](): string;
    /**
     * @internal
     * @throws ArgumentError where a number is wanted, as in `x * 2` and `x > y`, which JavaScript would answer with NaN and false.
     */
    [Symbol.toPrimitive](hint: string): string;
  }
}

for (const name of ['toString', inspect.custom]) {
  Object.defineProperty(Tensor.prototype, name, {
    value(this: AnyTensor) {
      return toText(this);
    },
    writable: true,
    configurable: true,
  });
}

Object.defineProperty(Tensor.prototype, Symbol.toPrimitive, {
  value(this: AnyTensor, hint: string) {
    if (hint !== 'number') return this.toString();
    throw new ArgumentError(
      `number: got a tensor of ${this.dtype} ${show(this.shape)}, expected a method such as x.mul(y) or x.greater(y), or what was read by await x.item()`,
    );
  },
  writable: true,
  configurable: true,
});
