/**
 * PyTorch's checkpoints (`torch.save`): zip archives since 1.6, and the legacy format before. It finds pickle and storages in either, and turns
 * what the restricted unpickler built into tensors. Tensors that shared a storage share one again, with their strides.
 */
import { fromBuffer } from '../../ops/creation';
import { checkOptions } from '../../ops/define';
import type { Device } from '../../runtime/device';
import { sizes } from '../../tensor/dtype';
import { isContiguous } from '../../tensor/shapes';
import { Tensor, type AnyTensor } from '../../tensor/tensor';
import { openSource, type ByteSource } from '../byte-source';
import { excerpt, malformed } from '../malformed';
import { ZipReader } from '../zip/zip-reader';
import { checkpointGlobals, isStorageType, TensorReference, type StorageReference } from './checkpoint-globals';
import { Tuple, unpickle, type UnpickleContext } from './unpickler';

export interface PyTorchReadOptions {
  /** Where the tensors are to live; `'cpu'` unless given. */
  readonly device?: Device;
}

const OP = 'readPyTorch';
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

/** What a file holds: the pickled value, and the bytes of its storages. */
interface Contents {
  readonly value: unknown;
  /** The bytes of a storage, in the order of this machine's. */
  storage(reference: StorageReference): Promise<Uint8Array>;
}

/**
 * Reads what `torch.save` wrote (.pt, .pth, .th, .bin; the zip format and the legacy one): tensors, numbers, strings, lists, tuples (as
 * arrays) and dictionaries. A dictionary with only string keys becomes an object, any other a Map. Nothing in the file is executed: a pickle that
 * names anything beyond tensors and plain data, such as a whole model, is refused with that name.
 *
 * @throws FormatError when the file is malformed, names another global, or holds a dtype that hadal lacks.
 * @example
 * const checkpoint = await io.readPyTorch('resnet20.th');
 * model.loadStateDict(checkpoint.state_dict);
 */
export async function readPyTorch(path: string, options: PyTorchReadOptions = {}): Promise<unknown> {
  checkOptions(OP, options);
  const source = await openSource(OP, path);
  try {
    const isZip = source.size >= 4 && Buffer.from(await source.read(0, 4)).readUInt32LE() === 0x04034b50;
    const contents = isZip ? await readZip(source) : await readLegacy(source);
    return await new Builder(contents, path, options.device ?? 'cpu').build();
  } finally {
    await source.close();
  }
}

/** Collects the storages that a pickle names; their count must be the same each time. */
function storageIds(
  fail: (what: string) => never,
  storages: Map<string, StorageReference>,
  id: unknown,
): StorageReference {
  const items = id instanceof Tuple ? id.items : [];
  const [kind, type, key, , count, view = null] = items;
  if (
    kind !== 'storage' ||
    !isStorageType(type) ||
    typeof key !== 'string' ||
    !Number.isSafeInteger(count) ||
    view !== null
  ) {
    return fail(kind === 'module' ? 'a module' : 'something that is no storage');
  }
  const reference: StorageReference = { kind, key, dtype: type.dtype, count: count as number };
  const known = storages.get(key);
  if (known !== undefined && (known.count !== reference.count || known.dtype !== reference.dtype)) {
    return fail(
      `storage ${excerpt(key)} as ${count as number} of ${type.dtype} and as ${known.count} of ${known.dtype}`,
    );
  }
  storages.set(key, known ?? reference);
  return known ?? reference;
}

function contextOf(file: string, start: number, storages: Map<string, StorageReference>): UnpickleContext {
  return {
    op: OP,
    file,
    start,
    globals: checkpointGlobals,
    persistent: (id, fail) => storageIds(fail, storages, id),
  };
}

async function readZip(source: ByteSource): Promise<Contents> {
  const zip = await ZipReader.open(source, OP);
  const pickleEntry = [...zip.entries.values()].find(({ name }) => /(^|\/)data\.pkl$/.test(name));
  if (pickleEntry === undefined) throw malformed(OP, source.name, 'its directory', 'zip entries', 'no data.pkl', 'one');
  const prefix = pickleEntry.name.slice(0, -'data.pkl'.length);
  const orderEntry = zip.entries.get(`${prefix}byteorder`);
  const order = orderEntry === undefined ? 'little' : Buffer.from(await zip.read(orderEntry)).toString('latin1');
  if (order !== 'little' && order !== 'big') {
    throw malformed(OP, source.name, `${prefix}byteorder`, 'byte order', excerpt(order), 'little or big');
  }
  const file = `${source.name}: ${pickleEntry.name}`;
  const { value } = unpickle(await zip.read(pickleEntry), contextOf(file, 0, new Map()));
  return {
    value,
    storage: async ({ key, dtype, count }) => {
      const name = `${prefix}data/${key}`;
      const entry = zip.entries.get(name);
      if (entry === undefined) throw malformed(OP, source.name, 'its directory', 'storage', 'none', excerpt(name));
      const length = count * sizes[dtype];
      if (entry.size !== length) {
        throw malformed(
          OP,
          source.name,
          name,
          'size of the storage',
          `${entry.size} bytes`,
          `${length}, ${count} of ${dtype}`,
        );
      }
      const bytes = await zip.read(entry);
      return order === 'big' ? swapped(bytes, sizes[dtype]) : bytes;
    },
  };
}

/** Pickles one behind the other: a magic number, the protocol, the writer's system, the value, the keys; then the storages in the keys' order. */
async function readLegacy(source: ByteSource): Promise<Contents> {
  const { name } = source;
  const bytes = await source.read(0, source.size);
  const storages = new Map<string, StorageReference>();
  let at = 0;
  const next = (): unknown => {
    const { value, end } = unpickle(bytes.subarray(at), contextOf(name, at, storages));
    at += end;
    return value;
  };
  if (bytes[0] !== 0x80) {
    throw malformed(
      OP,
      name,
      0,
      'start of the file',
      bytes.length === 0 ? 'nothing' : `0x${bytes[0]!.toString(16)}`,
      'a zip archive or a pickle',
    );
  }
  const magic = next();
  if (magic !== LEGACY_MAGIC) throw malformed(OP, name, 0, 'magic number', describe(magic), String(LEGACY_MAGIC));
  const protocolAt = at;
  const protocol = next();
  if (protocol !== LEGACY_PROTOCOL) {
    throw malformed(OP, name, protocolAt, 'protocol', describe(protocol), String(LEGACY_PROTOCOL));
  }
  const systemAt = at;
  const system = next();
  if (!(system instanceof Map)) throw malformed(OP, name, systemAt, 'system', describe(system), 'a dictionary');
  const isLittle = system.get('little_endian') !== false;
  const value = next();
  const keysAt = at;
  const keys = next();
  if (!Array.isArray(keys)) throw malformed(OP, name, keysAt, 'storage keys', describe(keys), 'a list');
  const places = new Map<string, { start: number; length: number }>();
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const key of keys as unknown[]) {
    const reference = storages.get(key as string);
    if (reference === undefined) {
      throw malformed(OP, name, keysAt, 'storage keys', describe(key), 'one that a tensor names');
    }
    const length = reference.count * sizes[reference.dtype];
    if (at + 8 + length > bytes.length) {
      const got = `${Math.max(0, bytes.length - at - 8)} bytes`;
      throw malformed(OP, name, at, `storage ${excerpt(reference.key)} is cut off`, got, String(length));
    }
    const count = isLittle ? view.readBigInt64LE(at) : view.readBigInt64BE(at);
    if (count !== BigInt(reference.count)) {
      throw malformed(
        OP,
        name,
        at,
        `size of storage ${excerpt(reference.key)}`,
        String(count),
        String(reference.count),
      );
    }
    places.set(reference.key, { start: at + 8, length });
    at += 8 + length;
  }
  return {
    value,
    storage: ({ key, dtype }) => {
      const place = places.get(key);
      if (place === undefined) throw malformed(OP, name, keysAt, 'storage keys', 'none', excerpt(key));
      const own = bytes.subarray(place.start, place.start + place.length);
      return Promise.resolve(isLittle ? own : swapped(own, sizes[dtype]));
    },
  };
}

/** Turns what was unpickled into what users get. A list of work instead of recursion, so that no nesting is too deep; cycles stay cycles. */
class Builder {
  readonly #built = new Map<unknown, unknown>();
  readonly #work: (() => void | Promise<void>)[] = [];
  readonly #storages = new Map<string, AnyTensor>();

  constructor(
    private readonly contents: Contents,
    private readonly file: string,
    private readonly device: Device,
  ) {}

  async build(): Promise<unknown> {
    const box: unknown[] = [];
    this.convert(this.contents.value, (value) => (box[0] = value));
    for (let work = this.#work.pop(); work !== undefined; work = this.#work.pop()) await work();
    return box[0];
  }

  private convert(value: unknown, place: (value: unknown) => void): void {
    if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return place(value);
    if (value instanceof TensorReference) {
      this.#work.push(async () => place(await this.tensor(value)));
      return;
    }
    if (!this.#built.has(value)) this.#built.set(value, this.shell(value));
    place(this.#built.get(value));
  }

  /** The empty container; filling it is work for later. */
  private shell(value: object): unknown {
    if (Array.isArray(value) || value instanceof Tuple) {
      const items: readonly unknown[] = value instanceof Tuple ? value.items : (value as unknown[]);
      const list: unknown[] = new Array<unknown>(items.length);
      this.#work.push(() => items.forEach((item, i) => this.convert(item, (built) => (list[i] = built))));
      return list;
    }
    if (value instanceof Set) return value;
    if (!(value instanceof Map)) return (value as { readonly name: string }).name; // a dtype or a class, as a value
    const entries = [...(value as Map<unknown, unknown>)];
    const isRecord = entries.every(([key]) => typeof key === 'string');
    const record: Record<string, unknown> = {};
    const map = new Map<unknown, unknown>();
    // In order, before the values come in any other.
    for (const [key] of entries) {
      if (isRecord) define(record, key as string, undefined);
      else map.set(key, undefined);
    }
    this.#work.push(() => {
      for (const [key, item] of entries) {
        this.convert(item, (built) => (isRecord ? define(record, key as string, built) : map.set(key, built)));
      }
    });
    return isRecord ? record : map;
  }

  private async tensor(reference: TensorReference): Promise<AnyTensor> {
    const known = this.#built.get(reference);
    if (known !== undefined) return known as AnyTensor;
    const { storage, dtype, shape, strides, offset } = reference;
    const { storage: memory } = await this.storage(storage);
    const view = new Tensor(memory, dtype, shape, strides, offset, isContiguous(shape, strides)) as AnyTensor;
    const isTracked = reference.requiresGrad && ['float64', 'float32', 'float16', 'bfloat16'].includes(dtype);
    const built = isTracked ? view.requiresGrad_() : view;
    this.#built.set(reference, built);
    return built;
  }

  private async storage(reference: StorageReference): Promise<AnyTensor> {
    const known = this.#storages.get(reference.key);
    if (known !== undefined) return known;
    const bytes = await this.contents.storage(reference);
    if (reference.dtype === 'bool') {
      const wrong = bytes.find((byte) => byte > 1);
      if (wrong !== undefined) {
        throw malformed(OP, this.file, `storage ${excerpt(reference.key)}`, 'element', String(wrong), '0 or 1');
      }
    }
    const flat = fromBuffer(bytes, { dtype: reference.dtype, device: this.device }) as AnyTensor;
    this.#storages.set(reference.key, flat);
    return flat;
  }
}

/** Sets an own property, also one named `__proto__`. */
function define(record: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(record, key, { value, writable: true, enumerable: true, configurable: true });
}

function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const copy = Buffer.from(bytes);
  if (size === 2) copy.swap16();
  if (size === 4) copy.swap32();
  if (size === 8) copy.swap64();
  return copy;
}

const describe = (value: unknown): string =>
  typeof value === 'object' && value !== null ? 'an object' : excerpt(String(value));
