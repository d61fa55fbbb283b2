/** A model's bytes: in one file, or with its larger tensors in a second one beside it, as files above 2 GB must be. */
import { basename } from 'node:path';

import { replaceFile, writeFully } from '../io/atomic-file';
import { bytesOf } from '../tensor/dtype';
import type { AnyTensor } from '../tensor/tensor';
import { encodeModel, type TensorProto } from './messages';
import type { Written } from './save-model';

/** Protobuf messages end at 2 GiB; the nodes need room too. */
const MOST_BYTES = 2 ** 31 - 2 ** 26;
/** Smaller tensors stay in the model, where runtimes look for shapes and settings. */
const LEAST_EXTERNAL = 1024;
/** Of tensors in the second file, so that they can be mapped. */
const ALIGNMENT = 4096;

const sizeOf = (tensor: AnyTensor): number => tensor.size * bytesOf(tensor.dtype);

async function bytesIn(tensor: AnyTensor): Promise<Uint8Array> {
  const { buffer, byteOffset, byteLength } = await tensor.data();
  return new Uint8Array(buffer, byteOffset, byteLength);
}

export async function writeModel(
  op: string,
  path: string,
  written: Written,
  external: boolean | undefined,
): Promise<void> {
  const { model } = written;
  const used = new Set(model.graph!.initializer);
  const tensors = [...written.tensors].filter(([proto]) => used.has(proto));
  const total = tensors.reduce((sum, [, tensor]) => sum + sizeOf(tensor), 0);
  const outside = (external ?? total > MOST_BYTES) ? tensors.filter(([, own]) => sizeOf(own) >= LEAST_EXTERNAL) : [];
  for (const [proto, tensor] of tensors) {
    if (!outside.some(([own]) => own === proto)) proto.rawData = await bytesIn(tensor);
  }
  if (outside.length > 0) await writeData(op, `${path}.data`, outside);
  const bytes = encodeModel(op, model);
  await replaceFile(op, path, (file) => writeFully(file, bytes));
}

/** Writes tensors one behind the other, and into their messages where they lie. */
function writeData(op: string, path: string, tensors: readonly [TensorProto, AnyTensor][]): Promise<void> {
  return replaceFile(op, path, async (file) => {
    let end = 0;
    for (const [proto, tensor] of tensors) {
      const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
      await writeFully(file, new Uint8Array(offset - end));
      const bytes = await bytesIn(tensor);
      await writeFully(file, bytes);
      end = offset + bytes.byteLength;
      proto.dataLocation = 1;
      proto.externalData = Object.entries({ location: basename(path), offset, length: bytes.byteLength }).map(
        ([key, value]) => ({ key, value: String(value) }),
      );
    }
  });
}
