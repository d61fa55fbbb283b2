// What a sample is: one record from which the tests of an op follow (forward.test.ts, gradients.test.ts, completeness.test.ts).
// To add an op, add a record to a file of samples/; no list needs an edit.
import { tensor, type AnyTensor, type DType, type Shape } from '../../lib/index';
import { decode, isFloat } from '../../lib/tensor/dtype';

/** A tensor in plain JavaScript, row-major, for references. */
export interface Plain {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

export interface Sample {
  /** The op as users call it. */
  readonly op: string;
  /** What is special about this sample: `broadcast`, `0-d`, … */
  readonly variant: string;
  /** The dtypes that the inputs are made in. */
  readonly dtypes: readonly DType[];
  /** Makes the inputs. The same draws come out at every call. */
  readonly inputs: (draw: Draw, dtype: DType) => readonly AnyTensor[];
  readonly call: (...inputs: AnyTensor[]) => AnyTensor | readonly AnyTensor[];
  /** The result in float64 arithmetic, from inputs as they are in their dtype. */
  readonly reference?: (...inputs: Plain[]) => Plain | readonly Plain[];
  /** The dtype of the first result; that of the inputs unless given. */
  readonly result?: (dtype: DType) => DType;
  /** The highest order of gradient to check; 0 for none. */
  readonly order: 0 | 1 | 2;
  /** Looser tolerances than DESIGN.md's; whoever sets them says why. */
  readonly tolerance?: Partial<Record<DType, Tolerance>>;
  /** Leave out the run with strided inputs, where the call itself depends on the layout. */
  readonly fixedLayout?: boolean;
}

export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

const tolerances: Partial<Record<DType, Tolerance>> = {
  float64: { rtol: 1e-7, atol: 1e-7 },
  float32: { rtol: 1.3e-6, atol: 1e-5 },
  float16: { rtol: 1e-3, atol: 1e-5 },
  bfloat16: { rtol: 1.6e-2, atol: 1e-5 },
};
const exact: Tolerance = { rtol: 0, atol: 0 };

/** The tolerance for a result of `dtype`, by DESIGN.md. */
export const designTolerance = (dtype: DType): Tolerance => tolerances[dtype] ?? exact;

/** The tolerance for a result of `dtype` of a sample. */
export const toleranceOf = (sample: Sample, dtype: DType): Tolerance =>
  sample.tolerance?.[dtype] ?? designTolerance(dtype);

/** Numbers that look random and are the same at every run. */
export class Draw {
  #state: number;

  constructor(name: string) {
    this.#state = 0x9e3779b9;
    for (const letter of name) this.#state = Math.imul(this.#state ^ letter.charCodeAt(0), 0x01000193);
  }

  /** A number in [0, 1). */
  unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A tensor with values in [low, high], whole ones for integers; no fraction is close to a value in `avoid`. */
  tensor(shape: Shape, dtype: DType, low = -2, high = 2, avoid: readonly number[] = []): AnyTensor {
    const values = Array.from({ length: count(shape) }, () => {
      for (;;) {
        const value = this.#value(dtype, low, high);
        if (!isFloat(dtype) || !avoid.some((kink) => Math.abs(value - kink) < 0.05)) return value;
      }
    });
    return tensor(values, { dtype, shape });
  }

  #value(dtype: DType, low: number, high: number): number {
    if (isFloat(dtype)) return low + (high - low) * this.unit();
    if (dtype === 'bool') return Math.floor(2 * this.unit());
    const least = dtype === 'uint8' ? Math.max(0, Math.ceil(low)) : Math.ceil(low);
    return least + Math.floor((Math.floor(high) - least + 1) * this.unit());
  }

  /** A tensor whose values all differ, by at least 1/8. */
  distinct(shape: Shape, dtype: DType): AnyTensor {
    const size = count(shape);
    const order = Array.from({ length: size }, (_, i) => i);
    for (let i = size - 1; i > 0; i--) {
      const j = Math.floor(this.unit() * (i + 1));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    const scale = isFloat(dtype) ? 0.125 : 1;
    const shift = dtype === 'uint8' || dtype === 'bool' ? 0 : Math.floor(size / 2);
    return tensor(
      order.map((place) => (place - shift) * scale),
      { dtype, shape },
    );
  }

  /** Positions in [0, below). */
  index(shape: Shape, below: number, dtype: 'int64' | 'int32' = 'int64'): AnyTensor {
    return this.tensor(shape, dtype, 0, below - 1);
  }
}

export const count = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);

/** Reads a tensor. */
export const plain = (x: AnyTensor): Plain => ({
  shape: x.shape,
  values: Array.from(decode(x.dtype, x.detach().dataSync()) as ArrayLike<number>),
});

/** The element-wise image of operands that broadcast. */
export function mapped(f: (...values: number[]) => number, ...operands: Plain[]): Plain {
  const rank = Math.max(...operands.map(({ shape }) => shape.length));
  const shape = Array.from({ length: rank }, (_, axis) =>
    operands.reduce((size, operand) => {
      const own = operand.shape[axis - rank + operand.shape.length] ?? 1;
      return own === 1 ? size : own;
    }, 1),
  );
  const values = Array.from({ length: count(shape) }, (_, flat) => {
    const position = unravel(flat, shape);
    return f(
      ...operands.map((operand) => {
        const own = position.slice(rank - operand.shape.length).map((p, axis) => (operand.shape[axis] === 1 ? 0 : p));
        return operand.values[ravel(own, operand.shape)]!;
      }),
    );
  });
  return { shape, values };
}

export function unravel(flat: number, shape: Shape): number[] {
  const position = new Array<number>(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    position[axis] = flat % shape[axis]!;
    flat = Math.floor(flat / shape[axis]!);
  }
  return position;
}

export const ravel = (position: readonly number[], shape: Shape): number =>
  position.reduce((flat, p, axis) => flat * shape[axis]! + p, 0);

/** A tensor from a function of the position. */
export const generated = (shape: Shape, f: (position: number[]) => number): Plain => ({
  shape,
  values: Array.from({ length: count(shape) }, (_, flat) => f(unravel(flat, shape))),
});

/** The same values in a layout with gaps and axes in another order; differentiable. */
export function strided(x: AnyTensor): AnyTensor {
  if (x.rank === 0) return x;
  const turned = x.permute().unsqueeze(-1);
  return turned
    .expand([...turned.shape.slice(0, -1), 2])
    .contiguous()
    .select(-1, 0)
    .permute();
}

/** Fails with the first element that is further away than the tolerance allows. */
export function expectClose(got: Plain, expected: Plain, { rtol, atol }: Tolerance, what: string): void {
  if (got.shape.length !== expected.shape.length || got.shape.some((size, axis) => size !== expected.shape[axis])) {
    throw new Error(`${what}: got shape [${got.shape.join(', ')}], expected [${expected.shape.join(', ')}]`);
  }
  got.values.forEach((value, i) => {
    const want = expected.values[i]!;
    if (Object.is(value, want) || value === want) return;
    if (Number.isFinite(want) && Math.abs(value - want) <= atol + rtol * Math.abs(want)) return;
    const at = unravel(i, got.shape).join(', ');
    throw new Error(`${what}: at [${at}]: got ${value}, expected ${want} (rtol ${rtol}, atol ${atol})`);
  });
}

export const list = <T>(results: T | readonly T[]): readonly T[] =>
  Array.isArray(results) ? (results as T[]) : [results as T];
export const titleOf = (sample: Sample): string => `${sample.op}: ${sample.variant}`;
