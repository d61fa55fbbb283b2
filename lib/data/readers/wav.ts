/** WAV files (RIFF/WAVE): PCM of 8 to 32 bits and floating point, to samples between -1 and 1. */
import { readWhole } from '../../io/byte-source';
import { malformed } from '../../io/malformed';
import { checkBytes } from '../../io/paths';
import type { ArrayItem } from '../../tensor/array-item';

export interface Recording {
  /** float32 of shape [channels, frames]; integers are divided by their greatest magnitude. */
  readonly samples: ArrayItem<'float32'>;
  /** Frames per second. */
  readonly sampleRate: number;
}

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

interface Format {
  readonly code: number;
  readonly channels: number;
  readonly sampleRate: number;
  readonly bits: number;
}

type Read = (view: DataView, at: number) => number;
// 8-bit samples have no sign.
const readers: Readonly<Record<string, Read>> = {
  [`${PCM}/8`]: (view, at) => (view.getUint8(at) - 128) / 128,
  [`${PCM}/16`]: (view, at) => view.getInt16(at, true) / 32768,
  [`${PCM}/24`]: (view, at) => (view.getUint8(at) | (view.getInt16(at + 1, true) << 8)) / 8388608,
  [`${PCM}/32`]: (view, at) => view.getInt32(at, true) / 2147483648,
  [`${FLOAT}/32`]: (view, at) => view.getFloat32(at, true),
  [`${FLOAT}/64`]: (view, at) => view.getFloat64(at, true),
};

/**
 * Reads a WAV file.
 *
 * @throws FormatError naming the byte, when the file is malformed or compressed.
 * @example
 * const { samples, sampleRate } = await data.readWav('speech.wav');
 */
export async function readWav(path: string): Promise<Recording> {
  return parseWav(await readWhole('readWav', path), path);
}

/** Parses a WAV file held in memory. */
export function parseWav(bytes: Uint8Array, file = 'bytes'): Recording {
  checkBytes('parseWav', bytes);
  const fail = (at: number, what: string, got: string, expected: string): never => {
    throw malformed('readWav', file, at, what, got, expected);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at: number): string => Buffer.from(bytes.subarray(at, at + 4)).toString('latin1');
  if (bytes.length < 12) fail(0, 'file is too short', `${bytes.length} bytes`, 'at least 12');
  if (name(0) !== 'RIFF') fail(0, 'magic', JSON.stringify(name(0)), '"RIFF"');
  if (name(8) !== 'WAVE') fail(8, 'type', JSON.stringify(name(8)), '"WAVE"');
  let format: Format | undefined;
  let at = 12;
  while (at + 8 <= bytes.length) {
    const id = name(at);
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    if (size > bytes.length - start) {
      fail(at + 4, `chunk ${JSON.stringify(id)} is cut off`, `${bytes.length - start} bytes`, String(size));
    }
    if (id === 'fmt ') format = parseFormat(view, start, size, fail);
    if (id === 'data') {
      if (format === undefined) return fail(at, 'chunk', '"data"', '"fmt " before it');
      return { samples: decode(view, start, size, format, fail), sampleRate: format.sampleRate };
    }
    at = start + size + (size % 2);
  }
  return fail(Math.min(at, bytes.length), 'chunk', 'the end of the file', '"data"');
}

type Fail = (at: number, what: string, got: string, expected: string) => never;

function parseFormat(view: DataView, at: number, size: number, fail: Fail): Format {
  if (size < 16) fail(at - 4, 'size of the format', `${size} bytes`, 'at least 16');
  let code = view.getUint16(at, true);
  // The true code of the extensible kind begins its identifier.
  if (code === EXTENSIBLE) {
    if (size < 40) fail(at - 4, 'size of the extensible format', `${size} bytes`, 'at least 40');
    code = view.getUint16(at + 24, true);
  }
  const format = {
    code,
    channels: view.getUint16(at + 2, true),
    sampleRate: view.getUint32(at + 4, true),
    bits: view.getUint16(at + 14, true),
  };
  if (!(`${code}/${format.bits}` in readers)) {
    fail(at, 'encoding', `code ${code} with ${format.bits} bits`, 'PCM of 8, 16, 24 or 32 bits or floats of 32 or 64');
  }
  if (format.channels === 0) fail(at + 2, 'channels', '0', 'at least 1');
  if (format.sampleRate === 0) fail(at + 4, 'sample rate', '0', 'at least 1');
  const align = view.getUint16(at + 12, true);
  if (align !== (format.channels * format.bits) / 8) {
    fail(at + 12, 'bytes per frame', String(align), String((format.channels * format.bits) / 8));
  }
  return format;
}

function decode(
  view: DataView,
  start: number,
  size: number,
  { code, channels, bits }: Format,
  fail: Fail,
): ArrayItem<'float32'> {
  const width = bits / 8;
  const frames = size / (channels * width);
  if (!Number.isInteger(frames)) {
    fail(start - 4, 'size of the samples', `${size} bytes`, `a multiple of ${channels * width}`);
  }
  const data = new Float32Array(channels * frames);
  const read = readers[`${code}/${bits}`]!;
  for (let channel = 0; channel < channels; channel++) {
    const from = start + channel * width;
    for (let i = 0; i < frames; i++) data[channel * frames + i] = read(view, from + i * channels * width);
  }
  return { dtype: 'float32', shape: [channels, frames], data };
}
