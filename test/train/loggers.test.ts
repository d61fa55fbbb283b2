// What loggers write, read back: lines by themselves, event files by a small decoder here and by TensorBoard itself where it is installed.
import { spawnSync } from 'node:child_process';
import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { train } from '../../lib/index';
import { crc32c } from '../../lib/train/tensorboard';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hadal-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('the console: a line for each step, shares as percentages', () => {
  const lines: string[] = [];
  const logger = new train.ConsoleLogger((line) => lines.push(line));
  logger.scalars(20, {
    epoch: 1.5,
    loss: 0.123456,
    valAccuracy: 0.98765,
    tensorBytes: 1.5e9,
    learningRate: 3e-5,
    samplesPerSecond: 12345.6,
    bad: NaN,
  });
  logger.text(21, 'sample', 'To be');
  expect(lines).toEqual([
    'step 20  epoch 1.5  loss 0.1235  valAccuracy 98.77 %  tensorBytes 1.5 GB  learningRate 3.000e-5  samplesPerSecond 12,346  bad NaN',
    'step 21  sample: To be',
  ]);
});

describe('CSV', () => {
  test('names that come later get columns, and the table is continued', async () => {
    const path = join(folder, 'new', 'values.csv');
    const logger = new train.CsvLogger(path);
    await logger.scalars(1, { loss: 0.5, 'a "b", c': 2 });
    await logger.scalars(2, { valLoss: 0.25 });
    const other = new train.CsvLogger(path);
    await other.scalars(3, { loss: NaN, valLoss: 1e-7 });
    expect(await readFile(path, 'utf8')).toBe('step,loss,"a ""b"", c",valLoss\n1,0.5,2,\n2,,,0.25\n3,NaN,,1e-7\n');
  });

  test('a run that goes on forgets what came behind', async () => {
    const path = join(folder, 'values.csv');
    const logger = new train.CsvLogger(path);
    for (const step of [1, 2, 3, 10]) await logger.scalars(step, { loss: step });
    await appendFile(path, '11,0.'); // killed while writing
    await logger.resume(2);
    await logger.scalars(3, { loss: 4 });
    expect(await readFile(path, 'utf8')).toBe('step,loss\n1,1\n2,2\n3,4\n');
  });

  test('calls at once are written in order', async () => {
    const logger = new train.CsvLogger(join(folder, 'values.csv'));
    await logger.scalars(0, { a: 0 });
    await Promise.all(Array.from({ length: 20 }, (_, i) => logger.scalars(i + 1, { a: i })));
    const steps = (await readFile(logger.path, 'utf8'))
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => Number.parseInt(line, 10));
    expect(steps).toEqual(Array.from({ length: 21 }, (_, i) => i));
  });
});

test('JSON lines: values, texts, and a run that goes on', async () => {
  const logger = new train.JsonLinesLogger(join(folder, 'values.jsonl'));
  await logger.scalars(1, { loss: 0.5, norm: Infinity });
  await logger.text(2, 'sample', 'To be\n');
  await logger.scalars(3, { loss: 0.1 });
  await logger.resume(2);
  await logger.scalars(3, { loss: 0.2 });
  const lines = (await readFile(logger.path, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(lines).toEqual([
    { step: 1, time: expect.any(Number), loss: 0.5, norm: 'Infinity' },
    { step: 2, time: expect.any(Number), sample: 'To be\n' },
    { step: 3, time: expect.any(Number), loss: 0.2 },
  ]);
});

/** Fields of a message: numbers, or bytes. */
function fieldsOf(bytes: Buffer): [field: number, value: number | Buffer][] {
  const fields: [number, number | Buffer][] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const [field, type] = [key >> 3, key & 7];
    if (type === 0) fields.push([field, varint()]);
    else if (type === 1) fields.push([field, bytes.readDoubleLE((at += 8) - 8)]);
    else if (type === 5) fields.push([field, bytes.readFloatLE((at += 4) - 4)]);
    else {
      const length = varint();
      fields.push([field, bytes.subarray(at, (at += length))]);
    }
  }
  return fields;
}

/** The Event messages of a file, each record's checksums checked. */
function eventsOf(bytes: Buffer): Buffer[] {
  const masked = (part: Buffer): number => (((crc32c(part) >>> 15) | (crc32c(part) << 17)) + 0xa282ead8) >>> 0;
  const events: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 8)).toBe(masked(bytes.subarray(at, at + 8)));
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(masked(data));
    events.push(data);
    at += 16 + length;
  }
  return events;
}

async function writeAll(): Promise<train.TensorBoardLogger> {
  const logger = new train.TensorBoardLogger(folder);
  await logger.scalars(1, { loss: 0.5, accuracy: 0.25 });
  await logger.scalars(300, { loss: -1e-3 });
  await logger.text(2, 'sample', 'Zürich');
  await logger.image(3, 'digit', { pixels: Uint8Array.of(0, 128, 255, 1, 2, 3), width: 3, height: 2 });
  await logger.histogram(4, 'weights', [0, 1, 2, 3, 3, NaN]);
  await logger.flush();
  return logger;
}

describe('TensorBoard', () => {
  test('the checksum is CRC-32C', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa); // RFC 3720, B.4
  });

  test('records and messages', async () => {
    const { path } = await writeAll();
    const events = eventsOf(await readFile(path)).map((event) => Object.fromEntries(fieldsOf(event)));
    expect(String(events[0]![3])).toBe('brain.Event:2');
    expect(events.map((event) => event[2])).toEqual([0, 1, 300, 2, 3, 4]);
    expect(Math.abs((events[1]![1] as number) - Date.now() / 1000)).toBeLessThan(60);
    const values = fieldsOf(events[1]![5] as Buffer).map(([, value]) => fieldsOf(value as Buffer));
    expect(values.map(([tag, value]) => [String(tag![1]), value])).toEqual([
      ['loss', [2, 0.5]],
      ['accuracy', [2, 0.25]],
    ]);
    const [[, histogramValue]] = fieldsOf(events[5]![5] as Buffer) as [[number, Buffer]];
    const histogram = fieldsOf(Object.fromEntries(fieldsOf(histogramValue))[5] as Buffer);
    expect(histogram.slice(0, 5).map(([, value]) => value)).toEqual([0, 3, 5, 9, 23]);
  });

  // The Python of the benches, if it has TensorBoard.
  const python = process.env['HADAL_PEER_PYTHON'] ?? join(__dirname, '..', '..', '.venv', 'bin', 'python');
  const hasTensorBoard = spawnSync(python, ['-c', 'import tensorboard']).status === 0;
  (hasTensorBoard ? test : test.skip)('TensorBoard reads it (skipped without HADAL_PEER_PYTHON)', async () => {
    await writeAll();
    const { stdout, stderr } = spawnSync(python, [join(__dirname, 'read-events.py'), folder], { encoding: 'utf8' });
    if (stdout === '') throw new Error(stderr);
    const read = JSON.parse(stdout) as { histograms: { weights: [number[]] } };
    expect(read).toEqual({
      scalars: {
        loss: [
          [1, 0.5],
          [300, Math.fround(-1e-3)],
        ],
        accuracy: [[1, 0.25]],
      },
      images: { digit: [[3, 3, 2, expect.any(Number)]] },
      histograms: { weights: [[4, 0, 3, 5, 9, 23, expect.any(Array), expect.any(Array)]] },
      texts: { sample: [[2, 'Zürich']] },
      'text plugin': ['sample'],
    });
    const [limits, counts] = read.histograms.weights[0].slice(6) as unknown as [number[], number[]];
    expect([limits.length, limits.at(-1), counts.reduce((a, b) => a + b)]).toEqual([30, 3, 5]);
  });

  (hasTensorBoard ? test : test.skip)(
    'a run that goes on hides what came behind (skipped without HADAL_PEER_PYTHON)',
    async () => {
      const first = new train.TensorBoardLogger(folder);
      for (const step of [1, 2, 3]) await first.scalars(step, { loss: step });
      const second = new train.TensorBoardLogger(folder);
      await second.resume(2);
      await second.scalars(3, { loss: 30 });
      expect(await readdir(folder)).toHaveLength(2);
      const { stdout, stderr } = spawnSync(python, [join(__dirname, 'read-events.py'), folder], { encoding: 'utf8' });
      if (stdout === '') throw new Error(stderr);
      const { scalars } = JSON.parse(stdout) as { scalars: { loss: [number, number][] } };
      expect(new Map(scalars.loss)).toEqual(
        new Map([
          [1, 1],
          [2, 2],
          [3, 30],
        ]),
      );
    },
  );
});
