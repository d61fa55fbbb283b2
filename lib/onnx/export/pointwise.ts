/** Ops on elements: of one operand, two, comparisons, and the choice between two. */
import { isFloat, type DType } from '../../tensor/dtype';
import type { Event } from '../trace';
import { isValue, real, type Attribute, type Graph, type Table, type Writer } from './graph';

/** What a formula over nodes is given. */
export interface Given {
  readonly graph: Graph;
  /** What it computes in. */
  readonly dtype: DType;
  /** A number in that dtype. */
  readonly number: (value: number) => string;
  readonly attributes: readonly number[];
  readonly node: (
    opType: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, Attribute | undefined>>,
  ) => string;
}
type Formula = (given: Given, x: string, y: string, z: string) => string;

/** What integers are computed in that runtimes have no kernels for. */
export const computed = (dtype: DType): DType => (['int16', 'int8', 'uint8', 'bool'].includes(dtype) ? 'int32' : dtype);

/** Writes a formula whose result is in the dtype that it computes in, or bool. */
function written(formula: Formula, result: (dtype: DType) => DType, inputs: (event: Event) => DType): Writer {
  return (graph, event) => {
    const dtype = computed(inputs(event));
    const operands = event.inputs.map((input) =>
      isValue(input) ? graph.cast(graph.name(input), input.dtype, dtype) : graph.operand(input, dtype),
    ) as [string, string, string];
    const given: Given = {
      graph,
      dtype,
      number: (value) => graph.number(value, dtype),
      attributes: graph.fixedAll(event.attributes, 'an attribute'),
      node: (...args) => graph.node(...args),
    };
    return graph.cast(formula(given, ...operands), result(dtype), event.outputs[0]!.dtype);
  };
}

/** The dtype of the operands: of the first tensor, which a number may widen. */
const operandDType = ({ inputs }: Event): DType => {
  const number = inputs.find((input) => input !== undefined && !isValue(input));
  const tensor = inputs.find(isValue)!.dtype;
  return number?.dtype === 'float64' && !isFloat(tensor) ? 'float64' : tensor;
};

const arithmetic = (formula: Formula): Writer =>
  written(
    formula,
    (dtype) => dtype,
    (event) => event.outputs[0]!.dtype,
  );
const answer = (formula: Formula): Writer => written(formula, () => 'bool', operandDType);
const plain = (opType: string): Writer => arithmetic(({ node }, ...xs) => node(opType, xs.filter(Boolean)));
const compared = (opType: string): Writer => answer(({ node }, a, b) => node(opType, [a, b]));

/** Ops on bools or on bits. */
const logical =
  (bools: string, bits: string): Writer =>
  (graph, event) => {
    const { dtype } = event.outputs[0]!;
    return graph.node(
      dtype === 'bool' ? bools : bits,
      event.inputs.map((input) => (isValue(input) ? graph.name(input) : graph.operand(input, dtype))),
    );
  };

const asBools =
  (opType: string): Writer =>
  (graph, { inputs }) =>
    graph.node(
      opType,
      inputs.map((x) => (isValue(x) ? graph.cast(graph.name(x), x.dtype, 'bool') : graph.operand(x, 'bool'))),
    );

const not = ({ node }: Given, x: string): string => node('Not', [x]);

/** Whether two numbers are on different sides of 0. */
const opposite = ({ node, number }: Given, a: string, b: string): string =>
  node('Xor', [node('Less', [a, number(0)]), node('Less', [b, number(0)])]);

/** ⌊a / b⌋. ONNX cuts quotients of integers off towards 0. */
export const floorDivided = (given: Given, a: string, b: string): string => {
  const { node, number, dtype } = given;
  const quotient = node('Div', [a, b]);
  if (isFloat(dtype)) return node('Floor', [quotient]);
  const exact = node('Equal', [node('Mul', [quotient, b]), a]);
  const lower = node('And', [not(given, exact), opposite(given, a, b)]);
  return node('Where', [lower, node('Sub', [quotient, number(1)]), quotient]);
};

const remainder: Formula = (given, a, b) => {
  const { node, number, dtype } = given;
  if (!isFloat(dtype)) return node('Mod', [a, b]);
  const rest = node('Mod', [a, b], { fmod: 1 });
  const moved = node('And', [not(given, node('Equal', [rest, number(0)])), opposite(given, rest, b)]);
  return node('Where', [moved, node('Add', [rest, b]), rest]);
};

// In the half plane of negative x the angle of y / x is that of the opposite point.
const angle: Formula = ({ node, number }, y, x) => {
  const at = (condition: string, value: number): string => node('Where', [condition, number(value), number(0)]);
  const [above, below] = [node('Greater', [y, number(0)]), node('Less', [y, number(0)])];
  const flat = node('Equal', [x, number(0)]);
  const turn = node('Where', [below, number(-Math.PI), number(Math.PI)]);
  const slope = node('Atan', [node('Div', [y, node('Where', [flat, number(1), x])])]);
  const turned = node('Where', [node('Less', [x, number(0)]), node('Add', [slope, turn]), slope]);
  return node('Where', [flat, node('Sub', [at(above, Math.PI / 2), at(below, Math.PI / 2)]), turned]);
};

const truncated = ({ node }: Given, x: string): string =>
  node('Mul', [node('Sign', [x]), node('Floor', [node('Abs', [x])])]);

const sigmoidTimes: Formula = ({ node }, x) => node('Mul', [x, node('Sigmoid', [x])]);

/** The activations that products apply as they write, by their codes in native/kernels/activation.h. */
export const activations: Readonly<Record<number, (graph: Graph, x: string) => string>> = {
  0: (_, x) => x,
  1: (graph, x) => graph.node('Relu', [x]),
  2: (graph, x) => graph.node('Gelu', [x]),
  3: (graph, x) => graph.node('Gelu', [x], { approximate: 'tanh' }),
  4: (graph, x) => graph.node('Mul', [x, graph.node('Sigmoid', [x])]),
};

const unary: Table = {
  abs: plain('Abs'),
  neg: plain('Neg'),
  sign: plain('Sign'),
  exp: plain('Exp'),
  exp2: arithmetic(({ node, number }, x) => node('Pow', [number(2), x])),
  // (eˣ + 1) · tanh(x / 2), exact around 0.
  expm1: arithmetic(({ node, number }, x) =>
    node('Mul', [node('Add', [node('Exp', [x]), number(1)]), node('Tanh', [node('Mul', [x, number(0.5)])])]),
  ),
  log: plain('Log'),
  log2: arithmetic(({ node, number }, x) => node('Mul', [node('Log', [x]), number(Math.LOG2E)])),
  log10: arithmetic(({ node, number }, x) => node('Mul', [node('Log', [x]), number(Math.LOG10E)])),
  log1p: arithmetic(({ node, number }, x) => node('Log', [node('Add', [x, number(1)])])),
  sqrt: plain('Sqrt'),
  rsqrt: arithmetic(({ node }, x) => node('Reciprocal', [node('Sqrt', [x])])),
  square: arithmetic(({ node }, x) => node('Mul', [x, x])),
  reciprocal: plain('Reciprocal'),
  sin: plain('Sin'),
  cos: plain('Cos'),
  tan: plain('Tan'),
  asin: plain('Asin'),
  acos: plain('Acos'),
  atan: plain('Atan'),
  sinh: plain('Sinh'),
  cosh: plain('Cosh'),
  tanh: plain('Tanh'),
  asinh: plain('Asinh'),
  acosh: plain('Acosh'),
  atanh: plain('Atanh'),
  erf: plain('Erf'),
  erfc: arithmetic(({ node, number }, x) => node('Sub', [number(1), node('Erf', [x])])),
  sigmoid: plain('Sigmoid'),
  logSigmoid: arithmetic(({ node }, x) => node('Neg', [node('Softplus', [node('Neg', [x])])])),
  relu: plain('Relu'),
  leakyRelu: arithmetic(({ node, attributes }, x) => node('LeakyRelu', [x], { alpha: real(attributes[0]!) })),
  elu: arithmetic(({ node, attributes: [alpha, scale, inputScale] }, x) => {
    if (inputScale !== 1) return node('Celu', [x], { alpha: real(alpha!) });
    return scale === 1
      ? node('Elu', [x], { alpha: real(alpha!) })
      : node('Selu', [x], { alpha: real(alpha!), gamma: real(scale!) });
  }),
  gelu: plain('Gelu'),
  geluTanh: arithmetic(({ node }, x) => node('Gelu', [x], { approximate: 'tanh' })),
  silu: arithmetic(sigmoidTimes),
  mish: plain('Mish'),
  softplus: arithmetic(({ node, number, attributes: [beta] }, x) =>
    beta === 1
      ? node('Softplus', [x])
      : node('Div', [node('Softplus', [node('Mul', [x, number(beta!)])]), number(beta!)]),
  ),
  hardsigmoid: arithmetic(({ node }, x) => node('HardSigmoid', [x], { alpha: real(1 / 6), beta: real(0.5) })),
  hardswish: plain('HardSwish'),
  softsign: plain('Softsign'),
  softshrink: arithmetic(({ node, attributes: [bound] }, x) =>
    node('Shrink', [x], { lambd: real(bound!), bias: real(bound!) }),
  ),
  hardshrink: arithmetic(({ node, attributes: [bound] }, x) => node('Shrink', [x], { lambd: real(bound!) })),
  tanhshrink: arithmetic(({ node }, x) => node('Sub', [x, node('Tanh', [x])])),
  clamp: arithmetic(({ node, number, attributes: [low, high] }, x) =>
    node('Clip', [x, low === -Infinity ? '' : number(low!), high === Infinity ? '' : number(high!)]),
  ),
  floor: plain('Floor'),
  ceil: plain('Ceil'),
  round: plain('Round'),
  trunc: arithmetic(truncated),
  frac: arithmetic((given, x) => given.node('Sub', [x, truncated(given, x)])),
  threshold: arithmetic(({ node, number, attributes: [bound, value] }, x) =>
    node('Where', [node('LessOrEqual', [x, number(bound!)]), number(value!), x]),
  ),
  logit: arithmetic(({ node, number, attributes: [epsilon] }, x) => {
    const inside = epsilon === 0 ? x : node('Clip', [x, number(epsilon!), number(1 - epsilon!)]);
    return node('Sub', [node('Log', [inside]), node('Log', [node('Sub', [number(1), inside])])]);
  }),
  nanToNum: arithmetic(({ node, number, attributes: [nan, posInf, negInf] }, x) =>
    [
      [node('IsNaN', [x]), nan!] as const,
      [node('IsInf', [x], { detect_negative: 0 }), posInf!] as const,
      [node('IsInf', [x], { detect_positive: 0 }), negInf!] as const,
    ].reduce((y, [condition, value]) => node('Where', [condition, number(value), y]), x),
  ),
  logicalNot: asBools('Not'),
  bitwiseNot: logical('Not', 'BitwiseNot'),
};

/** Of floating operands; integers are asked as floats. */
const asked = (formula: Formula): Writer =>
  written(
    formula,
    () => 'bool',
    (event) => (isFloat(operandDType(event)) ? operandDType(event) : 'float32'),
  );

const predicates: Table = {
  isNaN: asked(({ node }, x) => node('IsNaN', [x])),
  isInf: asked(({ node }, x) => node('IsInf', [x])),
  isFinite: asked((given, x) => not(given, given.node('Or', [given.node('IsNaN', [x]), given.node('IsInf', [x])]))),
  equalTo: compared('Equal'),
  notEqual: answer((given, a, b) => not(given, given.node('Equal', [a, b]))),
  less: compared('Less'),
  lessEqual: compared('LessOrEqual'),
  greater: compared('Greater'),
  greaterEqual: compared('GreaterOrEqual'),
  logicalAnd: asBools('And'),
  logicalOr: asBools('Or'),
  logicalXor: asBools('Xor'),
};

const binary: Table = {
  add: plain('Add'),
  sub: plain('Sub'),
  mul: plain('Mul'),
  div: plain('Div'),
  floorDivide: arithmetic(floorDivided),
  remainder: arithmetic(remainder),
  fmod: arithmetic(({ node }, a, b) => node('Mod', [a, b], { fmod: 1 })),
  pow: plain('Pow'),
  atan2: arithmetic(angle),
  maximum: plain('Max'),
  minimum: plain('Min'),
  // log(1 + eˣ) − x · target.
  bceWithLogits: arithmetic(({ node }, x, target) => node('Sub', [node('Softplus', [x]), node('Mul', [x, target])])),
  hypot: arithmetic(({ node }, a, b) => node('Sqrt', [node('Add', [node('Mul', [a, a]), node('Mul', [b, b])])])),
  prelu: plain('PRelu'),
  glu: arithmetic(({ node }, a, b) => node('Mul', [a, node('Sigmoid', [b])])),
  // max(a, b) + softplus(−unit |a − b|) / unit.
  logAddExp: arithmetic(({ node, number, attributes: [unit] }, a, b) => {
    const alike = node('Equal', [a, b]);
    const distance = node('Where', [alike, number(0), node('Abs', [node('Sub', [a, b])])]);
    const above = node('Softplus', [node('Mul', [distance, number(-unit!)])]);
    return node('Add', [node('Max', [a, b]), unit === 1 ? above : node('Div', [above, number(unit!)])]);
  }),
  // The reciprocal of −0 tells its sign.
  copySign: arithmetic(({ node, number }, a, b) => {
    const below = (x: string): string => node('Less', [x, number(0)]);
    const isZero = node('Equal', [b, number(0)]);
    const isNegative = node('Or', [below(b), node('And', [isZero, below(node('Reciprocal', [b]))])]);
    const size = node('Abs', [a]);
    return node('Where', [isNegative, node('Neg', [size]), size]);
  }),
  bitwiseAnd: logical('And', 'BitwiseAnd'),
  bitwiseOr: logical('Or', 'BitwiseOr'),
  bitwiseXor: logical('Xor', 'BitwiseXor'),
  leftShift: arithmetic(({ node, number }, a, b) => node('Mul', [a, node('Pow', [number(2), b])])),
  rightShift: arithmetic((given, a, b) => floorDivided(given, a, given.node('Pow', [given.number(2), b]))),
};

const ternary: Table = {
  where: (graph, event) => {
    const [condition, ...choices] = event.inputs;
    const { dtype } = event.outputs[0]!;
    const own = computed(dtype);
    const names = choices.map((x) => (isValue(x) ? graph.cast(graph.name(x), x.dtype, own) : graph.operand(x, own)));
    return graph.cast(graph.node('Where', [graph.operand(condition), ...names]), own, dtype);
  },
  lerp: arithmetic(({ node }, a, b, weight) => node('Add', [a, node('Mul', [weight, node('Sub', [b, a])])])),
  // With d = |a − b| and c = min(d, δ): c · (d − c / 2).
  huber: arithmetic(({ node, number, attributes: [delta] }, a, b) => {
    const size = node('Abs', [node('Sub', [a, b])]);
    const inner = node('Min', [size, number(delta!)]);
    return node('Mul', [inner, node('Sub', [size, node('Mul', [inner, number(0.5)])])]);
  }),
  addcmul: arithmetic(({ node, number, attributes: [value] }, x, a, b) => {
    const product = node('Mul', [a, b]);
    return node('Add', [value === 1 ? product : node('Mul', [product, number(value!)]), x]);
  }),
  addcdiv: arithmetic(({ node, number, attributes: [value] }, x, a, b) => {
    const quotient = node('Div', [a, b]);
    return node('Add', [value === 1 ? quotient : node('Mul', [quotient, number(value!)]), x]);
  }),
};

export const pointwise: Table = { ...unary, ...predicates, ...binary, ...ternary };
