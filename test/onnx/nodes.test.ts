// ONNX's own tests of its operators, as golden/make.py recorded them: models of one node, or of the nodes that a function of ONNX stands for.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { HadalError, onnx, tensor, Tensor, type AnyTensor, type DType } from 'hadal';

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
}

const path = process.env['HADAL_ONNX_NODES'] ?? join(__dirname, 'golden/nodes.json.gz');
const { cases } = JSON.parse(gunzipSync(readFileSync(path)).toString()) as { cases: Case[] };
const folder = mkdtempSync(join(tmpdir(), 'hadal-onnx-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Cases that are left out one by one. */
const leftOut: readonly [RegExp, reason: string][] = [
  [/^test_(bernoulli|training_dropout)(?!.*zero_ratio)/, 'random numbers of another generator'],
  [/^test_not_\dd$/, 'opset below 7'],
  [/^test_scan_sum$/, 'Scan of version 8'],
  [/^test_roialign_mode_max$/, 'RoiAlign of mode max'],
  [/^test_(bitwise_not_3d|quantizelinear_uint16)$/, 'arithmetic of uint16, which int32 stands for'],
];
/** Expected values that are given to four digits, or that a reference in float32 has rounded at every step. */
const rounded = /^test_(averagepool_2d_ceil_last_window|gridsample_bicubic$|roialign_aligned|stft_with_window)/;

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

/** Something that is not claimed to work. */
class Unsupported extends Error {}

function recorded({ dtype, shape, data }: Recorded): AnyTensor {
  const known = views[dtype];
  if (known === undefined) throw new Unsupported(`dtype ${dtype}`);
  const [own, view] = known;
  const bytes = Buffer.from(data, 'base64');
  const values = view(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer);
  return tensor(values as never, { dtype: own, shape }) as AnyTensor;
}

const given = (value: RecordedValue): onnx.Input =>
  value === null ? undefined : Array.isArray(value) ? (value.map(given) as AnyTensor[]) : recorded(value);

/** The outputs for tensors as inputs; where shapes depend on the elements of some, for numbers in their place. */
async function outputsOf({ name, model, inputs }: Case): Promise<unknown[]> {
  const file = join(folder, `${name}.onnx`);
  writeFileSync(file, Buffer.from(model, 'base64'));
  const loaded = await onnx.load<unknown>(file);
  rmSync(file);
  const tensors = inputs.map(given);
  const numbers = await Promise.all(tensors.map(async (x) => (x instanceof Tensor ? (x as AnyTensor).toArray() : x)));
  const wanted = new Set<string>();
  for (;;) {
    try {
      const made = loaded.forward(...tensors.map((x, i) => (wanted.has(loaded.inputs[i]!.name) ? numbers[i] : x)));
      return loaded.outputs.length === 1 ? [made] : (made as unknown[]);
    } catch (error) {
      const unknown = error instanceof HadalError ? (error.fields['unknown'] as string | undefined) : undefined;
      const names = loaded.inputs.map((input) => input.name);
      if (unknown === undefined || wanted.size === names.length) throw error;
      // In a function, or behind other operators, the name is not that of the input.
      for (const each of names.includes(unknown) && !wanted.has(unknown) ? [unknown] : names) wanted.add(each);
    }
  }
}

/** Those of test/ops, but for float16 two of its units in the last place: ONNX's reference rounds after other steps than a fused op. */
const tolerances: Partial<Record<DType, readonly [rtol: number, atol: number]>> = {
  float64: [1e-7, 1e-7],
  float32: [1.3e-6, 1e-5],
  float16: [2 ** -9, 1e-5],
  bfloat16: [1.6e-2, 1e-5],
};

async function compare(name: string, got: unknown, expected: RecordedValue, at: string): Promise<void> {
  if (expected === null) return expect(got).toBeUndefined();
  if (Array.isArray(expected)) {
    const list = got as readonly unknown[];
    if (list.length !== expected.length) throw new Error(`${at}: got ${list.length} elements`);
    for (const [i, each] of expected.entries()) await compare(name, list[i], each, `${at}[${i}]`);
    return;
  }
  const own = got as AnyTensor;
  const wanted = recorded(expected);
  const [type, wantedType] = [own, wanted].map(({ dtype, shape }) => `${dtype} [${shape.join(', ')}]`);
  if (type !== wantedType) throw new Error(`${at}: got ${type}, expected ${wantedType}`);
  const [rtol, atol] = rounded.test(name) ? [1e-5, 1e-4] : (tolerances[own.dtype] ?? [0, 0]);
  const [a, b] = await Promise.all(
    [own, wanted].map(async (x) => [(await x.toArray()) as unknown].flat(Infinity) as number[]),
  );
  const wrong = b!.findIndex((value, i) => {
    const mine = a![i]!;
    return !(Object.is(mine, value) || mine === value || Math.abs(mine - value) <= atol + rtol * Math.abs(value));
  });
  if (wrong >= 0) throw new Error(`${at}: element ${wrong}: got ${a![wrong]}, expected ${b![wrong]}`);
}

/** Why an error says that a case is not claimed to work, or undefined where it should. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof Unsupported) return error.message;
  if (!(error instanceof HadalError)) return undefined;
  const { operators, dtype } = error.fields as { operators?: string[]; dtype?: string };
  if (operators !== undefined) return `operator ${operators.join(', ')}`;
  return error.code === 'DTYPE' && dtype !== undefined && views[dtype] === undefined ? `dtype ${dtype}` : undefined;
}

test('every case passes that is not left out for a reason', async () => {
  const failed: string[] = [];
  const counts: Record<string, number> = {};
  const count = (reason: string): void => void (counts[reason] = (counts[reason] ?? 0) + 1);
  for (const each of cases) {
    const known = leftOut.find(([pattern]) => pattern.test(each.name));
    if (known !== undefined) {
      count(known[1]);
      continue;
    }
    try {
      const made = await outputsOf(each);
      for (const [i, expected] of each.outputs.entries()) await compare(each.name, made[i], expected, `output ${i}`);
      count('passed');
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === undefined) failed.push(`${each.name}: ${(error as Error).message}`);
      else count(reason);
    }
  }
  expect(failed).toEqual([]);
  expect(counts).toMatchInlineSnapshot(`
    {
      "RoiAlign of mode max": 1,
      "Scan of version 8": 1,
      "arithmetic of uint16, which int32 stands for": 2,
      "dtype float4e2m1": 14,
      "dtype float8e4m3fn": 22,
      "dtype float8e4m3fnuz": 18,
      "dtype float8e5m2": 20,
      "dtype float8e5m2fnuz": 18,
      "dtype float8e8m0": 4,
      "dtype int2": 17,
      "dtype int4": 17,
      "dtype string": 3,
      "dtype uint2": 17,
      "dtype uint4": 17,
      "operator BitCast": 10,
      "operator DeformConv": 4,
      "operator ImageDecoder": 6,
      "operator LinearAttention": 4,
      "operator RegexFullMatch": 3,
      "operator StringConcat": 5,
      "operator StringNormalizer": 6,
      "operator StringSplit": 6,
      "operator TfIdfVectorizer": 7,
      "operator ai.onnx.ml.ArrayFeatureExtractor": 1,
      "operator ai.onnx.ml.Binarizer": 1,
      "operator ai.onnx.ml.LabelEncoder": 3,
      "operator ai.onnx.ml.TreeEnsemble": 2,
      "operator ai.onnx.preview.FlexAttention": 5,
      "operator ai.onnx.preview.training.Adagrad": 2,
      "operator ai.onnx.preview.training.Adam": 2,
      "operator ai.onnx.preview.training.Momentum": 3,
      "opset below 7": 3,
      "passed": 1483,
      "random numbers of another generator": 10,
    }
  `);
}, 120_000);
