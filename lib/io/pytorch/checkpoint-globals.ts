/** The globals that a PyTorch checkpoint of tensors and plain data names, and what stands for a tensor until its bytes are read. */
import { byteLengthOf } from '../safetensors-format';
import { isDType, sizes, type DType } from '../../tensor/dtype';
import { maxRank } from '../../tensor/shapes';
import { Tuple, type PickleGlobal } from './unpickler';

/** A storage as the pickle names it: `count` elements under `key`. `dtype` is undefined for untyped bytes. */
export interface StorageReference {
  readonly kind: 'storage';
  readonly key: string;
  readonly dtype: DType;
  readonly count: number;
}

/** A view of a storage, in elements of its dtype. */
export class TensorReference {
  constructor(
    readonly storage: StorageReference,
    readonly dtype: DType,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
    public requiresGrad: boolean,
  ) {}
}

/** The class of a storage. */
export interface StorageType extends PickleGlobal {
  readonly dtype: DType;
}

interface TorchDType extends PickleGlobal {
  readonly torchDType: DType;
}

type Fail = (what: string) => never;

const storageDTypes: Readonly<Record<string, DType>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  UntypedStorage: 'uint8',
};
const dtypeNames: Readonly<Record<string, DType>> = {
  double: 'float64',
  float: 'float32',
  half: 'float16',
  long: 'int64',
};

export const isStorageType = (value: unknown): value is StorageType =>
  typeof value === 'object' &&
  value !== null &&
  isDType((value as Partial<StorageType>).dtype) &&
  'call' in value === false;
const isStorage = (value: unknown): value is StorageReference =>
  (value as Partial<StorageReference> | null)?.kind === 'storage';

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function sizesOf(value: unknown, what: string, fail: Fail): number[] {
  if (!(value instanceof Tuple) || !value.items.every(isSize)) return fail(`${what} that is no tuple of sizes`);
  if (value.items.length > maxRank) return fail(`${value.items.length} axes, more than ${maxRank}`);
  return [...value.items];
}

/** A tensor over a storage, proved to lie inside it. */
function rebuild(
  args: readonly unknown[],
  dtype: DType | undefined,
  requiresGrad: unknown,
  fail: Fail,
): TensorReference {
  const [storage, place, sizeTuple, strideTuple] = args;
  if (!isStorage(storage)) return fail('no storage');
  if (!isSize(place)) return fail('an offset that is no size');
  const shape = sizesOf(sizeTuple, 'a shape', fail);
  const strides = sizesOf(strideTuple, 'strides', fail);
  if (shape.length !== strides.length) return fail(`${shape.length} sizes and ${strides.length} strides`);
  const element = dtype ?? storage.dtype;
  if (byteLengthOf(element, shape) === undefined) return fail(`shape [${shape.join(', ')}], beyond 2^53 bytes`);
  const room = Math.floor((storage.count * sizes[storage.dtype]) / sizes[element]);
  // A view of nothing may begin behind the end of its storage.
  const offset = shape.includes(0) ? 0 : place;
  const end = shape.includes(0)
    ? offset
    : shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset + 1);
  if (!(end <= room)) {
    return fail(
      `shape [${shape.join(', ')}] with strides [${strides.join(', ')}] at ${offset} in a storage of ${room}`,
    );
  }
  return new TensorReference(storage, element, offset, shape, strides, requiresGrad === true);
}

/** What PyTorch notes of a view beside its strides: that its values are to be negated or conjugated. */
function checkMetadata(metadata: unknown, fail: Fail): void {
  if (metadata instanceof Map && [...metadata.values()].includes(true)) fail('a view that negates or conjugates');
}

function rebuildParameter([data, requiresGrad]: readonly unknown[], fail: Fail): TensorReference {
  if (!(data instanceof TensorReference)) return fail('no tensor');
  data.requiresGrad = requiresGrad === true;
  return data;
}

function orderedDict([items = []]: readonly unknown[], fail: Fail): Map<unknown, unknown> {
  if (!Array.isArray(items)) return fail('something that is no list of pairs');
  return new Map(
    items.map((pair): [unknown, unknown] => {
      const values = pair instanceof Tuple ? pair.items : (pair as unknown);
      if (!Array.isArray(values) || values.length !== 2) return fail('an entry that is no pair');
      return [values[0] as unknown, values[1] as unknown];
    }),
  );
}

/** Bytes that may change, which the protocols before 3 write as text. */
function bytearray([items = '']: readonly unknown[], fail: Fail): Uint8Array {
  if (items instanceof Uint8Array) return items;
  return typeof items === 'string' ? Uint8Array.from(Buffer.from(items, 'latin1')) : fail('no bytes');
}

/** How Python 2's protocols write bytes: as the text of their latin-1 decoding. */
function encode([text, encoding]: readonly unknown[], fail: Fail): Uint8Array {
  if (typeof text !== 'string' || encoding !== 'latin1') return fail('an encoding other than latin1');
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

const calls: Readonly<Record<string, NonNullable<PickleGlobal['call']>>> = {
  'collections.OrderedDict': orderedDict,
  'collections.Counter': ([counts = new Map()], fail) => (counts instanceof Map ? counts : fail('no dictionary')),
  'torch._utils._rebuild_tensor': (args, fail) => rebuild(args, undefined, false, fail),
  'torch._utils._rebuild_tensor_v2': (args, fail) => {
    checkMetadata(args[6], fail);
    return rebuild(args, undefined, args[4], fail);
  },
  'torch._utils._rebuild_tensor_v3': (args, fail) => {
    checkMetadata(args[7], fail);
    const dtype = (args[6] as Partial<TorchDType> | undefined)?.torchDType;
    return dtype === undefined || dtype === 'bool' ? fail('no dtype of numbers') : rebuild(args, dtype, args[4], fail);
  },
  'torch._utils._rebuild_parameter': rebuildParameter,
  'torch.Size': ([sizeList], fail) => (sizeList instanceof Tuple ? sizeList : fail('no tuple')),
  'torch.device': ([name], fail) => (typeof name === 'string' ? name : fail('no name')),
  'torch.serialization._get_layout': ([name], fail) => (name === 'torch.strided' ? name : fail(String(name))),
  '_codecs.encode': encode,
  'builtins.set': ([items = []], fail) => (Array.isArray(items) ? new Set<unknown>(items) : fail('no list')),
  'builtins.bytearray': bytearray,
};

/** Everything that a checkpoint may name, by module and name. */
export const checkpointGlobals: ReadonlyMap<string, PickleGlobal> = new Map<string, PickleGlobal>([
  ...Object.entries(calls).map(([name, call]) => [name, { name, call }] as const),
  ['__builtin__.set', { name: 'set', call: calls['builtins.set']! }],
  ['__builtin__.bytearray', { name: 'bytearray', call: bytearray }],
  ...Object.entries(storageDTypes).flatMap(([name, dtype]): [string, StorageType][] =>
    ['torch', 'torch.cuda', 'torch.storage'].map((module) => [`${module}.${name}`, { name, dtype }]),
  ),
  ...Object.keys(sizes)
    .concat(Object.keys(dtypeNames))
    .map((name): [string, TorchDType] => {
      const torchDType = dtypeNames[name] ?? (name as DType);
      return [`torch.${name}`, { name, torchDType }];
    }),
]);
