/** ONNX's tensors: their dtypes, and their elements from wherever a TensorProto has them. What a file claims is checked before anything is allocated. */
import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';

import { DTypeError, FormatError } from '../errors';
import { openSource, type ByteSource } from '../io/byte-source';
import { byteLengthOf, viewAs } from '../io/safetensors-format';
import { tensor } from '../ops/creation';
import type { Device } from '../runtime/device';
import { arrays, encode, sizes, type ArrayOf, type DType } from '../tensor/dtype';
import { show, sizeOf } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import type { TensorProto } from './messages';
import { Known } from './value';

interface ElementType {
  readonly name: string;
  /** What tensors of hadal hold it in; undefined where none does. */
  readonly dtype?: DType;
  /** Where a raw element is not one of `dtype`. */
  readonly raw?: new (buffer: ArrayBuffer, byteOffset: number, length: number) => ArrayLike<number | bigint>;
  /** Bytes of a raw element. */
  readonly size?: number;
}

const typed = (dtype: DType): ElementType => ({ name: dtype, dtype, size: sizes[dtype] });

/** By the numbers that ONNX gives them. Unsigned integers that hadal lacks are held in wider signed ones. */
const elementTypes: readonly (ElementType | undefined)[] = [
  undefined,
  typed('float32'),
  typed('uint8'),
  typed('int8'),
  { name: 'uint16', dtype: 'int32', raw: Uint16Array, size: 2 },
  typed('int16'),
  typed('int32'),
  typed('int64'),
  { name: 'string' },
  typed('bool'),
  typed('float16'),
  typed('float64'),
  { name: 'uint32', dtype: 'int64', raw: Uint32Array, size: 4 },
  { name: 'uint64', dtype: 'int64', raw: BigUint64Array, size: 8 },
  { name: 'complex64' },
  { name: 'complex128' },
  typed('bfloat16'),
  { name: 'float8e4m3fn' },
  { name: 'float8e4m3fnuz' },
  { name: 'float8e5m2' },
  { name: 'float8e5m2fnuz' },
  { name: 'uint4' },
  { name: 'int4' },
  { name: 'float4e2m1' },
  { name: 'float8e8m0' },
  { name: 'uint2' },
  { name: 'int2' },
];

const elementType = (code = 0): ElementType => elementTypes[code] ?? { name: `element type ${code}` };

/** The dtype for elements of ONNX's type number `code`. `what` begins the message of an error. */
export function dtypeOf(what: string, code: number | undefined): DType {
  const { name, dtype } = elementType(code);
  if (dtype !== undefined) return dtype;
  throw new DTypeError(`${what}: dtype: got ${name}, expected one that hadal has`, { dtype: name });
}

/** Elements at hand, checked against their dtype and shape. */
export interface Elements {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: ArrayOf<DType>;
}

/** A tensor of these elements. */
export const tensorOf = ({ dtype, shape, data }: Elements, device: Device): AnyTensor =>
  tensor(data, { dtype, shape, device }) as AnyTensor;

/** The same elements as numbers. */
export const knownOf = ({ dtype, shape, data }: Elements, own?: () => AnyTensor): Known =>
  new Known(dtype, shape, data, own);

/** Reads the tensors of one model, whose file is `file`; close it afterwards. */
export class TensorReader implements AsyncDisposable {
  readonly #op: string;
  readonly #file: string;
  readonly #sources = new Map<string, Promise<ByteSource>>();

  constructor(op: string, file: string) {
    this.#op = op;
    this.#file = file;
  }

  async read(proto: TensorProto): Promise<Elements> {
    const what = `${this.#op}: ${this.#file}: tensor ${JSON.stringify(proto.name ?? '')}`;
    const dtype = dtypeOf(what, proto.dataType);
    const { raw, size: itemSize = 0 } = elementType(proto.dataType);
    const shape = proto.dims ?? [];
    if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || shape.length > 64) {
      throw this.#malformed(what, `dims: got ${show(shape)}, expected sizes`);
    }
    const length = byteLengthOf(dtype, shape);
    const count = sizeOf(shape);
    if (length === undefined) throw this.#malformed(what, `dims: got ${show(shape)}, expected fewer elements`);
    const bytes =
      proto.dataLocation === 1 ? await this.#external(what, proto, count * itemSize) : (proto.rawData ?? undefined);
    if (bytes !== undefined && bytes.length > 0) {
      if (bytes.length !== count * itemSize) {
        throw this.#malformed(
          what,
          `data: got ${bytes.length} bytes, expected ${count * itemSize} for ${dtype} ${show(shape)}`,
        );
      }
      if (raw === undefined) return { dtype, shape, data: viewAs(dtype, bytes) };
      const aligned = bytes.slice();
      return { dtype, shape, data: this.#fitted(what, dtype, new raw(aligned.buffer, 0, count)) };
    }
    const values = fieldOf(proto, dtype) ?? [];
    if (values.length !== count) {
      throw this.#malformed(what, `data: got ${values.length} elements, expected ${count} for ${dtype} ${show(shape)}`);
    }
    if (dtype === 'float16' || dtype === 'bfloat16') return { dtype, shape, data: Uint16Array.from(values) };
    // Of unsigned 32 and 64 bits in typed fields protobufjs gives all; what else is too large is wrapped as C would.
    const data = dtype === 'int64' || raw !== undefined ? this.#fitted(what, dtype, values) : wrapped(dtype, values);
    return { dtype, shape, data };
  }

  /** Sentinels above what the dtype holds become its largest number, as far as doubles tell; other elements must fit. */
  #fitted(what: string, dtype: DType, values: ArrayLike<number | bigint>): ArrayOf<DType> {
    const list = Array.from(values, (value) => (dtype === 'int64' && value === 2 ** 63 ? 2n ** 63n - 1n : value));
    return encode(dtype, list, what);
  }

  async #external(what: string, proto: TensorProto, expected: number): Promise<Uint8Array> {
    const entries = new Map((proto.externalData ?? []).map(({ key, value }) => [key, value]));
    const location = entries.get('location') ?? '';
    const offset = Number(entries.get('offset') ?? 0);
    const length = Number(entries.get('length') ?? expected);
    if (length !== expected || !Number.isSafeInteger(offset) || offset < 0) {
      throw this.#malformed(
        what,
        `external data: got offset ${offset} and length ${length}, expected a length of ${expected}`,
      );
    }
    const source = await this.#source(what, location);
    if (offset + length > source.size) {
      throw this.#malformed(
        what,
        `external data: got bytes ${offset} to ${offset + length}, expected them within the ${source.size} of ${location}`,
      );
    }
    return source.read(offset, length);
  }

  /** The file at `location`, which may lie nowhere but in the model's folder. */
  async #source(what: string, location: string): Promise<ByteSource> {
    const open = this.#sources.get(location);
    if (open !== undefined) return open;
    const folder = dirname(this.#file);
    const path = join(folder, location);
    const outside = (from: string, to: string): boolean => {
      const way = relative(from, to);
      return way === '' || way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way);
    };
    const refuse = (): Error =>
      this.#malformed(
        what,
        `external data: got location ${JSON.stringify(location)}, expected a path inside of the model's folder`,
      );
    if (location.includes('\0') || isAbsolute(location) || outside(folder, path)) throw refuse();
    const source = (async () => {
      const real = await Promise.all([realpath(folder), realpath(path)]).catch(() => undefined); // openSource tells why
      if (real !== undefined && outside(...real)) throw refuse();
      return openSource(this.#op, path);
    })();
    this.#sources.set(location, source);
    return source;
  }

  #malformed(what: string, message: string): FormatError {
    return new FormatError(`${what}: ${message}`, { file: this.#file });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const source of await Promise.allSettled(this.#sources.values())) {
      if (source.status === 'fulfilled') await source.value.close();
    }
  }
}

/** The field that holds elements which are not raw. */
function fieldOf(proto: TensorProto, dtype: DType): readonly number[] | undefined {
  switch (dtype) {
    case 'float32':
      return proto.floatData;
    case 'float64':
      return proto.doubleData;
    case 'int64':
      return proto.dataType === 7 ? proto.int64Data : proto.uint64Data;
    default:
      return proto.int32Data;
  }
}

function wrapped(dtype: DType, values: readonly number[]): ArrayOf<DType> {
  const array = new arrays[dtype](values.length);
  (array as Uint8Array).set(dtype === 'bool' ? values.map((value) => Number(value !== 0)) : values);
  return array;
}
