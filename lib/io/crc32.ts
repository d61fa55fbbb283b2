/** The checksum of zip and PNG files (ISO 3309): zlib's where this Node has it, else a table. */
import * as zlib from 'node:zlib';

const builtIn = (zlib as { crc32?: (data: Uint8Array, value?: number) => number }).crc32;

let table: Uint32Array | undefined;
function byTable(bytes: Uint8Array, value: number): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
  let crc = ~value;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}

/** The CRC-32 of `bytes`, behind those whose CRC-32 is `value`. */
export function crc32(bytes: Uint8Array, value = 0): number {
  // zlib takes memory without an address, as that of no bytes may be, for the start of a new sum.
  return bytes.length === 0 ? value : (builtIn ?? byTable)(bytes, value);
}
