// Files that are not what their format says, made by hand: each is a FormatError that names the file and the place, and none costs memory beyond
// what the file justifies. (IDX and safetensors have more of their own: idx.test.ts, safetensors-format.test.ts.)
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';

import { FormatError } from '../../lib/errors';
import { data, io } from '../../lib/index';
import { crc32 } from '../../lib/io/crc32';

const golden = join(__dirname, '../golden');
const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Case = readonly [what: string, bytes: string | Uint8Array, place: RegExp];
type Read = (path: string) => Promise<unknown>;

/** Each case: a FormatError whose message begins with the reader and the path, and names the place; little memory is taken. */
function refuses(format: string, name: string, read: Read, cases: readonly Case[]): number {
  describe(format, () => {
    test.each(cases.map(([what, bytes, place]) => [what, { bytes, place }] as const))(
      '%s',
      async (_, { bytes, place }) => {
        const path = join(folder, name);
        writeFileSync(path, bytes);
        const before = process.memoryUsage();
        const error = await read(path).then(
          () => undefined,
          (thrown: Error) => thrown,
        );
        const after = process.memoryUsage();
        expect(error).toBeInstanceOf(FormatError);
        expect(error!.message).toContain(path);
        expect(error!.message).toMatch(place);
        expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(16_000_000);
      },
    );
  });
  return cases.length;
}

const latin = (text: string): Buffer => Buffer.from(text, 'latin1');
const u16 = (value: number): Buffer => Buffer.from([value & 255, value >> 8]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const cat = (...parts: (Uint8Array | string)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? latin(part) : part)));
const changed = (bytes: Buffer, at: number, ...values: number[]): Buffer => {
  const copy = Buffer.from(bytes);
  copy.set(values, at < 0 ? copy.length + at : at);
  return copy;
};

interface EntryOptions {
  readonly size?: number;
  readonly packedSize?: number;
  readonly method?: number;
  readonly crc?: number;
  readonly flags?: number;
  readonly offset?: number;
}
/** A zip archive by hand, with whatever its directory is to claim. */
function zip(entries: readonly (readonly [name: string, bytes: Uint8Array, options?: EntryOptions])[]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const [name, bytes, options = {}] of entries) {
    const {
      method = 0,
      flags = 0,
      size = bytes.length,
      packedSize = bytes.length,
      crc = crc32(bytes),
      offset = at,
    } = options;
    const common = cat(
      u16(20),
      u16(flags),
      u16(method),
      u32(0),
      u32(crc),
      u32(packedSize),
      u32(size),
      u16(name.length),
    );
    locals.push(cat('PK\x03\x04', common, u16(0), name, bytes));
    central.push(cat('PK\x01\x02', u16(20), common, u16(0), u16(0), u16(0), u16(0), u32(0), u32(offset), name));
    at += locals.at(-1)!.length;
  }
  const directory = cat(...central);
  const end = cat(
    'PK\x05\x06',
    u32(0),
    u16(entries.length),
    u16(entries.length),
    u32(directory.length),
    u32(at),
    u16(0),
  );
  return cat(...locals, directory, end);
}

const npy = (header: string, values: Uint8Array = Buffer.alloc(0), version = 1): Buffer =>
  cat('\x93NUMPY', Buffer.from([version, 0]), version === 1 ? u16(header.length) : u32(header.length), header, values);
const header = (description: string, shape: string, order = 'False'): string =>
  `{'descr': ${description}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
const good = npy(header(`'<f4'`, '(2,)'), Buffer.alloc(8));
const large = npy(header(`'<f4'`, '(1000,)'), Buffer.alloc(4000));
const arrays = readFileSync(join(golden, 'io/stored.npz'));
const checkpoint = readFileSync(join(golden, 'io/zip.pt'));
const legacyFile = readFileSync(join(golden, 'io/legacy.pt'));

let count = 0;

count += refuses('npy', 'x.npy', (path) => io.readNpy(path), [
  ['an empty file', '', /at byte 0: got 0 bytes/],
  ['nine bytes', good.subarray(0, 9), /at byte 0: got 9 bytes/],
  ['another magic', changed(good, 0, 0x50), /magic at byte 0/],
  ['version 4', changed(good, 6, 4), /version at byte 6: got 4\.0/],
  ['version 1.1', changed(good, 7, 1), /version at byte 6: got 1\.1/],
  ['version 2 cut off', cat('\x93NUMPY\x02\0\x10\0'), /at byte 8/],
  ['a header longer than the file', changed(good, 8, 0xff, 0x20), /header length at byte 8: got 8447/],
  ['a header of 4 GB', cat('\x93NUMPY\x02\0', u32(0xffffffff), '{}'), /header length at byte 8: got 4294967295/],
  ['no dictionary', npy('[]'), /header at byte 10: got "\[", expected "\{"/],
  ['an empty dictionary', npy('{}'), /at byte 10: got only nothing/],
  ['no shape', npy(`{'descr': '<f4', 'fortran_order': False}`), /got only descr, fortran_order/],
  ['another key', npy(`{'descr': '<f4', 'color': 1}`), /key at byte 27: got "color"/],
  ['a key twice', npy(`{'descr': '<f4', 'descr': '<f4'}`), /key at byte 27: got "descr" a second time/],
  ['a string without end', npy(`{'descr: 1}`), /header at byte 11/],
  ['code for a value', npy(header(`__import__('os').system('x')`, '()')), /header at byte 20: got "__import__"/],
  ['a list of fields', npy(header(`[('a', '<f4')]`, '()')), /header at byte 20: got "\["/],
  ['text', npy(header(`'<U8'`, '()')), /dtype at byte 10: got "<U8"/],
  ['objects', npy(header(`'|O'`, '(1,)'), Buffer.alloc(8)), /dtype at byte 10: got "\|O"/],
  ['complex numbers', npy(header(`'<c8'`, '(1,)'), Buffer.alloc(8)), /dtype at byte 10: got "<c8"/],
  ['an unknown order of bytes', npy(header(`'?f4'`, '(1,)'), Buffer.alloc(4)), /dtype at byte 10/],
  ['no type at all', npy(header(`''`, '(1,)'), Buffer.alloc(4)), /dtype at byte 10/],
  ['another order', npy(header(`'<f4'`, '()', '1')), /header at byte \d+: got "1", expected True or False/],
  ['a negative size', npy(header(`'<f4'`, '(-1,)')), /header at byte \d+: got "-", expected a whole number/],
  ['a fraction', npy(header(`'<f4'`, '(1.5,)')), /header at byte \d+: got "1", expected a whole number/],
  ['a size beyond 2^53', npy(header(`'<f4'`, '(9999999999999999,)')), /shape at byte \d+/],
  ['sizes that overflow', npy(header(`'<f4'`, '(4294967296, 4294967296)')), /size of the data at byte \d+/],
  [
    'a terabyte',
    npy(header(`'<f4'`, '(274877906944,)')),
    /size of the data at byte \d+: got .* \(1099511627776 bytes\)/,
  ],
  ['nine axes', npy(header(`'<f4'`, '(1,1,1,1,1,1,1,1,1)'), Buffer.alloc(4)), /shape at byte \d+: got more axes/],
  [
    'an element too few',
    npy(header(`'<f4'`, '(2,)'), Buffer.alloc(4)),
    /size of the data at byte 68: got .* \(8 bytes\)/,
  ],
  ['a byte too many', npy(header(`'<f4'`, '(2,)'), Buffer.alloc(9)), /size of the data at byte 68/],
  [
    'something behind the dictionary',
    npy(`${header(`'<f4'`, '()')} x`, Buffer.alloc(4)),
    /header at byte \d+: got "x", expected its end/,
  ],
  ['a boolean that is 2', npy(header(`'|b1'`, '(2,)'), Buffer.from([1, 2])), /boolean at byte 69: got 2/],
]);

const stored = zip([['x.npy', good]]);
count += refuses('npz', 'x.npz', (path) => io.readNpz(path), [
  ['an empty file', '', /at byte 0: got 0 bytes, expected at least 22/],
  ['no archive', 'x'.repeat(100), /zip end record at byte 78: got none/],
  ['an archive without its end', arrays.subarray(0, arrays.length - 1), /zip end record/],
  ['a directory behind the end', changed(stored, -6, 0xff, 0xff, 0xff, 0x7f), /zip directory at byte \d+/],
  ['a directory of 4 GB', changed(stored, -10, 0xfe, 0xff, 0xff, 0xff), /zip directory at byte \d+/],
  [
    'more entries than bytes for them',
    changed(stored, -12, 0xfe, 0xff),
    /zip directory at byte \d+: got 65534 entries/,
  ],
  [
    'fewer entries than the directory has',
    changed(stored, -12, 0, 0),
    /zip directory at byte \d+: got \d+ bytes left over/,
  ],
  ['an entry that begins otherwise', changed(stored, stored.length - 22 - 51, 0), /zip directory at byte \d+: got 0x/],
  [
    'a name longer than the directory',
    changed(stored, stored.length - 22 - 51 + 28, 0xff, 0xff),
    /the rest of entry 0/,
  ],
  ['a name twice', zip([['x.npy', good], ['x.npy', good]]), /"x\.npy" a second time/], // prettier-ignore
  ['an encrypted entry', zip([['x.npy', good, { flags: 1 }]]), /zip entry "x\.npy" at byte \d+: got encrypted data/],
  ['another compression', zip([['x.npy', good, { method: 12 }]]), /compression of "x\.npy" at byte \d+: got method 12/],
  ['an entry behind the file', zip([['x.npy', good, { offset: 1e6 }]]), /place of "x\.npy" at byte \d+/],
  [
    'an entry longer than the file',
    zip([['x.npy', good, { packedSize: 1e6, size: 1e6 }]]),
    /place of "x\.npy" at byte \d+/,
  ],
  [
    'a stored entry of two sizes',
    zip([['x.npy', good, { size: 1e6 }]]),
    /size of "x\.npy" at byte \d+: got 1000000 bytes/,
  ],
  [
    'a bomb by its directory',
    zip([['x.npy', deflateRawSync(good), { method: 8, size: 4e9 }]]),
    /size of "x\.npy" at byte \d+: got 4000000000/,
  ],
  [
    'a bomb by its data',
    zip([['x.npy', deflateRawSync(Buffer.alloc(8e6)), { method: 8, size: 100 }]]),
    /unpacked size of "x\.npy" at byte 35: got more/,
  ],
  [
    'less data than the directory says',
    zip([['x.npy', deflateRawSync(good), { method: 8, size: good.length + 1 }]]),
    /unpacked size of "x\.npy"/,
  ],
  [
    'damaged deflate data',
    zip([['x.npy', Buffer.from([7, 7, 7]), { method: 8, size: 3 }]]),
    /damaged deflate data of "x\.npy" at byte 35/,
  ],
  [
    'entries that overlap',
    zip(
      Array.from(
        { length: 30 },
        (_, i) =>
          [
            `${i}.npy`,
            i === 0 ? large : Buffer.alloc(0),
            { offset: 0, packedSize: large.length, size: large.length },
          ] as const,
      ),
    ),
    /zip entries at byte \d+: got data that overlaps/,
  ],
  [
    'a wrong checksum',
    zip([['x.npy', good, { crc: 1 }]]),
    /checksum of "x\.npy" at byte 35: got 0x[0-9a-f]{8}, expected 0x00000001/,
  ],
  ['another local header', changed(stored, 0, 0), /local header of "x\.npy" at byte 0/],
  ['a local name that leads out of the file', changed(stored, 26, 0xff, 0xff), /"x\.npy" is cut off at byte \d+/],
  [
    'zip64 sizes without their field',
    zip([['x.npy', good, { size: 0xffffffff, packedSize: 0xffffffff }]]),
    /zip64 sizes of "x\.npy"/,
  ],
  ['an array that is no array', zip([['x.npy', Buffer.from('nothing at all')]]), /x\.npy: magic at byte 0/],
]);

// Pickles by hand.
const pickle = (body: string): Buffer => latin(`\x80\x02${body}.`);
const magic = pickle('\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19');
const text = (value: string): string => `X${u32(value.length).toString('latin1')}${value}`;
const storage = (type: string, key: string, length: string): string =>
  `(${text('storage')}ctorch\n${type}\n${text(key)}${text('cpu')}${length}tQ`;
const rebuilt = (from: string, offset: string, shape: string, strides: string): string =>
  `ctorch._utils\n_rebuild_tensor_v2\n(${from}${offset}${shape}${strides}\x89}tR`;
const floats = storage('FloatStorage', '0', 'K\x02');
const asTorch = (body: string, entries: [string, Buffer][] = []): Buffer =>
  zip([['a/data.pkl', pickle(body)], ...entries.map(([name, bytes]) => [name, bytes] as const)]);
const values: [string, Buffer][] = [['a/data/0', Buffer.alloc(8)]];
const legacy = (body: string, keys = ']', rest: Uint8Array = Buffer.alloc(0)): Buffer =>
  cat(magic, pickle('M\xe9\x03'), pickle(`}${text('little_endian')}\x88s`), pickle(body), pickle(keys), rest);
const one = `]${text('0')}a`;
const int64 = (value: number): Buffer => cat(u32(value), u32(0));

count += refuses('pt', 'x.pt', (path) => io.readPyTorch(path), [
  ['an empty file', '', /start of the file at byte 0: got nothing/],
  ['text', 'hello world, this is no checkpoint', /start of the file at byte 0: got 0x68/],
  [
    'an archive without a pickle',
    zip([['a/version', Buffer.from('3')]]),
    /zip entries at its directory: got no data\.pkl/,
  ],
  ['a cut-off archive', checkpoint.subarray(0, 1000), /zip end record/],
  ['a cut-off legacy file', legacyFile.subarray(0, legacyFile.length - 3), /storage "\d+" is cut off at byte \d+/],
  ['a legacy file that ends in its pickle', legacyFile.subarray(0, 500), /pickle is cut off|pickle/],
  [
    'another byte order',
    asTorch('}', [['a/byteorder', Buffer.from('middle')]]),
    /byte order at a\/byteorder: got "middle"/,
  ],
  ['an empty pickle', zip([['a/data.pkl', Buffer.alloc(0)]]), /data\.pkl: pickle is cut off at byte 0/],
  ['a pickle without its end', zip([['a/data.pkl', latin('\x80\x02}')]]), /pickle is cut off at byte 3/],
  ['an unknown operation', asTorch('\xff'), /pickle operation at byte 2: got 0xff/],
  ['an extension', asTorch('\x82\x01'), /pickle operation at byte 2: got 0x82/],
  ['an instance', asTorch('(cos\nsystem\no'), /global at byte 3: got "os\.system"/],
  ['INST', asTorch('(ios\nsystem\n'), /pickle operation at byte 3: got 0x69/],
  ['NEWOBJ', asTorch('ccollections\nOrderedDict\n)\x81'), /pickle operation at byte \d+: got 0x81/],
  ['an empty stack', asTorch(''), /pickle stack at byte 2: got nothing/],
  ['a value taken from below a mark', asTorch('K\x01(0'), /pickle stack at byte 5: got nothing/],
  ['a missing mark', asTorch('t'), /pickle stack at byte 2: got no mark/],
  ['memory that was never set', asTorch('h\x05'), /pickle memo at byte 2: got number 5/],
  ['a global that does not exist', asTorch('cbuiltins\nexec\n'), /global at byte 2: got "builtins\.exec"/],
  ['a global without a name', asTorch('K\x01K\x02\x93'), /global at byte 6: got no name/],
  ['a call of a number', asTorch('K\x01)R'), /call at byte 5: got something that cannot be called/],
  ['a call of a dictionary', asTorch('})R'), /call at byte 4/],
  [
    'arguments that are no tuple',
    asTorch('ccollections\nOrderedDict\n]R'),
    /call at byte \d+: got arguments that are no tuple/,
  ],
  ['an append to a dictionary', asTorch('}K\x01a'), /append at byte 5/],
  ['an item set in a list', asTorch(']K\x01K\x02s'), /set item at byte 7/],
  ['half a pair', asTorch('}(K\x01u'), /set item at byte 6: got 1 values/],
  ['a list for a key', asTorch('}]K\x01s'), /key at byte 6: got an object/],
  ['the state of a list', asTorch(']}b'), /state at byte 4/],
  ['digits that are none', asTorch('I12x\n'), /number at byte 2: got "12x"/],
  ['a float that is none', asTorch('F1.2.3\n'), /number at byte 2: got "1\.2\.3"/],
  ['a number of a megabyte', asTorch(`\x8b${u32(1e6).toString('latin1')}`), /number at byte 2: got 1000000 bytes/],
  [
    'a string longer than the file',
    asTorch(`X${u32(0xffffffff).toString('latin1')}ab`),
    /pickle is cut off at byte 2: got 3 bytes, expected 4294967295 more/,
  ],
  ['bytes of 2^60', asTorch('\x8e\0\0\0\0\0\0\0\x10'), /pickle is cut off at byte 2/],
  ['a line without end', zip([['a/data.pkl', latin('\x80\x02cos')]]), /pickle is cut off at byte 2: got its end/],
  ['a persistent id that is a number', asTorch('K\x01Q'), /persistent id at byte 4: got something that is no storage/],
  ['a persistent id of a module', asTorch(`(${text('module')}NNNtQ`), /persistent id at byte \d+: got a module/],
  [
    'a storage of an unknown type',
    asTorch(storage('ComplexFloatStorage', '0', 'K\x02')),
    /got "torch\.ComplexFloatStorage"/,
  ],
  ['a quantized storage', asTorch(storage('QInt8Storage', '0', 'K\x02')), /got "torch\.QInt8Storage"/],
  [
    'a storage that is not there',
    asTorch(rebuilt(floats, 'K\0', 'K\x02\x85', 'K\x01\x85')),
    /storage at its directory: got none, expected "a\/data\/0"/,
  ],
  [
    'a storage of another size',
    asTorch(rebuilt(storage('FloatStorage', '0', 'K\x03'), 'K\0', 'K\x02\x85', 'K\x01\x85'), values),
    /size of the storage at a\/data\/0: got 8 bytes, expected 12/,
  ],
  [
    'a storage of 2^62 elements',
    asTorch(
      rebuilt(storage('FloatStorage', '0', '\x8a\x08\0\0\0\0\0\0\0\x40'), 'K\0', 'K\x02\x85', 'K\x01\x85'),
      values,
    ),
    /persistent id/,
  ],
  [
    'a storage of -1 elements',
    asTorch(rebuilt(storage('FloatStorage', '0', 'J\xff\xff\xff\xff'), 'K\0', 'K\x02\x85', 'K\x01\x85'), values),
    /shape \[2\] with strides \[1\] at 0 in a storage of -1/,
  ],
  [
    'a storage of two types',
    asTorch(`(${rebuilt(floats, 'K\0', 'K\x02\x85', 'K\x01\x85')}${storage('IntStorage', '0', 'K\x02')}t`, values),
    /persistent id at byte \d+: got storage "0" as 2 of int32 and as 2 of float32/,
  ],
  [
    'a view beyond its storage',
    asTorch(rebuilt(floats, 'K\x01', 'K\x02\x85', 'K\x01\x85'), values),
    /shape \[2\] with strides \[1\] at 1 in a storage of 2/,
  ],
  ['strides beyond the storage', asTorch(rebuilt(floats, 'K\0', 'K\x02\x85', 'K\x02\x85'), values), /strides \[2\]/],
  [
    'an offset that is negative',
    asTorch(rebuilt(floats, 'J\xff\xff\xff\xff', 'K\x02\x85', 'K\x01\x85'), values),
    /an offset that is no size/,
  ],
  [
    'a stride that is negative',
    asTorch(rebuilt(floats, 'K\x01', 'K\x02\x85', 'J\xff\xff\xff\xff\x85'), values),
    /strides that is no tuple of sizes/,
  ],
  [
    'more strides than sizes',
    asTorch(rebuilt(floats, 'K\0', 'K\x02\x85', 'K\x01K\x01\x86'), values),
    /1 sizes and 2 strides/,
  ],
  ['a shape that is a list', asTorch(rebuilt(floats, 'K\0', ']', 'K\x01\x85'), values), /a shape that is no tuple/],
  [
    'nine axes',
    asTorch(rebuilt(floats, 'K\0', `(${'K\x01'.repeat(9)}t`, `(${'K\0'.repeat(9)}t`), values),
    /9 axes, more than 8/,
  ],
  [
    'sizes that overflow',
    asTorch(rebuilt(floats, 'K\0', `(${'J\xff\xff\xff\x7f'.repeat(3)}t`, `(${'K\0'.repeat(3)}t`), values),
    /beyond 2\^53 bytes/,
  ],
  [
    'a tensor without a storage',
    asTorch(rebuilt('N', 'K\0', 'K\x02\x85', 'K\x01\x85')),
    /_rebuild_tensor_v2 at byte \d+: got no storage/,
  ],
  [
    'a parameter without a tensor',
    asTorch('ctorch._utils\n_rebuild_parameter\nN\x88}\x87R'),
    /_rebuild_parameter at byte \d+: got no tensor/,
  ],
  [
    'an ordered dictionary of numbers',
    asTorch('ccollections\nOrderedDict\n](K\x01K\x02e\x85R'),
    /OrderedDict at byte \d+: got an entry that is no pair/,
  ],
  ['a counter of nothing', asTorch('ccollections\nCounter\nN\x85R'), /Counter at byte \d+: got no dictionary/],
  [
    'an encoding',
    asTorch(`c_codecs\nencode\n${text('a')}${text('rot13')}\x86R`),
    /encode at byte \d+: got an encoding other than latin1/,
  ],
  [
    'a boolean that is 3',
    asTorch(rebuilt(storage('BoolStorage', '0', 'K\x08'), 'K\0', 'K\x08\x85', 'K\x01\x85'), [
      ['a/data/0', Buffer.alloc(8, 3)],
    ]),
    /element at storage "0": got 3/,
  ],
  [
    'a damaged storage',
    changed(checkpoint, checkpoint.indexOf('data/0') + 80, 99),
    /checksum of ".*data\/0" at byte \d+/,
  ],
  ['another magic number', cat(pickle('K\x01'), pickle('K\x01')), /magic number at byte 0: got "1"/],
  ['another protocol', cat(magic, pickle('M\xe8\x03')), /protocol at byte 15: got "1000"/],
  ['a system that is a list', cat(magic, pickle('M\xe9\x03'), pickle(']')), /system at byte 21: got an object/],
  ['keys that are a dictionary', legacy('}', '}'), /storage keys at byte \d+: got an object/],
  ['a key that no tensor names', legacy('}', one), /storage keys at byte \d+: got "0"/],
  [
    'a storage without its key',
    legacy(rebuilt(floats, 'K\0', 'K\x02\x85', 'K\x01\x85')),
    /storage keys at byte \d+: got none, expected "0"/,
  ],
  [
    'a legacy storage cut off',
    legacy(rebuilt(floats, 'K\0', 'K\x02\x85', 'K\x01\x85'), one, int64(2)),
    /storage "0" is cut off at byte \d+: got 0 bytes, expected 8/,
  ],
  [
    'a legacy storage of another size',
    legacy(rebuilt(floats, 'K\0', 'K\x02\x85', 'K\x01\x85'), one, cat(int64(3), Buffer.alloc(8))),
    /size of storage "0" at byte \d+: got 3/,
  ],
]);

const tokenizer = (parts: object): string =>
  JSON.stringify({ model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] }, ...parts });
const model = (parts: object): string => tokenizer({ model: parts });
count += refuses('tokenizer.json', 'tokenizer.json', (path) => data.text.loadTokenizer(path), [
  ['an empty file', '', /invalid JSON at byte 0/],
  ['no JSON', '{"model": }', /invalid JSON at byte 10: Unexpected token/],
  ['invalid UTF-8', Buffer.from([0x7b, 0xff]), /text at byte 0: got invalid UTF-8/],
  ['a list', '[]', /value at the top: got an array/],
  ['no model', '{}', /expected an object with "model"/],
  ['an unknown model', model({ type: 'Magic' }), /value at model\.type: got "Magic"/],
  [
    'no vocabulary',
    model({ type: 'BPE', merges: [] }),
    /value at model: got an object, expected an object with "vocab"/,
  ],
  ['a vocabulary that is a list', model({ type: 'BPE', vocab: [], merges: [] }), /value at model\.vocab: got an array/],
  ['a negative number', model({ type: 'BPE', vocab: { a: -1 }, merges: [] }), /value at model\.vocab\.a: got "-1"/],
  ['a number of 2^40', model({ type: 'BPE', vocab: { a: 2 ** 40 }, merges: [] }), /value at model\.vocab\.a/],
  [
    'a number twice',
    model({ type: 'BPE', vocab: { a: 0, b: 0 }, merges: [] }),
    /token at model\.vocab\.b: got number 0 of "a"/,
  ],
  [
    'a merge of one',
    model({ type: 'BPE', vocab: { a: 0 }, merges: ['a'] }),
    /value at model\.merges\.0: got "a", expected two tokens/,
  ],
  [
    'a merge of unknown tokens',
    model({ type: 'BPE', vocab: { a: 0 }, merges: ['a b'] }),
    /merge at model\.merges\.0: got "b"/,
  ],
  [
    'a merge into an unknown token',
    model({ type: 'BPE', vocab: { a: 0, b: 1 }, merges: [['a', 'b']] }),
    /merge at model\.merges\.0: got "ab"/,
  ],
  [
    'an unknown token that is none',
    model({ type: 'BPE', vocab: { a: 0 }, merges: [], unk_token: '?' }),
    /value at model\.unk_token: got "\?"/,
  ],
  ['word pieces without the unknown', model({ type: 'WordPiece', vocab: { a: 0 } }), /value at model\.vocab/],
  [
    'unigrams that are an object',
    model({ type: 'Unigram', vocab: { a: 0 } }),
    /value at model\.vocab: got an object, expected an array/,
  ],
  [
    'a unigram without a score',
    model({ type: 'Unigram', vocab: [['a']] }),
    /value at model\.vocab\.0: got an array, expected a token and its score/,
  ],
  ['a unigram twice', model({ type: 'Unigram', vocab: [['a', 0], ['a', 0]] }), /token at model\.vocab\.1: got "a" a second time/], // prettier-ignore
  [
    'an unknown unigram that is none',
    model({ type: 'Unigram', vocab: [['a', 0]], unk_id: 5 }),
    /value at model\.unk_id/,
  ],
  [
    'an unknown normalizer',
    tokenizer({ normalizer: { type: 'Precompiled' } }),
    /value at normalizer\.type: got "Precompiled"/,
  ],
  ['a sequence of nothing', tokenizer({ normalizer: { type: 'Sequence' } }), /value at normalizer: .*"normalizers"/],
  ['an unknown pre-tokenizer', tokenizer({ pre_tokenizer: { type: 'X' } }), /value at pre_tokenizer\.type: got "X"/],
  [
    'a pattern that does not compile',
    tokenizer({ pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } }),
    /value at pre_tokenizer\.pattern\.Regex: got "\("/,
  ],
  [
    'an unknown behaviour',
    tokenizer({ pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Odd' } }),
    /value at pre_tokenizer\.behavior: got "Odd"/,
  ],
  ['an unknown decoder', tokenizer({ decoder: { type: 'X' } }), /value at decoder\.type: got "X"/],
  [
    'a frame of unknown tokens',
    tokenizer({
      post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: 'X' } }], special_tokens: {} },
    }),
    /post_processor\.single\.0\.SpecialToken\.id: got "X"/,
  ],
  [
    'an added token without a number',
    tokenizer({ added_tokens: [{ content: 'x' }] }),
    /value at added_tokens\.0: .*"id"/,
  ],
  [
    'a flag that is text',
    tokenizer({ added_tokens: [{ id: 1, content: 'x', special: 'yes' }] }),
    /value at added_tokens\.0\.special: got "yes"/,
  ],
]);

const encoder = join(folder, 'encoder.json');
writeFileSync(encoder, '{"a": 0, "b": 1, "ab": 2}');
count += refuses('vocab.bpe', 'vocab.bpe', (path) => data.text.loadGpt2Tokenizer(encoder, path), [
  ['a merge of three', '#version: 0.2\na b c\n', /merge at line 2: got "a b c"/],
  ['a merge of one', '#version: 0.2\na b\na\n', /merge at line 3: got "a"/],
  ['an unknown token', 'a c\n', /merge at line 1: got "c", expected a token/],
  ['invalid UTF-8', Buffer.from([0xff]), /text at byte 0/],
]);
count += refuses('vocabulary', 'vocabulary.json', (path) => data.text.Vocabulary.load(path), [
  ['no tokens', '{}', /expected an object with "tokens"/],
  ['a number for a token', '{"tokens": ["a", 1]}', /value at tokens\.1: got "1"/],
  ['a token twice', '{"tokens": ["a", "a"]}', /token at tokens\.1: got "a" a second time/],
  ['an unknown token that is none', '{"tokens": ["a"], "unknown": "b"}', /value at unknown: got "b"/],
]);

const readNumbers: Read = async (path) => (await data.readCsv(path)).numbers();
count += refuses('CSV', 'x.csv', readNumbers, [
  ['an empty file', '', /file at line 1: got nothing/],
  ['a field too few', 'a,b\n1,2\n3\n', /line 3: /],
  ['a field too many', 'a,b\n1,2\n3,4\n5,6,7\n', /line 4: /],
  ['a quote without end', 'a,b\n1,"2\n3,4\n', /line \d: /],
  ['a quote in the middle', 'a,b\n1,x"y\n', /line 2: /],
  ['text behind a quote', 'a,b\n1,"2"x\n', /line 2: /],
  ['a word for a number', 'a,b\n1,2\n3,four\n', /field at line 3, column "b": got "four"/],
  ['an empty field', 'a,b\n1,\n', /field at line 2, column "b": got ""/],
  ['a column twice', 'a,a\n1,2\n', /column at line 1: got "a" twice/],
  ['invalid UTF-8', Buffer.from([0x61, 0x0a, 0xff]), /text at byte 0/],
  ['damaged gzip data', changed(gzipSync('a,b\n1,2\n'), 10, 0xff), /damaged gzip data/],
]);
count += refuses('JSON lines', 'x.jsonl', (path) => new data.JsonLines(path).read(), [
  ['a line that is no JSON', '{"a": 1}\n{"a": }\n', /line 2: invalid JSON/],
  ['a line cut off', '{"a": 1}\n\n[1, 2', /line 3: invalid JSON/],
  ['invalid UTF-8', Buffer.from([0x31, 0x0a, 0xff, 0x0a]), /text at line \d or behind: got invalid UTF-8/],
]);

const format = (code: number, channels: number, rate: number, align: number, bits: number): Buffer =>
  cat('fmt ', u32(16), u16(code), u16(channels), u32(rate), u32(rate * align), u16(align), u16(bits));
const mono = format(1, 1, 8000, 2, 16);
const riff = (...chunks: (Uint8Array | string)[]): Buffer => cat('RIFF', u32(0), 'WAVE', ...chunks);
count += refuses('WAV', 'x.wav', (path) => data.readWav(path), [
  ['an empty file', '', /at byte 0: got 0 bytes/],
  ['another magic', 'RIFX0000WAVE', /magic at byte 0: got "RIFX"/],
  ['another type', 'RIFF0000AVI ', /type at byte 8: got "AVI "/],
  ['no chunks', riff(), /chunk at byte 12: got the end of the file/],
  ['samples without a format', riff('data', u32(2), Buffer.alloc(2)), /chunk at byte 12: got "data"/],
  ['no samples', riff(mono), /chunk at byte 36: got the end of the file, expected "data"/],
  ['a short format', riff('fmt ', u32(4), u32(0)), /size of the format at byte 16: got 4 bytes/],
  ['a short extensible format', riff(format(0xfffe, 1, 8000, 2, 16)), /size of the extensible format at byte 16/],
  ['compression', riff(format(85, 1, 8000, 1, 8)), /encoding at byte 20: got code 85/],
  ['12 bits', riff(format(1, 1, 8000, 2, 12)), /encoding at byte 20: got code 1 with 12 bits/],
  ['no channels', riff(format(1, 0, 8000, 0, 16)), /channels at byte 22: got 0/],
  ['no sample rate', riff(format(1, 1, 0, 2, 16)), /sample rate at byte 24: got 0/],
  ['another frame', riff(format(1, 2, 8000, 2, 16)), /bytes per frame at byte 32: got 2, expected 4/],
  [
    'samples cut off',
    riff(mono, 'data', u32(100), Buffer.alloc(10)),
    /chunk "data" is cut off at byte 40: got 10 bytes, expected 100/,
  ],
  ['samples of 4 GB', riff(mono, 'data', u32(0xffffffff), Buffer.alloc(10)), /chunk "data" is cut off at byte 40/],
  ['half a sample', riff(mono, 'data', u32(3), Buffer.alloc(4)), /size of the samples at byte 40: got 3 bytes/],
  ['another chunk cut off', riff('LIST', u32(99)), /chunk "LIST" is cut off at byte 16/],
]);

const labelled = (label: number): Buffer => cat(Buffer.from([label]), Buffer.alloc(3072));
count += refuses('CIFAR', 'x.bin', (path) => data.readCifar(path), [
  ['an empty file', '', /file is too short at byte 0/],
  ['half a record', Buffer.alloc(1000), /file is too short at byte 0: got 1000 bytes/],
  ['a record and a half', Buffer.alloc(4000), /file is cut off at byte 3073: got 927 bytes/],
  ['label 10', cat(labelled(9), labelled(10)), /label at byte 3073: got 10, expected 0 to 9/],
]);
count += refuses('CIFAR-100', 'x.bin', (path) => data.readCifar(path, { classes: 100 }), [
  ['a file of ten classes', labelled(1), /file is too short at byte 0/],
  ['group 20', cat(Buffer.from([20]), labelled(1)), /label at byte 0: got 20, expected 0 to 19/],
  ['label 100', cat(Buffer.from([1]), labelled(100)), /label at byte 1: got 100, expected 0 to 99/],
]);
count += refuses('any format', 'x', (path) => io.load(path), [
  ['an empty file', '', /start at byte 0: got ""/],
  ['text', 'once upon a time', /start at byte 0: got "once upon a time"/],
  ['IDX cut off', Buffer.from([0, 0, 8, 1]), /file is cut off at byte 4/],
  ['safetensors cut off', cat(u32(50), u32(0), '{"a":'), /header length at byte 0/],
]);

test('there are more than 150 of them', () => {
  expect(count).toBeGreaterThan(200);
});
