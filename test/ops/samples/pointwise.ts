// Samples of the pointwise ops: each is one line here, and becomes samples for several shapes, for numbers as operands and for special
// values.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { dtypes as everyDType, isFloat, toFloat } from '../../../lib/tensor/dtype';
import { generated, mapped, ravel, unravel, type Draw, type Sample, type Tolerance } from '../sample';
import { besselI, erf, erfc, erfcx, erfinv, gammaBelow, lgamma, polygamma, zeta } from '../special-functions';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
const integers: readonly DType[] = ['int64', 'int32', 'int16', 'int8', 'uint8'];
const numbers = [...floats, ...integers];
const signed = [...floats, ...integers.slice(0, 4)];

interface Line {
  readonly dtypes: readonly DType[];
  /** The value of the op in float64. */
  readonly value: (...x: number[]) => number;
  /** The range of each operand; [-2, 2] unless given. */
  readonly ranges?: readonly (readonly [number, number])[];
  /** Where a derivative jumps: no value is close to these. */
  readonly kinks?: readonly number[];
  readonly order: 0 | 1 | 2;
  readonly result?: (dtype: DType) => DType;
  /** Further arguments. */
  readonly rest?: readonly unknown[];
  /** Whether NaN, infinities, zeros and huge numbers give what `value` says. */
  readonly specials?: boolean;
  readonly tolerance?: Partial<Record<DType, Tolerance>>;
  readonly operands?: 1 | 2 | 3;
  readonly variant?: string;
}

type Call = (...args: unknown[]) => AnyTensor;
const api = hadal as unknown as Record<string, Call>;

// Shapes of up to three operands.
const shapes: readonly (readonly [string, readonly Shape[]])[] = [
  [
    'same shape',
    [
      [3, 5],
      [3, 5],
      [3, 5],
    ],
  ],
  ['broadcast', [[3, 1, 4], [2, 1], [4]]],
  ['0-d', [[], [], []]],
  ['empty', [[0, 3], [1, 3], [3]]],
];
const longer: readonly Shape[] = [[531], [531], [531]];
const special = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, -0.5, 3, -3, 1e30, -1e30, 1e-30];

function samplesOf(op: string, line: Line): Sample[] {
  const { dtypes, value, ranges = [], kinks = [], rest = [], operands = 1, order } = line;
  const prefix = line.variant === undefined ? '' : `${line.variant}, `;
  const range = (i: number) => ranges[i] ?? ranges[0] ?? ([-2, 2] as const);
  const base = {
    op,
    call: (...inputs: AnyTensor[]) => api[op]!(...inputs, ...rest),
    reference: (...inputs: { shape: readonly number[]; values: readonly number[] }[]) => mapped(value, ...inputs),
    ...(line.result === undefined ? {} : { result: line.result }),
    ...(line.tolerance === undefined ? {} : { tolerance: line.tolerance }),
  };
  const drawn = (sizes: readonly Shape[]) => (draw: Draw, dtype: DType) =>
    sizes.slice(0, operands).map((shape, i) => draw.tensor(shape, dtype, ...range(i), kinks));
  const samples: Sample[] = shapes.map(([variant, sizes]) => ({
    ...base,
    variant: prefix + variant,
    dtypes,
    inputs: drawn(sizes),
    order,
  }));
  // Long enough for whole vectors and a rest; too long for differences.
  samples.push({ ...base, variant: `${prefix}long`, dtypes, inputs: drawn(longer), order: 0 });
  if (operands === 2) {
    // A number is the second operand, then the first: 1.5, or 2 for integers.
    for (const at of [0, 1]) {
      const numberFor = (dtype: DType): number => (isFloat(dtype) ? 1.5 : 2);
      for (const [kind, some] of [
        ['fraction', floats],
        ['whole number', integers],
      ] as const) {
        const own = some.filter((dtype) => dtypes.includes(dtype));
        if (own.length === 0) continue;
        const number = numberFor(own[0]!);
        samples.push({
          ...base,
          variant: `${prefix}a ${kind} ${at === 0 ? 'before' : 'behind'}`,
          dtypes: own,
          inputs: (draw, dtype) => [draw.tensor([3, 5], dtype, ...range(1 - at), [...kinks, number])],
          call: (x) => (at === 0 ? api[op]!(number, x, ...rest) : api[op]!(x, number, ...rest)),
          reference: (x) => mapped((v) => (at === 0 ? value(number, v) : value(v, number)), x),
          order,
        });
      }
    }
  }
  if (line.specials) {
    const grid = special.flatMap((a) => special.map((b) => [a, b] as const));
    samples.push({
      ...base,
      variant: `${prefix}special values`,
      dtypes: ['float64', 'float32'],
      inputs: (_, dtype) =>
        Array.from({ length: operands }, (_, i) =>
          hadal.tensor(operands === 1 ? special : grid.map((pair) => pair[i]!), { dtype }),
        ),
      order: 0,
    });
  }
  return samples;
}

// Rounding in the middle: a 16-bit float is rounded after every op of a composition.
const composed: Partial<Record<DType, Tolerance>> = {
  float16: { rtol: 4e-3, atol: 4e-3 },
  bfloat16: { rtol: 3.2e-2, atol: 3.2e-2 },
};
const bool = (): DType => 'bool';
const sign = (x: number): number => (x > 0 ? 1 : x < 0 ? -1 : 0);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const roundToEven = (x: number): number => {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
};
const clamp = (x: number, low: number, high: number): number => (x < low ? low : x > high ? high : x);
const seluScale = 1.0507009873554805;
const seluAlpha = 1.6732632423543772;
const elu = (x: number, alpha = 1): number => (x > 0 ? x : alpha * Math.expm1(x));
const remainder = (a: number, b: number): number => {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
};
const truth = (holds: boolean): number => (holds ? 1 : 0);

/** Ops of one operand that leave the integers. */
const floating = { dtypes: everyDType, result: toFloat, order: 2 as const };
const small = [[-2, 2]] as const;
const positive = [[0.3, 4]] as const;
const inside = [[-0.9, 0.9]] as const;

const unary: Record<string, Line> = {
  abs: { dtypes: numbers, value: Math.abs, kinks: [0], order: 2, specials: true },
  neg: { dtypes: signed, value: (x) => -x, order: 2, specials: true },
  sign: { dtypes: numbers, value: sign, kinks: [0], order: 2, specials: true },
  exp: { ...floating, value: Math.exp, ranges: small },
  exp2: { ...floating, value: (x) => 2 ** x, ranges: small, specials: true },
  expm1: { ...floating, value: Math.expm1, ranges: small },
  log: { ...floating, value: Math.log, ranges: positive, specials: true },
  log2: { ...floating, value: Math.log2, ranges: positive, specials: true },
  log10: { ...floating, value: Math.log10, ranges: positive, specials: true },
  log1p: { ...floating, value: Math.log1p, ranges: positive, specials: true },
  sqrt: { ...floating, value: Math.sqrt, ranges: positive, specials: true },
  rsqrt: { ...floating, value: (x) => 1 / Math.sqrt(x), ranges: positive, specials: true },
  square: { dtypes: numbers, value: (x) => x * x, order: 2, ranges: [[-3, 3]] },
  reciprocal: { ...floating, value: (x) => 1 / x, ranges: positive, specials: true },
  sin: { ...floating, value: Math.sin, specials: false },
  cos: { ...floating, value: Math.cos },
  tan: { ...floating, value: Math.tan, ranges: [[-1.2, 1.2]] },
  asin: { ...floating, value: Math.asin, ranges: inside, specials: true },
  acos: { ...floating, value: Math.acos, ranges: inside, specials: true },
  atan: { ...floating, value: Math.atan, specials: true },
  sinh: { ...floating, value: Math.sinh },
  cosh: { ...floating, value: Math.cosh },
  asinh: { ...floating, value: Math.asinh, specials: true },
  acosh: { ...floating, value: Math.acosh, ranges: [[1.2, 4]], specials: true },
  atanh: { ...floating, value: Math.atanh, ranges: inside, specials: true },
  erf: { ...floating, value: erf, specials: true },
  erfc: { ...floating, value: erfc, specials: true },
  ndtr: { ...floating, value: (x) => erfc(-x / Math.SQRT2) / 2, specials: true },
  erfinv: { ...floating, value: erfinv, ranges: inside },
  erfcx: { ...floating, value: erfcx, ranges: [[-3, 8]] },
  ndtri: { ...floating, dtypes: floats, value: (x) => Math.SQRT2 * erfinv(2 * x - 1), ranges: [[0.02, 0.98]] },
  i0: { ...floating, value: (x) => besselI(0, x), ranges: [[-6, 6]] },
  i1: { ...floating, value: (x) => besselI(1, x), ranges: [[-6, 6]] },
  i0e: { ...floating, value: (x) => Math.exp(-Math.abs(x)) * besselI(0, x), ranges: [[-30, 30]], kinks: [0] },
  i1e: { ...floating, value: (x) => Math.exp(-Math.abs(x)) * besselI(1, x), ranges: [[-30, 30]], kinks: [0] },
  lgamma: { ...floating, value: lgamma, ranges: positive },
  digamma: { ...floating, value: (x) => polygamma(0, x), ranges: positive },
  // At the poles of even orders PyTorch takes one side; here they are NaN.
  polygamma: { ...floating, dtypes: numbers, value: (x) => polygamma(2, x), ranges: [[0.5, 4]], rest: [2] },
  sigmoid: { ...floating, value: sigmoid, specials: true },
  tanh: { ...floating, value: Math.tanh, specials: true },
  logSigmoid: { ...floating, value: (x) => -softplus(-x), specials: true },
  softplus: { ...floating, value: softplus },
  softsign: { ...floating, value: (x) => x / (1 + Math.abs(x)), kinks: [0], tolerance: composed },
  hardsigmoid: {
    ...floating,
    value: (x) => clamp(x + 3, 0, 6) / 6,
    ranges: [[-4, 4]],
    kinks: [-3, 3],
    tolerance: composed,
  },
  relu: { dtypes: numbers, value: (x) => (x < 0 ? 0 : x), kinks: [0], order: 2, specials: true },
  relu6: { dtypes: numbers, value: (x) => clamp(x, 0, 6), ranges: [[-3, 9]], kinks: [0, 6], order: 2, specials: true },
  elu: { ...floating, value: (x) => elu(x, 1.5), rest: [1.5], kinks: [0], specials: true },
  leakyRelu: { ...floating, value: (x) => (x > 0 ? x : 0.1 * x), rest: [0.1], kinks: [0], specials: true },
  selu: { ...floating, value: (x) => seluScale * elu(x, seluAlpha), kinks: [0] },
  celu: { ...floating, value: (x) => 2 * elu(x / 2), rest: [2], kinks: [0], tolerance: composed },
  gelu: { ...floating, value: (x) => (x === -Infinity ? 0 : (x * erfc(-x / Math.SQRT2)) / 2) },
  silu: { ...floating, value: (x) => x * sigmoid(x) },
  mish: { ...floating, value: (x) => x * Math.tanh(softplus(x)) },
  hardswish: {
    ...floating,
    value: (x) => (x * clamp(x + 3, 0, 6)) / 6,
    ranges: [[-4, 4]],
    kinks: [-3, 3],
    tolerance: composed,
  },
  hardtanh: { dtypes: numbers, value: (x) => clamp(x, -1, 1), kinks: [-1, 1], order: 2, specials: true },
  clamp: {
    dtypes: numbers,
    value: (x) => clamp(x, -1, 1),
    rest: [-1, 1],
    kinks: [-1, 1],
    order: 2,
    specials: true,
  },
  softshrink: {
    ...floating,
    value: (x) => (x > 0.5 ? x - 0.5 : x < -0.5 ? x + 0.5 : 0 * x),
    kinks: [-0.5, 0.5],
    tolerance: composed,
  },
  hardshrink: { ...floating, value: (x) => (Math.abs(x) <= 0.5 ? 0 : x), kinks: [-0.5, 0.5], specials: true },
  tanhshrink: { ...floating, value: (x) => x - Math.tanh(x), tolerance: composed },
  threshold: {
    dtypes: signed,
    value: (x) => (x <= 1 ? -3 : x),
    ranges: [[-2, 2]],
    rest: [1, -3],
    kinks: [1],
    order: 2,
  },
  floor: { dtypes: numbers, value: Math.floor, kinks: [-2, -1, 0, 1, 2], order: 2, specials: true },
  ceil: { dtypes: numbers, value: Math.ceil, kinks: [-2, -1, 0, 1, 2], order: 2, specials: true },
  round: { dtypes: numbers, value: roundToEven, kinks: [-1.5, -0.5, 0.5, 1.5], order: 2, specials: true },
  trunc: { dtypes: numbers, value: Math.trunc, kinks: [-2, -1, 0, 1, 2], order: 2, specials: true },
  frac: { dtypes: floats, value: (x) => x - Math.trunc(x), kinks: [-2, -1, 0, 1, 2], order: 2, tolerance: composed },
  isNaN: { dtypes: everyDType, value: (x) => truth(Number.isNaN(x)), order: 0, result: bool, specials: true },
  isInf: { dtypes: everyDType, value: (x) => truth(Math.abs(x) === Infinity), order: 0, result: bool, specials: true },
  isFinite: { dtypes: everyDType, value: (x) => truth(Number.isFinite(x)), order: 0, result: bool, specials: true },
  logicalNot: { dtypes: everyDType, value: (x) => truth(x === 0), order: 0, result: bool, specials: true },
  bitwiseNot: { dtypes: integers.slice(0, 4), value: (x) => ~x, order: 0 },
  nanToNum: {
    dtypes: numbers,
    value: (x) => (Number.isNaN(x) ? 5 : x === Infinity ? 6 : x === -Infinity ? -6 : x),
    rest: [{ nan: 5, posInf: 6, negInf: -6 }],
    order: 2,
    specials: true,
  },
};

const geluTanh: Line = {
  ...floating,
  value: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  rest: [{ approximate: 'tanh' }],
  variant: 'tanh form',
};

const whole = [[-5, 5]] as const;

/** Compositions. */
const composedUnary: Record<string, Line> = {
  signBit: { dtypes: floats, value: (x) => truth(x < 0 || Object.is(x, -0)), result: bool, order: 0, specials: true },
  sinc: { ...floating, value: (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)), kinks: [0] },
  logNdtr: { ...floating, value: (x) => Math.log(erfcx(-x * Math.SQRT1_2) / 2) - (x * x) / 2, ranges: [[-20, 5]] },
  entr: {
    ...floating,
    dtypes: numbers,
    value: (x) => (x < 0 ? -Infinity : x === 0 ? 0 : -x * Math.log(x)),
    ranges: [[0.2, 2]],
    specials: true,
  },
  logit: { ...floating, dtypes: floats, value: (x) => Math.log(x / (1 - x)), ranges: [[0.1, 0.9]] },
};
const logAddExp = (a: number, b: number): number => {
  const larger = Math.max(a, b);
  return Number.isFinite(larger) ? larger + Math.log1p(Math.exp(-Math.abs(a - b))) : larger;
};
const apart = [
  [0.2, 2],
  [-2, -0.2],
] as const;
const composedBinary: Record<string, Line> = {
  logAddExp: { ...floating, dtypes: numbers, value: logAddExp, specials: true, ranges: apart },
  logAddExp2: {
    ...floating,
    dtypes: numbers,
    value: (a, b) => logAddExp(a * Math.LN2, b * Math.LN2) / Math.LN2,
    specials: true,
    ranges: apart,
  },
  xlog1py: {
    ...floating,
    dtypes: numbers,
    value: (a, b) => (a === 0 && !Number.isNaN(b) ? 0 : a * Math.log1p(b)),
    ranges: positive,
    specials: true,
  },
  xlogy: {
    ...floating,
    dtypes: numbers,
    value: (a, b) => (a === 0 && !Number.isNaN(b) ? 0 : a * Math.log(b)),
    ranges: positive,
    specials: true,
  },
  copySign: {
    ...floating,
    dtypes: numbers,
    value: (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a)),
    ranges: apart,
    specials: true,
  },
  heaviside: {
    dtypes: numbers,
    value: (x, v) => (x === 0 ? v : truth(x > 0)),
    kinks: [0],
    order: 2,
    ranges: whole,
    specials: true,
  },
  fmax: {
    dtypes: numbers,
    value: (a, b) => (a > b || Number.isNaN(b) ? a : b),
    order: 2,
    ranges: whole,
    specials: true,
  },
  fmin: {
    dtypes: numbers,
    value: (a, b) => (a < b || Number.isNaN(b) ? a : b),
    order: 2,
    ranges: whole,
    specials: true,
  },
};

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));
const divisible = [
  [-100, 100],
  [-100, 100],
] as const;
const divisor = [
  [-5, 5],
  [1, 4],
] as const;
const binary: Record<string, Line> = {
  add: { dtypes: numbers, value: (a, b) => a + b, order: 2, specials: true },
  sub: { dtypes: signed, value: (a, b) => a - b, order: 2, specials: true },
  mul: { dtypes: numbers, value: (a, b) => a * b, order: 2, specials: true, ranges: whole },
  div: { ...floating, dtypes: numbers, value: (a, b) => a / b, ranges: divisor, specials: true },
  floorDivide: { dtypes: numbers, value: (a, b) => Math.floor(a / b), ranges: divisor, order: 0 },
  remainder: { dtypes: numbers, value: remainder, ranges: divisor, order: 0 },
  fmod: { dtypes: numbers, value: (a, b) => a % b, ranges: divisor, order: 0 },
  pow: {
    dtypes: numbers,
    value: (a, b) => a ** b,
    ranges: [
      [0.5, 3],
      [0, 3],
    ],
    order: 2,
  },
  atan2: { ...floating, dtypes: numbers, value: Math.atan2, ranges: positive, specials: true },
  hypot: { ...floating, dtypes: numbers, value: Math.hypot, ranges: positive },
  maximum: { dtypes: numbers, value: Math.max, order: 2, ranges: whole, specials: true },
  minimum: { dtypes: numbers, value: Math.min, order: 2, ranges: whole, specials: true },
  gcd: { dtypes: integers, value: gcd, order: 0, ranges: divisible },
  lcm: {
    dtypes: integers,
    value: (a, b) => (a === 0 || b === 0 ? 0 : Math.abs((a * b) / gcd(a, b))),
    order: 0,
    ranges: [
      [-10, 10],
      [-10, 10],
    ],
  },
  bitwiseAnd: { dtypes: integers, value: (a, b) => a & b, order: 0, ranges: whole },
  bitwiseOr: { dtypes: integers, value: (a, b) => a | b, order: 0, ranges: whole },
  bitwiseXor: { dtypes: integers, value: (a, b) => a ^ b, order: 0, ranges: whole },
  leftShift: {
    dtypes: integers,
    value: (a, b) => a << b,
    order: 0,
    ranges: [
      [0, 5],
      [0, 4],
    ],
  },
  rightShift: {
    dtypes: integers,
    value: (a, b) => a >> b,
    order: 0,
    ranges: [
      [-50, 50],
      [0, 4],
    ],
  },
  equalTo: { dtypes: everyDType, value: (a, b) => truth(a === b), order: 0, result: bool, specials: true },
  notEqual: { dtypes: everyDType, value: (a, b) => truth(a !== b), order: 0, result: bool, specials: true },
  less: { dtypes: everyDType, value: (a, b) => truth(a < b), order: 0, result: bool, specials: true },
  lessEqual: { dtypes: everyDType, value: (a, b) => truth(a <= b), order: 0, result: bool, specials: true },
  greater: { dtypes: everyDType, value: (a, b) => truth(a > b), order: 0, result: bool, specials: true },
  greaterEqual: { dtypes: everyDType, value: (a, b) => truth(a >= b), order: 0, result: bool, specials: true },
  logicalAnd: {
    dtypes: everyDType,
    value: (a, b) => truth(a !== 0 && b !== 0),
    order: 0,
    result: bool,
    specials: true,
  },
  logicalOr: { dtypes: everyDType, value: (a, b) => truth(a !== 0 || b !== 0), order: 0, result: bool, specials: true },
  logicalXor: {
    dtypes: everyDType,
    value: (a, b) => truth((a !== 0) !== (b !== 0)),
    order: 0,
    result: bool,
    specials: true,
  },
};

// The quotient stays between 3 and 4, where the remainder has no jump.
const smooth = [
  [4.6, 4.9],
  [1.25, 1.5],
] as const;
const gradientsOfRemainders: Record<string, Line> = {
  remainder: { dtypes: floats, value: remainder, ranges: smooth, order: 2, variant: 'between jumps' },
  fmod: { dtypes: floats, value: (a, b) => a % b, ranges: smooth, order: 2, variant: 'between jumps' },
};

const ternary: Record<string, Line> = {
  lerp: {
    ...floating,
    dtypes: numbers,
    value: (a, b, w) => a + w * (b - a),
    order: 2,
    ranges: [
      [-2, 2],
      [-2, 2],
      [0, 1],
    ],
  },
  addcmul: { dtypes: numbers, value: (x, a, b) => x + 3 * a * b, rest: [{ value: 3 }], order: 2 },
  addcdiv: {
    ...floating,
    dtypes: floats,
    value: (x, a, b) => x + (0.5 * a) / b,
    rest: [{ value: 0.5 }],
    ranges: [
      [-2, 2],
      [-2, 2],
      [1, 3],
    ],
  },
};

const selection: Sample[] = (
  [
    ['same shape', [3, 4], [3, 4]],
    ['broadcast', [4], [3, 1]],
    ['0-d', [], []],
    ['empty', [0], [2, 1]],
  ] as const
).map(([variant, a, b]) => ({
  op: 'where',
  variant,
  dtypes: everyDType,
  inputs: (draw, dtype) => [draw.tensor(a, 'bool'), draw.tensor(a, dtype), draw.tensor(b, dtype)],
  call: (condition, x, y) => hadal.where(condition, x, y),
  reference: (condition, x, y) => mapped((c, p, q) => (c ? p : q), condition, x, y),
  order: 2,
}));

const prelu: Sample[] = (
  [
    ['one weight', [2, 3], [1]],
    ['a weight per channel', [2, 3, 2], [3]],
    ['0-d', [], [1]],
    ['empty', [0, 3], [3]],
  ] as const
).map(([variant, x, weight]) => ({
  op: 'prelu',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => [draw.tensor(x, dtype, -2, 2, [0]), draw.tensor(weight, dtype, 0.1, 0.5)],
  call: (input, slope) => hadal.prelu(input, slope),
  reference: (input, slope) => ({
    shape: input.shape,
    values: input.values.map((value, flat) => {
      const channel = input.shape.length > 1 ? unravel(flat, input.shape)[1]! : 0;
      return value > 0 ? value : value * slope.values[channel % slope.values.length]!;
    }),
  }),
  order: 2,
}));
const glu: Sample[] = (
  [
    ['last axis', [2, 6], -1],
    ['first axis', [4, 3], 0],
    ['vector', [2], 0],
    ['empty', [2, 0], 1],
  ] as const
).map(([variant, shape, axis]) => ({
  op: 'glu',
  variant,
  dtypes: floats,
  inputs: (draw, dtype) => [draw.tensor(shape, dtype)],
  call: (x) => hadal.glu(x, axis),
  reference: (x) => {
    const at = axis < 0 ? axis + shape.length : axis;
    const half = shape[at]! / 2;
    const read = (position: number[], by: number): number =>
      x.values[
        ravel(
          position.map((p, i) => (i === at ? p + by : p)),
          x.shape,
        )
      ]!;
    return generated(
      shape.map((size, i) => (i === at ? half : size)),
      (position) => read(position, 0) * sigmoid(read(position, half)),
    );
  },
  order: 2,
  tolerance: composed,
}));
const isClose: Sample = {
  op: 'isClose',
  variant: 'near, far, infinite, NaN',
  dtypes: ['float64', 'float32'],
  inputs: (_, dtype) => [
    hadal.tensor([1, 1, Infinity, Infinity, NaN, 0], { dtype }),
    hadal.tensor([1.000001, 1.1, Infinity, -Infinity, NaN, 1e-9], { dtype }),
  ],
  call: (a, b) => hadal.isClose(a, b, { equalNaN: true }),
  reference: () => ({ shape: [6], values: [1, 0, 1, 0, 1, 1] }),
  result: bool,
  order: 0,
};

// Only the second operand has a gradient.
const secondOnly: Sample[] = (
  [
    ['gammainc', 2.5, [0.2, 9], gammaBelow],
    ['gammaincc', 2.5, [0.2, 9], (a, x) => 1 - gammaBelow(a, x)],
    ['gammaincc', 0.5, [0.1, 4], (a, x) => 1 - gammaBelow(a, x)],
    ['zeta', 3, [0.5, 30], zeta],
  ] as [op: 'gammainc' | 'gammaincc' | 'zeta', first: number, range: [number, number], value: typeof zeta][]
).flatMap(([op, first, [low, high], value]) => [
  {
    op,
    variant: `a number ${first} before`,
    dtypes: floats,
    inputs: (draw, dtype) => [draw.tensor([2, 3], dtype, low, high)],
    call: (x) => hadal[op](first, x),
    reference: (x) => mapped((v) => value(first, v), x),
    order: 2,
  },
  {
    op,
    variant: `broadcast, ${first}`,
    dtypes: floats,
    inputs: (draw, dtype) => [hadal.full([3, 1], first, { dtype }), draw.tensor([4], dtype, low, high)],
    call: (a, x) => hadal[op](a.detach(), x),
    reference: (a, x) => mapped(value, a, x),
    order: 0,
  },
]);
// Of float32, a step apart.
const nextAfter: Sample = {
  op: 'nextAfter',
  variant: 'up, down, from zero, to itself, NaN',
  dtypes: ['float32'],
  inputs: () => [hadal.tensor([1, 1, -2, 0, 3, NaN, Infinity]), hadal.tensor([2, 0, Infinity, -1, 3, 1, 0])],
  call: (a, b) => hadal.nextAfter(a, b),
  reference: () => ({
    shape: [7],
    values: [1 + 2 ** -23, 1 - 2 ** -24, -2 + 2 ** -23, -(2 ** -149), 3, NaN, (2 - 2 ** -23) * 2 ** 127],
  }),
  order: 0,
  tolerance: { float32: { rtol: 0, atol: 0 } },
};

export const samples: Sample[] = [
  ...secondOnly,
  nextAfter,
  ...selection,
  ...prelu,
  ...glu,
  isClose,
  ...Object.entries(unary).flatMap(([op, line]) => samplesOf(op, line)),
  ...samplesOf('gelu', geluTanh),
  ...Object.entries(composedUnary).flatMap(([op, line]) => samplesOf(op, line)),
  ...Object.entries(composedBinary).flatMap(([op, line]) => samplesOf(op, { ...line, operands: 2 })),
  ...Object.entries(binary).flatMap(([op, line]) => samplesOf(op, { ...line, operands: 2 })),
  ...Object.entries(gradientsOfRemainders).map(([op, line]) => samplesOf(op, { ...line, operands: 2 })[0]!),
  ...Object.entries(ternary).flatMap(([op, line]) => samplesOf(op, { ...line, operands: 3 })),
];
