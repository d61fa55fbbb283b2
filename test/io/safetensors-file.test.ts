import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { chmod, lstat, readdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArgumentError, DTypeError, FormatError, HadalError, OutOfMemoryError, ShapeError } from '../../lib/errors';
import { replaceFile } from '../../lib/io/atomic-file';
import {
  readSafetensorsArrays,
  SafetensorsFile,
  writeSafetensorsArrays,
  type ArraySource,
} from '../../lib/io/safetensors-file';

const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
let count = 0;
/** A path of its own folder, so that leftovers show. */
function fresh(): { path: string; files: () => Promise<string[]> } {
  const own = join(folder, String(++count));
  mkdirSync(own);
  return { path: join(own, 'model.safetensors'), files: () => readdir(own) };
}

/** A folder on a file system of one megabyte, where this process may make one. */
function smallDisk(): string | undefined {
  const mountPoint = mkdtempSync(join(tmpdir(), 'hadal-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mountPoint], { stdio: 'ignore' });
    return mountPoint;
  } catch {
    rmSync(mountPoint, { recursive: true });
    return undefined;
  }
}
const disk = smallDisk();

afterAll(() => {
  if (disk !== undefined) {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  }
  rmSync(folder, { recursive: true });
});

const bytesOf = (length: number, value: number): ArraySource => ({
  dtype: 'uint8',
  shape: [length],
  data: new Uint8Array(length).fill(value),
});

describe('writing and reading', () => {
  test('the reference implementation’s file, read and written again, is the same bytes', async () => {
    for (const name of ['all', 'none']) {
      const original = join(__dirname, `../golden/safetensors/${name}.safetensors`);
      await using file = await SafetensorsFile.open(original);
      const records = await readSafetensorsArrays(original);
      const reversed = [...records].reverse(); // the order of writing does not depend on the order of what is given
      const { path, files } = fresh();
      await writeSafetensorsArrays(path, Object.fromEntries(reversed), { metadata: file.metadata });
      expect(readFileSync(path).equals(readFileSync(original))).toBe(true);
      expect(await files()).toEqual(['model.safetensors']);
    }
  });

  const shared = process.env['HADAL_DATA'] ?? join(__dirname, '../../../shared/data');
  const resnet = join(shared, '../models/cifar10_resnet/ref/resnet20.safetensors');
  (existsSync(resnet) ? test : test.skip)('a pretrained ResNet-20 is written back as the same bytes', async () => {
    await using file = await SafetensorsFile.open(resnet);
    const records = await readSafetensorsArrays(resnet);
    expect(records.get('conv1.weight')?.shape).toEqual([16, 3, 3, 3]);
    const { path } = fresh();
    await writeSafetensorsArrays(path, Object.fromEntries(records), { metadata: file.metadata });
    expect(readFileSync(path).equals(readFileSync(resnet))).toBe(true);
  });

  test('only the named tensors are read, even from a file larger than memory', async () => {
    const { path } = fresh();
    const size = 2 ** 42;
    const header = JSON.stringify({
      first: { dtype: 'I16', shape: [2], data_offsets: [0, 4] },
      huge: { dtype: 'U8', shape: [size], data_offsets: [4, 4 + size] },
      last: { dtype: 'U8', shape: [3], data_offsets: [4 + size, 7 + size] },
    });
    const start = Buffer.alloc(8);
    start.writeBigUInt64LE(BigInt(header.length));
    await writeFile(path, Buffer.concat([start, Buffer.from(header), Buffer.of(1, 0, 2, 0)]));
    await truncate(path, 8 + header.length + 7 + size); // sparse: takes no room on the disk

    const records = await readSafetensorsArrays(path, ['last', 'first']);
    expect([...records]).toEqual([
      ['last', { dtype: 'uint8', shape: [3], data: Uint8Array.of(0, 0, 0) }],
      ['first', { dtype: 'int16', shape: [2], data: Int16Array.of(1, 2) }],
    ]);
    await expect(readSafetensorsArrays(path)).rejects.toThrow(
      new OutOfMemoryError(
        `safetensors: ${path}: its data needs ${size} bytes in one array, more than could be allocated`,
      ),
    );
  });

  test('data that is brought only when its turn comes is held one tensor at a time', async () => {
    const { path } = fresh();
    const events: string[] = [];
    const source = (name: string): ArraySource => ({
      dtype: 'float32',
      shape: [1],
      data: async () => {
        events.push(`${name} wanted`);
        await Promise.resolve();
        return Float32Array.of(1);
      },
    });
    await writeSafetensorsArrays(path, { b: source('b'), a: source('a') });
    expect(events).toEqual(['a wanted', 'b wanted']);
    expect((await readSafetensorsArrays(path)).get('b')?.data).toEqual(Float32Array.of(1));
  });

  test('a tensor that is not in the file', async () => {
    const path = join(__dirname, '../golden/safetensors/none.safetensors');
    await expect(readSafetensorsArrays(path, ['w'])).rejects.toThrow(
      new ArgumentError(`safetensors: ${path}: no tensor named "w"`),
    );
  });

  test('a folder instead of a file, and no file', async () => {
    await expect(SafetensorsFile.open(folder)).rejects.toThrow(
      new FormatError(`safetensors: ${folder}: not a regular file`),
    );
    await expect(SafetensorsFile.open(join(folder, 'none'))).rejects.toThrow(
      /^safetensors: .*none: ENOENT: no such file/,
    );
  });

  test('a file that is cut while it is open', async () => {
    const { path } = fresh();
    await writeSafetensorsArrays(path, { a: bytesOf(100, 1) });
    await using file = await SafetensorsFile.open(path);
    await truncate(path, (await stat(path)).size - 1);
    const end = (await stat(path)).size;
    await expect(file.read('a')).rejects.toThrow(
      new FormatError(`safetensors: ${path}: file became shorter at byte ${end}: got its end, expected 1 more bytes`),
    );
  });
});

describe('what cannot be written is refused before the file is touched', () => {
  const data = Float32Array.of(1, 2);
  const good = { dtype: 'float32', shape: [2], data } as const;
  const cases: [string, Record<string, unknown>, Record<string, unknown>, HadalError][] = [
    [
      'a reserved name',
      { __metadata__: good },
      {},
      new ArgumentError('writeSafetensors: "__metadata__" cannot be a tensor\'s name in a safetensors file'),
    ],
    [
      'a name without UTF-8',
      { '\ud83d': good },
      {},
      new ArgumentError('writeSafetensors: "\\ud83d" cannot be a tensor\'s name in a safetensors file'),
    ],
    [
      'a negative size',
      { a: { ...good, shape: [-2] } },
      {},
      new ShapeError('writeSafetensors: shape of "a": got [-2], expected whole numbers below 2^53'),
    ],
    [
      'an overflowing shape',
      { a: { ...good, shape: [2 ** 40, 2 ** 40] } },
      {},
      new ShapeError(
        'writeSafetensors: shape of "a": got [1099511627776, 1099511627776], expected whole numbers below 2^53',
      ),
    ],
    [
      'too little data',
      { a: { ...good, shape: [3] } },
      {},
      new ShapeError('writeSafetensors: data of "a" (float32): got 8 bytes, expected 12 for [3]'),
    ],
    [
      'an array of another dtype',
      { a: { ...good, dtype: 'float64', shape: [1] } },
      {},
      new DTypeError('writeSafetensors: data of "a" (float64): got Float32Array, expected Float64Array'),
    ],
    [
      'no array',
      { a: { ...good, data: [1, 2] } },
      {},
      new DTypeError('writeSafetensors: data of "a" (float32): got Array, expected Float32Array'),
    ],
    [
      'metadata that is a number',
      { a: good },
      { epoch: 3 },
      new ArgumentError('writeSafetensors: metadata "epoch": got number, expected a string'),
    ],
  ];
  test.each(cases)('%s', async (_, tensors, metadata, error) => {
    const { path, files } = fresh();
    const write = writeSafetensorsArrays(path, tensors as Record<string, ArraySource>, {
      metadata: metadata as Record<string, string>,
    });
    await expect(write).rejects.toThrow(error);
    await expect(write).rejects.toHaveProperty('code', error.code);
    expect(await files()).toEqual([]);
  });
});

describe('nothing is lost', () => {
  test('data that turns out wrong when its turn comes leaves the previous file', async () => {
    const { path, files } = fresh();
    await writeSafetensorsArrays(path, { a: bytesOf(10, 1) });
    const before = await readFile(path);
    const late: ArraySource = { dtype: 'uint8', shape: [4], data: () => new Uint8Array(3) };
    await expect(writeSafetensorsArrays(path, { a: bytesOf(1000, 2), b: late })).rejects.toThrow(
      new ShapeError('writeSafetensors: data of "b" (uint8): got 3 bytes, expected 4 for [4]'),
    );
    expect(await readFile(path)).toEqual(before);
    expect(await files()).toEqual(['model.safetensors']);
  });

  test('an abort in the middle leaves the previous file', async () => {
    const { path, files } = fresh();
    await writeSafetensorsArrays(path, { a: bytesOf(10, 1) });
    const before = await readFile(path);
    const controller = new AbortController();
    const aborting: ArraySource = {
      dtype: 'uint8',
      shape: [10],
      data: () => {
        controller.abort();
        return new Uint8Array(10);
      },
    };
    const write = writeSafetensorsArrays(path, { a: bytesOf(10, 2), b: aborting }, { signal: controller.signal });
    await expect(write).rejects.toHaveProperty('name', 'AbortError');
    expect(await readFile(path)).toEqual(before);
    expect(await files()).toEqual(['model.safetensors']);
  });

  test('a write that the system refuses is a HadalError with the system’s code', async () => {
    const { path, files } = fresh();
    await writeFile(path, 'before');
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', errno: -28 });
    const write = replaceFile('write', path, async (file) => {
      await file.write('half');
      throw full;
    });
    await expect(write).rejects.toThrow(new HadalError(`write: ${path}: ENOSPC: no space left on device, write`));
    await expect(write).rejects.toMatchObject({ code: 'ENOSPC', fields: { file: path, cause: full } });
    expect(await readFile(path, 'utf8')).toBe('before');
    expect(await files()).toEqual(['model.safetensors']);
  });

  const onSmallDisk = disk === undefined ? test.skip : test;
  onSmallDisk('a full disk leaves the previous file (needs the right to mount)', async () => {
    const path = join(disk ?? '', 'model.safetensors');
    await writeSafetensorsArrays(path, { a: bytesOf(300_000, 1) });
    const before = await readFile(path);
    await expect(writeSafetensorsArrays(path, { a: bytesOf(2_000_000, 2) })).rejects.toThrow(
      new HadalError(`writeSafetensors: ${path}: ENOSPC: no space left on device, write`),
    );
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(disk ?? '')).toEqual(['model.safetensors']);
    await writeSafetensorsArrays(path, { a: bytesOf(400_000, 3) });
    expect((await readSafetensorsArrays(path)).get('a')?.data[399_999]).toBe(3);
  });

  test('a process killed while saving leaves a whole file, at least as new as the last one it reported', async () => {
    const { path, files } = fresh();
    let hasLeft = false;
    // More rounds only while none of the kills came in the middle of a file.
    for (let round = 0; round < 6 || (!hasLeft && round < 60); round++) {
      const child = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'save-forever.ts'), path]);
      let saved = 0;
      let errors = '';
      child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
      await new Promise<void>((resolve) => {
        child.on('exit', () => {
          resolve();
        });
        child.stdout.on('data', (chunk: Buffer) => {
          if (saved === 0) setTimeout(() => child.kill('SIGKILL'), 7 * round);
          saved = Number(chunk.toString().trim().split('\n').at(-1));
        });
      });
      expect(errors).toBe('');
      hasLeft ||= (await files()).some((name) => /^\.hadal-[0-9a-f]{8}-\d+-[0-9a-f]{16}\.tmp$/.test(name));
      await using file = await SafetensorsFile.open(path);
      const generation = Number(file.metadata['generation']);
      expect(generation).toBeGreaterThanOrEqual(saved);
      for (const name of ['a', 'b', 'c']) {
        const { data } = await file.read(name);
        expect((data as Int32Array).every((value) => value === generation)).toBe(true);
      }
    }
    // Or this test has shown nothing.
    expect(hasLeft).toBe(true);
    // And the next save removes what they left.
    await writeSafetensorsArrays(path, { a: bytesOf(1, 1) });
    expect(await files()).toEqual(['model.safetensors']);
  });

  test('writers at the same time do not meet: the file is one of theirs, whole', async () => {
    const { path, files } = fresh();
    const size = 300_000;
    await Promise.all(
      Array.from({ length: 8 }, (_, i) => writeSafetensorsArrays(path, { a: bytesOf(size, i), b: bytesOf(size, i) })),
    );
    const records = await readSafetensorsArrays(path);
    const first = records.get('a')?.data[0];
    for (const { data } of records.values()) expect((data as Uint8Array).every((value) => value === first)).toBe(true);
    expect(await files()).toEqual(['model.safetensors']);
  });

  // Windows has neither permissions of this kind nor pipes that lie in folders.
  const onPosix = process.platform === 'win32' ? test.skip : test;
  onPosix('permissions are kept and a symbolic link stays one', async () => {
    const { path, files } = fresh();
    await writeSafetensorsArrays(path, { a: bytesOf(1, 1) });
    await chmod(path, 0o640);
    const link = join(path, '../latest');
    await symlink('model.safetensors', link);
    await writeSafetensorsArrays(link, { a: bytesOf(1, 2) });
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o640);
    expect((await readSafetensorsArrays(path)).get('a')?.data).toEqual(Uint8Array.of(2));
    expect((await files()).sort()).toEqual(['latest', 'model.safetensors']);
  });

  onPosix('a pipe is not replaced', async () => {
    const { path } = fresh();
    execFileSync('mkfifo', [path]);
    await expect(writeSafetensorsArrays(path, {})).rejects.toThrow(
      new HadalError(`writeSafetensors: ${path}: it exists and is not a regular file`),
    );
    expect((await lstat(path)).isFIFO()).toBe(true);
  });

  test('a folder and a missing folder are not replaced', async () => {
    await expect(writeSafetensorsArrays(folder, {})).rejects.toThrow(
      new HadalError(`writeSafetensors: ${folder}: it exists and is not a regular file`),
    );
    const lost = join(folder, 'no such folder', 'x');
    await expect(writeSafetensorsArrays(lost, {})).rejects.toHaveProperty('code', 'ENOENT');
  });

  test('a file name as long as the system allows', async () => {
    const { path } = fresh();
    const long = join(path, '..', 'n'.repeat(255));
    await writeSafetensorsArrays(long, { a: bytesOf(1, 1) });
    expect((await readSafetensorsArrays(long)).size).toBe(1);
  });
});
