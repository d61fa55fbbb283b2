// Replays what ops/make.py stored: calls of ops, with PyTorch's results and gradients. ops/recorder.py describes the format.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import * as hadal from '../../lib/index';
import type { AnyTensor, DType, Shape } from '../../lib/index';
import { decode } from '../../lib/tensor/dtype';
import { count, designTolerance, expectClose, plain, type Plain, type Tolerance } from '../ops/sample';

/** A tensor by number, the same from float64 where rounding matters (`x`), its gradient (`g`, `gx`), and what the call leaves in it. */
interface Stored {
  readonly $: number;
  readonly x?: number;
  readonly g?: number;
  readonly gx?: number;
  readonly after?: number;
}
export interface Case {
  readonly op: string;
  readonly args: readonly unknown[];
  readonly out: unknown;
}
interface Manifest {
  readonly torch: string;
  readonly tensors: Readonly<Record<string, readonly number[][]>>;
  readonly cases: readonly Case[];
}

export interface Family {
  readonly cases: readonly Case[];
  /** Tensor `i` as stored. */
  readonly tensor: (i: number) => AnyTensor;
  readonly expected: (i: number) => Plain & { readonly dtype: DType };
}

export async function readFamily(name: string): Promise<Family> {
  const file = join(__dirname, 'ops', name);
  const { tensors, cases } = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as Manifest;
  const vectors = await hadal.io.readSafetensors(`${file}.safetensors`);
  const values = Object.fromEntries(
    Object.entries(vectors).map(([dtype, vector]) => [dtype, decode(vector.dtype, vector.dataSync())]),
  ) as Record<string, ArrayLike<number>>;
  const places = Object.entries(tensors).flatMap(([dtype, shapes]) => {
    let end = 0;
    return shapes.map((shape) => {
      const size = count(shape);
      end += size;
      return { dtype: dtype as DType, shape, start: end - size, size };
    });
  });
  return {
    cases,
    tensor: (i) => {
      const { dtype, shape, start, size } = places[i]!;
      return vectors[dtype]!.narrow(0, start, size)
        .reshape(shape as Shape)
        .clone();
    },
    expected: (i) => {
      const { dtype, shape, start, size } = places[i]!;
      return { dtype, shape, values: Array.prototype.slice.call(values[dtype]!, start, start + size) as number[] };
    },
  };
}

/** Moves expected elements towards what was got, as far as the float64 result goes. */
function between(expected: Plain, exact: Plain | undefined, got: Plain): Plain {
  if (exact === undefined) return expected;
  const values = expected.values.map((a, i) => {
    const b = exact.values[i]!;
    const value = got.values[i]!;
    return Number.isNaN(a) || Number.isNaN(value) ? a : Math.min(Math.max(value, Math.min(a, b)), Math.max(a, b));
  });
  return { shape: expected.shape, values };
}

const isStored = (value: unknown): value is Stored => typeof value === 'object' && value !== null && '$' in value;

/** A tree of JSON with its leaves replaced. */
function mapTree(value: unknown, leaf: (value: unknown) => unknown): unknown {
  if (isStored(value)) return leaf(value);
  if (Array.isArray(value)) return value.map((item) => mapTree(item, leaf));
  if (value === null) return undefined;
  if (typeof value !== 'object') return value;
  if ('null' in value) return null;
  if ('number' in value) return Number(value.number);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTree(item, leaf)]));
}

/** The weights of result `k` in the sum whose gradients are stored. */
function cotangent(y: AnyTensor, k: number): AnyTensor {
  const weights = Float32Array.from({ length: y.size }, (_, i) => (((5 * i + 3 * k) % 16) - 7.5) / 8);
  return hadal.tensor(weights, { shape: y.shape }).cast(y.dtype);
}

/** Rules of gradients, and some ops, compose other ops, each of which rounds: in 16 bits by up to 2⁻¹¹ and 2⁻⁸ of each of its terms, which are about 1 and may cancel. */
const composed: Partial<Record<DType, Tolerance>> = {
  float16: { rtol: 4e-3, atol: 1e-3 },
  bfloat16: { rtol: 3.2e-2, atol: 8e-3 },
};
/** Recorded gradients of fused kernels are a dozen ops. */
const recorded: Partial<Record<DType, Tolerance>> = {
  float16: { rtol: 8e-3, atol: 5e-3 },
  bfloat16: { rtol: 6e-2, atol: 4e-2 },
};

/**
 * Fails where a result that the absolute tolerance would take for 0 is not about what is expected, so that denormals count, or where a zero has the
 * other sign.
 */
export function expectTiny(got: Plain, expected: Plain, dtype: DType, signs: boolean): void {
  const step = smallest[dtype];
  if (step === undefined) return;
  got.values.forEach((value, i) => {
    const want = expected.values[i]!;
    if (
      want === 0
        ? signs && value === 0 && !Object.is(value, want)
        : Math.abs(value - want) > 0.1 * Math.abs(want) + step
    )
      throw new Error(
        `at ${i}: got ${Object.is(value, -0) ? '-0' : value}, expected ${Object.is(want, -0) ? '-0' : want}`,
      );
  });
}
const smallest: Partial<Record<DType, number>> = {
  float64: 2 ** -1074,
  float32: 2 ** -149,
  float16: 2 ** -24,
  bfloat16: 2 ** -133,
};

type Call = (...args: readonly unknown[]) => unknown;
/** Ops that PyTorch's counterpart answers to in part only: vectors whose signs are arbitrary, by magnitude; a loss of logits, where log-probabilities are normalised. */
const magnitudes =
  (op: (x: never, options: never) => readonly AnyTensor[]): Call =>
  (x, options) =>
    op(x as never, (options ?? {}) as never).map((part) => part.abs());
const adapters: Readonly<Record<string, Call>> = {
  qr: magnitudes(hadal.qr),
  svd: magnitudes(hadal.svd),
  // Only the lower triangle of a symmetric matrix is read, and a gradient need not be symmetric.
  eigh: magnitudes((x: AnyTensor) => hadal.eigh(x.add(x.transpose()).div(2) as AnyTensor)),
  eig: (x) => {
    const [w, v] = hadal.eig(x as AnyTensor);
    return [w, v.square().sum(-1).sqrt()];
  },
  ctcLoss: (x, ...rest) =>
    hadal.ctcLoss(hadal.logSoftmax(x as AnyTensor, -1), ...(rest as [AnyTensor, number[], number[]])),
};

/** A layer made of the arguments of its constructor, its state, its inputs, and whether it trains. Its own tensors take the place of those of the state. */
const layer =
  (name: string, inputs: [AnyTensor, Stored][]): Call =>
  (args, state, x, train) => {
    const make = hadal.nn[name as 'Identity'] as unknown as new (...args: readonly unknown[]) => hadal.nn.Layer;
    const module = new make(...(args as unknown[]));
    module.loadStateDict(state as Record<string, AnyTensor>);
    if (train === false) module.eval();
    for (const [key, own] of [...module.namedParameters(), ...module.namedBuffers()]) {
      inputs.find(([given]) => given === (state as Record<string, AnyTensor>)[key])![0] = own;
    }
    return (module.forward as unknown as Call)(...(x as unknown[]));
  };

export interface ReplayOptions {
  /** Whether the op itself is composed of others, so that its result too may be off by some roundings. */
  readonly isComposed?: boolean | undefined;
  /** Other tolerances than DESIGN.md's; whoever sets them says why. */
  readonly looser?: Partial<Record<DType, Tolerance>>;
  /** Looks at a result more closely. */
  readonly inspect?: ((got: Plain, expected: Plain, dtype: DType) => void) | undefined;
}

/** Runs a case and fails at the first difference. */
export async function replay(
  { tensor, expected }: Family,
  { op, args, out }: Case,
  { isComposed = false, looser = {}, inspect }: ReplayOptions = {},
): Promise<void> {
  const tolerance = (dtype: DType, rounds: boolean): Tolerance =>
    (rounds ? composed[dtype] : undefined) ?? looser[dtype] ?? designTolerance(dtype);
  const inputs: [AnyTensor, Stored][] = [];
  const given = args.map((argument) =>
    mapTree(argument, (stored) => {
      const x = tensor((stored as Stored).$);
      if ((stored as Stored).g !== undefined) x.requiresGrad_();
      inputs.push([x, stored as Stored]);
      return x;
    }),
  );
  const call =
    adapters[op] ?? (op.startsWith('nn.') ? layer(op.slice(3), inputs) : (hadal[op as 'add'] as unknown as Call));
  const result = await call(...given);

  const results: AnyTensor[] = [];
  const check = (got: unknown, want: unknown, path: string): void => {
    if (isStored(want)) {
      const y = got as AnyTensor;
      const reference = expected(want.$);
      if (y.dtype !== reference.dtype) throw new Error(`${path}: got ${y.dtype}, expected ${reference.dtype}`);
      const exact = want.x === undefined ? undefined : expected(want.x);
      const values = plain(y);
      const target = between(reference, exact, values);
      expectClose(values, target, tolerance(y.dtype, isComposed), path);
      inspect?.(values, target, y.dtype);
      results.push(y);
    } else if (Array.isArray(want)) {
      want.forEach((item, i) => {
        check((got as unknown[])[i], item, `${path}[${i}]`);
      });
    } else if (typeof want === 'object' && want !== null) {
      for (const [key, item] of Object.entries(want))
        check((got as Record<string, unknown>)[key], item, `${path}.${key}`);
    } else if (!Object.is(got, want)) throw new Error(`${path}: got ${String(got)}, expected ${String(want)}`);
  };
  check(result, out, 'result');

  const wanted = inputs.filter(([, { g }]) => g !== undefined);
  if (wanted.length > 0) {
    const roots = results.map((y, k) => ({ y, g: cotangent(y, k) })).filter(({ y }) => y.requiresGrad);
    // As computed, by fused kernels where there are any, and as recorded, over ops.
    for (const createGraph of [false, true]) {
      const found = hadal.gradients(
        roots.map(({ y }) => y),
        wanted.map(([x]) => x),
        { gradients: roots.map(({ g }) => g), retainGraph: true, createGraph },
      );
      wanted.forEach(([x, { g, gx }], i) => {
        const what = `${createGraph ? 'recorded ' : ''}gradient ${i}`;
        if (found[i] === undefined) throw new Error(`${what}: got nothing`);
        const got = plain(found[i]);
        const exact = gx === undefined ? undefined : expected(gx);
        const limit = (createGraph ? recorded[x.dtype] : undefined) ?? tolerance(x.dtype, true);
        expectClose(got, between(expected(g!), exact, got), limit, what);
      });
    }
  }
  for (const [x, { after, $ }] of inputs) {
    expectClose(plain(x), expected(after ?? $), tolerance(x.dtype, isComposed), 'argument afterwards');
  }
}
