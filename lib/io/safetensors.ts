/**
 * Safetensors files as tensors: what a user calls to save and load a state dict. The files themselves are
 * safetensors-file.ts.
 */
import { ArgumentError } from '../errors';
import { tensor } from '../ops/creation';
import { checkObject } from '../ops/define';
import type { Device } from '../runtime/device';
import { describe } from '../tensor/describe';
import type { ArrayOf, DType } from '../tensor/dtype';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { checkPath, checkReadOptions } from './paths';
import { SafetensorsFile, writeSafetensorsArrays, type ArraySource, type WriteOptions } from './safetensors-file';

export interface ReadOptions {
  /** Which tensors to read; all unless given. */
  readonly names?: Iterable<string>;
  /** Where they are to live; `'cpu'` unless given. */
  readonly device?: Device;
}

/**
 * Reads a file's tensors, as a state dict.
 *
 * @throws FormatError when the file is not exactly what its header says, or holds a dtype that hadal lacks.
 * @example
 * model.loadStateDict(await readSafetensors('model.safetensors'));
 */
export async function readSafetensors(path: string, options: ReadOptions = {}): Promise<Record<string, AnyTensor>> {
  checkReadOptions('readSafetensors', options);
  const { names, device = 'cpu' } = options;
  const file = await SafetensorsFile.open(path);
  try {
    const tensors: [string, AnyTensor][] = [];
    for (const name of names ?? file.tensors.keys()) {
      const { dtype, shape, data } = await file.read(name);
      tensors.push([name, tensor(data, { dtype, shape, device })]);
    }
    return Object.fromEntries(tensors);
  } finally {
    await file.close();
  }
}

/**
 * Writes tensors, such as a state dict, to a file. The file appears, or is replaced, only once all of it is on the
 * disk; after any failure what was there before is unchanged. Tensors are fetched from their device one at a time: wait
 * for the end before changing them in place.
 *
 * @throws ArgumentError when a tensor has changed meanwhile, or a name cannot be written.
 * @throws HadalError with the system's code, such as `'ENOSPC'`, when the system refuses.
 * @example
 * await writeSafetensors('model.safetensors', model.stateDict(), { metadata: { epoch: '3' } });
 */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, AnyTensor>>,
  options: WriteOptions = {},
): Promise<void> {
  checkPath('writeSafetensors', path);
  checkObject('writeSafetensors', tensors, 'tensors');
  const sources = Object.entries<unknown>(tensors).map(([name, x]): [string, ArraySource] => {
    if (!(x instanceof Tensor)) {
      throw new ArgumentError(`writeSafetensors: ${JSON.stringify(name)}: got ${describe(x)}, expected a tensor`);
    }
    const source = x as AnyTensor;
    const { dtype, shape, storage } = source;
    const { version } = storage;
    const data = async (): Promise<ArrayOf<DType>> => {
      // Asked before the copy: it is queued behind whatever has been submitted by now, and before whatever comes later.
      if (storage.version === version) return await source.data();
      const label = JSON.stringify(name);
      throw new ArgumentError(
        `writeSafetensors: ${label} was changed in place before it was written; wait for the end, or write a clone`,
      );
    };
    return [name, { dtype, shape, data }];
  });
  await writeSafetensorsArrays(path, Object.fromEntries(sources), options);
}
