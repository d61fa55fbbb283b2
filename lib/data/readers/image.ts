/** Pictures: PNG, JPEG and whatever else sharp decodes, one by one and as folders of classes. */
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { ArgumentError, FormatError } from '../../errors';
import { readWhole } from '../../io/byte-source';
import { checkBytes, checkPath, refusal } from '../../io/paths';
import { checkOptions } from '../../ops/define';
import type { ArrayItem } from '../../tensor/array-item';
import { checkCount, checkList } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import type { Dataset } from '../dataset';
import { optionalPackage } from '../../io/optional-package';

export interface ImageOptions {
  /** Height and width that the picture is scaled and cut to, its middle kept; its own size unless given. */
  readonly size?: readonly [height: number, width: number];
  /** 1 for grey, 3 for colour, 4 with transparency; 3 unless given. */
  readonly channels?: 1 | 3 | 4;
}

/** What is used of sharp. */
interface Sharp {
  (bytes: Uint8Array, options: { failOn: 'error' }): Pipeline;
}
interface Pipeline {
  autoOrient(): Pipeline;
  resize(width: number, height: number, options: { fit: 'cover' }): Pipeline;
  toColourspace(space: 'b-w' | 'srgb'): Pipeline;
  removeAlpha(): Pipeline;
  ensureAlpha(): Pipeline;
  raw(): Pipeline;
  toBuffer(options: { resolveWithObject: true }): Promise<{
    data: Buffer;
    info: { width: number; height: number; channels: number };
  }>;
}

/**
 * Decodes a picture, from a file or from bytes, with the package sharp: uint8 of shape [channels, height, width], upright.
 *
 * @throws FormatError when the bytes are no picture; HadalError when sharp is not installed.
 * @example
 * tensor(await data.decodeImage('cat.jpg', { size: [224, 224] })).shape; // [3, 224, 224]
 */
export async function decodeImage(
  source: string | Uint8Array,
  options: ImageOptions = {},
): Promise<ArrayItem<'uint8'>> {
  const { size, channels = 3 } = checkedOptions('decodeImage', options);
  const sharp = optionalPackage<Sharp>('decodeImage', 'sharp');
  const file = typeof source === 'string' ? source : 'bytes';
  const bytes = typeof source === 'string' ? await readWhole('decodeImage', source) : source;
  checkBytes('decodeImage', bytes);
  if (bytes.length === 0) {
    throw new FormatError(`decodeImage: ${file}: no picture that can be decoded: got no bytes`, { file });
  }
  let pipeline = sharp(bytes, { failOn: 'error' }).autoOrient();
  if (size !== undefined) pipeline = pipeline.resize(size[1], size[0], { fit: 'cover' });
  pipeline = pipeline.toColourspace(channels === 1 ? 'b-w' : 'srgb');
  pipeline = channels === 4 ? pipeline.ensureAlpha() : pipeline.removeAlpha();
  const { data, info } = await pipeline
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((error: Error) => {
      throw new FormatError(`decodeImage: ${file}: no picture that can be decoded: ${error.message}`, {
        file,
        cause: error,
      });
    });
  return { dtype: 'uint8', shape: [channels, info.height, info.width], data: planes(data, channels, info.channels) };
}

function checkedOptions(op: string, options: ImageOptions, taker = op): ImageOptions {
  checkOptions(op, options, taker);
  const { size, channels = 3 } = options;
  if (size !== undefined) {
    checkList(op, 'size', size);
    checkCount(op, 'size: height', size[0]);
    checkCount(op, 'size: width', size[1]);
  }
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw new ArgumentError(`${op}: channels: got ${shown(channels)}, expected 1, 3 or 4`);
  }
  return options;
}

/** Pixel by pixel to channel by channel. */
function planes(pixels: Uint8Array, channels: number, stride: number): Uint8Array {
  const count = pixels.length / stride;
  const out = new Uint8Array(channels * count);
  for (let channel = 0; channel < channels; channel++) {
    const start = channel * count;
    for (let i = 0, at = Math.min(channel, stride - 1); i < count; i++, at += stride) out[start + i] = pixels[at]!;
  }
  return out;
}

export interface LabelledImage {
  readonly image: ArrayItem<'uint8'>;
  readonly label: number;
}

const isFolder = (...parts: string[]): Promise<boolean> =>
  stat(join(...parts)).then(
    (found) => found.isDirectory(),
    () => false,
  );

const extensions = new Set(['.png', '.jpg', '.jpeg', '.webp', '.gif', '.tif', '.tiff', '.avif']);

/**
 * A folder with one folder of pictures for each class, as torchvision's ImageFolder: classes and files in the order of their names. Pictures are decoded when
 * they are asked for; in threads with {@link openWorkers}.
 *
 * @example
 * const set = await data.ImageFolder.open('photos', { size: [64, 64] });
 * const { image, label } = await set.get(0); // set.classes[label]
 */
export class ImageFolder implements Dataset<LabelledImage> {
  private constructor(
    readonly classes: readonly string[],
    readonly files: readonly { readonly path: string; readonly label: number }[],
    private readonly options: ImageOptions,
  ) {}

  /** Lists the folder; throws `FormatError` when it has no folders with pictures. */
  static async open(folder: string, options: ImageOptions = {}): Promise<ImageFolder> {
    checkPath('ImageFolder', folder, 'folder');
    checkedOptions('ImageFolder', options, 'ImageFolder.open');
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
      throw refusal('ImageFolder', folder, error);
    });
    const areFolders = await Promise.all(
      entries.map(
        async (entry) => entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(folder, entry.name))),
      ),
    );
    const classes = entries
      .filter((_, i) => areFolders[i])
      .map(({ name }) => name)
      .sort();
    const lists = await Promise.all(classes.map((name) => readdir(join(folder, name), { recursive: true })));
    const files = lists.flatMap((names, label) =>
      names
        .filter((name) => extensions.has(extname(name).toLowerCase()))
        .sort()
        .map((name) => ({ path: join(folder, classes[label]!, name), label })),
    );
    if (files.length === 0) {
      throw new FormatError(`ImageFolder: ${folder}: got no pictures, expected a folder of them for each class`, {
        file: folder,
      });
    }
    return new ImageFolder(classes, files, options);
  }

  get length(): number {
    return this.files.length;
  }

  async get(index: number): Promise<LabelledImage> {
    const file = this.files[index];
    if (file === undefined)
      throw new ArgumentError(`ImageFolder: index: got ${shown(index)}, expected an item of ${this.length}`);
    return { image: await decodeImage(file.path, this.options), label: file.label };
  }
}
