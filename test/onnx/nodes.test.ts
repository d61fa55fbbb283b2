// ONNX's own tests of its operators, as golden/make.py recorded them: models of one node, or of the nodes that a function of ONNX stands for.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { HadalError, onnx, tensor, type AnyTensor, type DType } from 'hadal';

interface Recorded {
  readonly dtype: string;
  readonly shape: number[];
  readonly data: string;
}
type RecordedValue = Recorded | RecordedValue[] | null;
interface Case {
  readonly name: string;
  readonly model: string;
  readonly inputs: RecordedValue[];
  readonly outputs: RecordedValue[];
  readonly rtol: number;
  readonly atol: number;
}

const path = process.env.HADAL_ONNX_NODES ?? join(__dirname, 'golden/nodes.json.gz');
const { cases } = JSON.parse(gunzipSync(readFileSync(path)).toString()) as { cases: Case[] };
const folder = mkdtempSync(join(tmpdir(), 'hadal-onnx-'));
afterAll(() => rmSync(folder, { recursive: true }));

const views: Record<string, [DType, (bytes: ArrayBuffer) => ArrayLike<number | bigint>]> = {
  float64: ['float64', (bytes) => new Float64Array(bytes)],
  float32: ['float32', (bytes) => new Float32Array(bytes)],
  float16: ['float16', (bytes) => new Uint16Array(bytes)],
  bfloat16: ['bfloat16', (bytes) => new Uint16Array(bytes)],
  int64: ['int64', (bytes) => new BigInt64Array(bytes)],
  int32: ['int32', (bytes) => new Int32Array(bytes)],
  int16: ['int16', (bytes) => new Int16Array(bytes)],
  int8: ['int8', (bytes) => new Int8Array(bytes)],
  uint8: ['uint8', (bytes) => new Uint8Array(bytes)],
  uint16: ['int32', (bytes) => Int32Array.from(new Uint16Array(bytes))],
  uint32: ['int64', (bytes) => BigInt64Array.from(new Uint32Array(bytes), BigInt)],
  uint64: ['int64', (bytes) => new BigInt64Array(bytes)],
  bool: ['bool', (bytes) => new Uint8Array(bytes)],
};

class Unsupported extends Error {}

function tensorOf({ dtype, shape, data }: Recorded): AnyTensor {
  const [own, view] = views[dtype] ?? unsupported(`dtype ${dtype}`);
  const bytes = Buffer.from(data, 'base64');
  const values = view(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer);
  return tensor(values as never, { dtype: own, shape }) as AnyTensor;
}

function unsupported(reason: string): never {
  throw new Unsupported(reason);
}

const given = (value: RecordedValue): onnx.Input =>
  value === null ? undefined : Array.isArray(value) ? (value.map(given) as AnyTensor[]) : tensorOf(value);

async function outputsOf({ name, model, inputs }: Case): Promise<unknown[]> {
  const file = join(folder, `${name}.onnx`);
  writeFileSync(file, Buffer.from(model, 'base64'));
  const loaded = await onnx.load<AnyTensor | AnyTensor[]>(file);
  const tensors = inputs.map(given);
  const numbers = (): Promise<onnx.Input[]> =>
    Promise.all(
      tensors.map(async (x) => (x instanceof Object && 'toArray' in x ? ((await x.toArray()) as onnx.Input) : x)),
    );
  let made: unknown;
  try {
    made = loaded.forward(...tensors);
  } catch (error) {
    const unknown = (error as HadalError).fields?.['unknown'];
    if (unknown === undefined) throw error;
    const known = await numbers();
    const at = loaded.inputs.findIndex((input) => input.name === unknown);
    try {
      made = loaded.forward(...tensors.map((x, i) => (i === at ? known[i] : x)));
    } catch {
      made = loaded.forward(...known);
    }
  }
  return loaded.outputs.length === 1 ? [made] : (made as unknown[]);
}

const tolerances: Partial<Record<DType, [number, number]>> = {
  float64: [1e-7, 1e-7],
  float32: [1.3e-6, 1e-5],
  float16: [1e-3, 1e-5],
  bfloat16: [1.6e-2, 1e-5],
};

async function compare(got: unknown, expected: RecordedValue, at: string): Promise<void> {
  if (expected === null) return;
  if (Array.isArray(expected)) {
    if (!Array.isArray(got) || got.length !== expected.length)
      throw new Error(`${at}: not a sequence of ${expected.length}`);
    for (const [i, each] of expected.entries()) await compare(got[i], each, `${at}[${i}]`);
    return;
  }
  const wanted = tensorOf(expected);
  const own = got as AnyTensor;
  if (own.dtype !== wanted.dtype || String(own.shape) !== String(wanted.shape)) {
    throw new Error(`${at}: got ${own.dtype} [${own.shape}], expected ${wanted.dtype} [${wanted.shape}]`);
  }
  const [rtol, atol] = tolerances[own.dtype] ?? [0, 0];
  const [a, b] = [(await own.toArray()) as never, (await wanted.toArray()) as never].map(
    (x) => [x].flat(Infinity) as number[],
  ) as [number[], number[]];
  for (let i = 0; i < b.length; i++) {
    const close = Object.is(a[i], b[i]) || a[i] === b[i] || Math.abs(a[i]! - b[i]!) <= atol + rtol * Math.abs(b[i]!);
    if (!close) throw new Error(`${at}: element ${i}: got ${a[i]}, expected ${b[i]}`);
  }
}

test('nodes', async () => {
  const failed: string[] = [];
  const reasons = new Map<string, string[]>();
  let passed = 0;
  for (const each of cases) {
    try {
      const made = await outputsOf(each);
      for (const [i, expected] of each.outputs.entries()) await compare(made[i], expected, `output ${i}`);
      passed++;
    } catch (error) {
      const { message } = error as Error;
      failed.push(
        `${each.name}: ${message.replace(folder, '')}${error instanceof HadalError || error instanceof Unsupported ? '' : (error as Error).stack?.split('\n').slice(1, 3).join(' ')}`,
      );
    }
  }
  writeFileSync('/tmp/nodes.log', `${passed} passed\n${failed.join('\n')}`);
  expect(failed.length).toBe(0);
}, 600000);
