/** Pixels to PNG (https://www.w3.org/TR/png-3/), for the pictures in reports. Writes only. */
import { deflateSync } from 'node:zlib';
import { ShapeError } from '../errors';
import { crc32 } from '../io/crc32';
import { checkBytes } from '../io/paths';
import { checkCount } from '../tensor/checks';

/** A PNG of 8-bit pixels, row after row: one byte each for grey, three for red, green and blue. */
export function encodePng(pixels: Uint8Array, width: number, height: number): Buffer {
  checkBytes('encodePng', pixels);
  checkCount('encodePng', 'width', width);
  checkCount('encodePng', 'height', height);
  const channels = pixels.length / (width * height);
  if (channels !== 1 && channels !== 3) {
    throw new ShapeError(
      `encodePng: pixels: got ${pixels.length} bytes, expected ${width * height} (grey) ` +
        `or ${3 * width * height} (colour) for width ${width} and height ${height}`,
    );
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, channels === 1 ? 0 : 2], 8); // 8 bits; grey or RGB; no interlacing
  // Each row begins with its filter: 0, none.
  const rowLength = width * channels;
  const rows = new Uint8Array(height * (rowLength + 1));
  for (let row = 0; row < height; row++) {
    rows.set(pixels.subarray(row * rowLength, (row + 1) * rowLength), row * (rowLength + 1) + 1);
  }
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND')]);
}

function chunk(type: string, data: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, 'latin1');
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}
