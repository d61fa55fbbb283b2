/** NumPy's files as data sets. */
import { ArgumentError } from '../../errors';
import { NpzFile, readNpy } from '../../io/numpy/npy';
import { checkList } from '../../tensor/checks';
import type { AnyTensor } from '../../tensor/tensor';
import { TensorDataset } from '../dataset';

/**
 * The rows of arrays in a .npz file, or of whole .npy files, one part of an item for each.
 *
 * @throws FormatError when a file is malformed; ShapeError when the arrays differ in their number of rows.
 * @example
 * const train = await data.openArrays('mnist1d.npz', ['x', 'y']);
 */
export async function openArrays(
  path: string | readonly string[],
  names?: readonly string[],
): Promise<TensorDataset<AnyTensor[]>> {
  if (names !== undefined) checkList('openArrays', 'names', names);
  const tensors: AnyTensor[] = [];
  if (typeof path === 'string' && !path.endsWith('.npy')) {
    await using file = await NpzFile.open(path);
    for (const name of names ?? file.names) tensors.push(await file.read(name));
  } else {
    if (names !== undefined)
      throw new ArgumentError('openArrays: names: got some, expected none for .npy files, which hold one array each');
    if (typeof path !== 'string') checkList('openArrays', 'path', path);
    for (const one of typeof path === 'string' ? [path] : path) tensors.push(await readNpy(one));
  }
  return new TensorDataset(...tensors);
}
