/**
 * A model in several safetensors files, as Hugging Face lays it out: `model.safetensors.index.json` names the file of each tensor. Files are
 * opened when something in them is asked for, and only what is asked for is read.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join, parse, sep } from 'node:path';
import { ArgumentError } from '../errors';
import { tensor } from '../ops/creation';
import { checkObject, checkTensor } from '../ops/define';
import { describe, shown } from '../tensor/describe';
import { sizes } from '../tensor/dtype';
import { sizeOf } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { replaceFile, writeFully } from './atomic-file';
import { readWhole } from './byte-source';
import { JsonText, type JsonValue } from './json-text';
import { excerpt, malformed } from './malformed';
import { checkPath, checkReadOptions, checkWriteOptions, refusal } from './paths';
import { writeSafetensors, type ReadOptions } from './safetensors';
import { SafetensorsFile, type WriteOptions } from './safetensors-file';
import type { ArrayRecord } from './safetensors-format';

const OP = 'safetensors';

export interface ShardedWriteOptions extends WriteOptions {
  /** A file holds at most this many bytes of tensors, or one larger tensor; 5 GB unless given. */
  readonly maxShardBytes?: number;
  /** What files are called: `name-00001-of-00002.safetensors`; `'model'` unless given. */
  readonly name?: string;
}

/** The tensors that an index file names, in their files. Close it, or hold it with `await using`. */
export class ShardedSafetensors implements AsyncDisposable {
  readonly #open = new Map<string, Promise<SafetensorsFile>>();

  private constructor(
    readonly path: string,
    /** What the index says besides, such as `total_size`. */
    readonly metadata: Readonly<Record<string, JsonValue>>,
    /** The path of each tensor's file. */
    readonly files: ReadonlyMap<string, string>,
  ) {}

  /** Reads and checks an index; its files must lie in the same folder. */
  static async open(path: string): Promise<ShardedSafetensors> {
    const json = JsonText.parse(OP, path, await readWhole(OP, path)).object();
    const metadata = json.optional('metadata')?.object().plain() ?? {};
    const files = json
      .required('weight_map')
      .object()
      .entries()
      .map(([name, value]): [string, string] => {
        const file = value.string();
        if (file === '' || file === '..' || file.includes('/') || file.includes(sep) || file.includes('\0')) {
          throw malformed(OP, path, value.place, 'file', excerpt(file), 'a name in the same folder');
        }
        return [name, join(dirname(path), file)];
      });
    return new ShardedSafetensors(path, metadata, new Map(files));
  }

  /** The tensors' names, in the index's order. */
  get names(): string[] {
    return [...this.files.keys()];
  }

  /** Reads one tensor's data. */
  async read(name: string): Promise<ArrayRecord> {
    const path = this.files.get(name);
    if (path === undefined) throw new ArgumentError(`${OP}: ${this.path}: no tensor named ${JSON.stringify(name)}`);
    let opening = this.#open.get(path);
    if (opening === undefined) this.#open.set(path, (opening = SafetensorsFile.open(path)));
    const file = await opening;
    if (!file.tensors.has(name)) {
      throw malformed(
        OP,
        this.path,
        `weight_map.${name}`,
        'file',
        `${excerpt(path)}, which lacks it`,
        'one that holds it',
      );
    }
    return file.read(name);
  }

  async close(): Promise<void> {
    const files = await Promise.allSettled(this.#open.values());
    for (const result of files) if (result.status === 'fulfilled') await result.value.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Reads the tensors that an index file names, all or those asked for, as a state dict.
 *
 * @throws FormatError when the index or one of its files is malformed, or they do not agree.
 * @example
 * model.loadStateDict(await io.readShardedSafetensors('llama/model.safetensors.index.json'));
 */
export async function readShardedSafetensors(
  path: string,
  options: ReadOptions = {},
): Promise<Record<string, AnyTensor>> {
  checkReadOptions('readShardedSafetensors', options);
  await using sharded = await ShardedSafetensors.open(path);
  const found: [string, AnyTensor][] = [];
  for (const name of options.names ?? sharded.names) {
    const { dtype, shape, data } = await sharded.read(name);
    found.push([name, tensor(data, { dtype, shape, device: options.device ?? 'cpu' })]);
  }
  return Object.fromEntries(found);
}

/**
 * Writes tensors to several files in `folder` and an index; answers the index's path. The index comes last, so that it never names what is not
 * there.
 *
 * @throws HadalError with the system's code, such as `'ENOSPC'`, when the system refuses.
 * @example
 * const index = await io.writeShardedSafetensors('out', model.stateDict(), { maxShardBytes: 2e9 });
 */
export async function writeShardedSafetensors(
  folder: string,
  tensors: Readonly<Record<string, AnyTensor>>,
  options: ShardedWriteOptions = {},
): Promise<string> {
  const op = 'writeShardedSafetensors';
  checkPath(op, folder, 'folder');
  checkObject(op, tensors, 'tensors');
  checkWriteOptions(op, options);
  for (const [key, x] of Object.entries(tensors)) checkTensor(op, x, JSON.stringify(key));
  const { maxShardBytes = 5e9, name = 'model', ...rest } = options;
  if (!(typeof maxShardBytes === 'number' && maxShardBytes > 0)) {
    throw new ArgumentError(`${op}: maxShardBytes: got ${shown(maxShardBytes)}, expected a positive number`);
  }
  if (typeof name !== 'string' || name === '' || name.includes('\0') || parse(name).base !== name) {
    throw new ArgumentError(`${op}: name: got ${describe(name)}, expected a file's name`);
  }
  const shards: Record<string, AnyTensor>[] = [];
  let room = 0;
  let total = 0;
  for (const [key, x] of Object.entries(tensors)) {
    const bytes = sizeOf(x.shape) * sizes[x.dtype];
    total += bytes;
    if (shards.length === 0 || bytes > room) {
      shards.push({});
      room = maxShardBytes;
    }
    shards.at(-1)![key] = x;
    room -= bytes;
  }
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw refusal(op, folder, error);
  });
  const digits = (value: number): string => String(value).padStart(5, '0');
  const places: [string, string][] = [];
  for (const [i, shard] of shards.entries()) {
    const file = `${name}-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
    await writeSafetensors(join(folder, file), shard, rest);
    places.push(...Object.keys(shard).map((key): [string, string] => [key, file]));
  }
  const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(places) };
  const path = join(folder, `${name}.safetensors.index.json`);
  await replaceFile(op, path, (file) => writeFully(file, Buffer.from(`${JSON.stringify(index, undefined, 2)}\n`)));
  return path;
}
