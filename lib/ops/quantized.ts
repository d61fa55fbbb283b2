/** Matrices of whole numbers of few bits, with a scale for each group of neighbours: about a quarter or a seventh of float32's memory, and less time to read them. */
import { ArgumentError, ShapeError } from '../errors';
import { checkChoice, checkCount } from '../tensor/checks';
import { isFloat, promote, type DType } from '../tensor/dtype';
import type { GradientRule } from '../tensor/node';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { operand } from './autocast';
import {
  checkDType,
  checkObject,
  checkOptions,
  checkTensor,
  defineOp,
  defineView,
  floats,
  recorded,
  run,
  runMany,
} from './define';
import { linear, rowsOf } from './matmul';

/** The codes of a block, which share bytes; native/kernels/quantized.h has the layout. */
const BLOCK = 32;

/** From so many rows on a product with the matrix as floats is quicker, which takes longer to make than to multiply by a few. */
const MANY_ROWS = 24;

/** A matrix [n, k] as whole numbers: weight = code · scale of its group. */
export interface QuantizedMatrix {
  /** int8 [n, k], or uint8 [n, k / 2] with two codes of 4 bits in each. */
  readonly codes: AnyTensor;
  /** [n, groups], in the dtype that the matrix has as floats. */
  readonly scales: AnyTensor;
}

export interface QuantizeOptions {
  /** Of a code, 8 or 4; 8 unless given. */
  readonly bits?: 8 | 4;
  /** How many neighbours in a row share a scale: a multiple of 32; 64 unless given. */
  readonly group?: number;
}

const quantizeOp = defineOp('quantize', { dtypes: floats });

/** Throws unless the options are; answers them in full. */
export function quantization(op: string, options: QuantizeOptions): Required<QuantizeOptions> {
  const { bits = 8, group = 2 * BLOCK } = options;
  checkChoice(op, 'bits', bits, [8, 4]);
  checkCount(op, 'group', group);
  if (group % BLOCK !== 0) throw new ArgumentError(`${op}: group: got ${group}, expected a multiple of ${BLOCK}`);
  return { bits, group };
}

/**
 * The matrix w [n, k] as whole numbers of 8 or 4 bits: each group of neighbours in a row has a scale, by which its largest element has the largest code, or with 4 bits
 * the scale of several for which the squared error is least. No gradient passes.
 *
 * @throws ShapeError unless k is a multiple of the group; ArgumentError; DTypeError.
 * @see Dettmers et al., 2022, LLM.int8(): 8-bit matrix multiplication for transformers at scale; Frantar et al., 2022, GPTQ, for groups.
 * @example
 * const matrix = quantizeMatrix(randn([16, 128]), { bits: 4, group: 32 });
 * matrix.codes.shape; // [16, 64]
 * matrix.scales.shape; // [16, 4]
 */
export function quantizeMatrix(w: AnyTensor, options: QuantizeOptions = {}): QuantizedMatrix {
  const op = 'quantizeMatrix';
  checkOptions(op, options);
  checkTensor(op, w, 'w');
  checkDType(op, w.dtype, floats);
  const { bits, group } = quantization(op, options);
  if (w.rank !== 2 || w.shape[1]! % group !== 0 || w.size === 0) {
    throw new ShapeError(`${op}: w: got shape ${show(w.shape)}, expected a matrix with rows of a multiple of ${group}`);
  }
  const [n, k] = w.shape as [number, number];
  const [codes, scales] = runMany(
    quantizeOp,
    [w.detach().contiguous()],
    [
      bits === 8 ? { shape: [n, k], dtype: 'int8' } : { shape: [n, k / 2], dtype: 'uint8' },
      { shape: [n, k / group], dtype: w.dtype },
    ],
  ) as [AnyTensor, AnyTensor];
  return { codes, scales };
}

const dequantizeOp = defineOp('dequantize', { dtypes: ['int8', 'uint8'] });

/**
 * The matrix [n, k] that the codes and scales stand for, in the scales' dtype.
 *
 * @throws ShapeError, DTypeError when they are not those of a matrix.
 * @example
 * dequantizeMatrix(quantizeMatrix(ones([2, 64]))).sum(); // 128
 */
export function dequantizeMatrix(matrix: QuantizedMatrix): AnyTensor {
  const { codes, scales } = checkedMatrix('dequantizeMatrix', matrix);
  return run(dequantizeOp, [codes, scales], [codes.shape[0]!, widthOf(codes)], scales.dtype);
}

/** Of a row, in weights. */
export const widthOf = (codes: AnyTensor): number => codes.shape[1]! * (codes.dtype === 'int8' ? 1 : 2);

function checkedMatrix(op: string, matrix: QuantizedMatrix): QuantizedMatrix {
  checkObject(op, matrix, 'matrix');
  const { codes, scales } = matrix;
  checkTensor(op, codes, 'codes');
  checkTensor(op, scales, 'scales');
  checkDType(op, codes.dtype, ['int8', 'uint8']);
  checkDType(op, scales.dtype, floats);
  const groups = scales.shape[1] ?? 0;
  const fits =
    codes.rank === 2 && scales.rank === 2 && codes.shape[0] === scales.shape[0] && widthOf(codes) % (groups * BLOCK) === 0; // prettier-ignore
  if (!fits || codes.size === 0) {
    throw new ShapeError(
      `${op}: got codes ${show(codes.shape)} ${codes.dtype} and scales ${show(scales.shape)}, expected rows of the same number, and groups of a multiple of ${BLOCK} codes`,
    );
  }
  return { codes: aligned(codes), scales: aligned(scales) };
}

/** Row-major, and where vectors may begin. */
const aligned = (x: AnyTensor): AnyTensor => (x.isContiguous && x.offset % BLOCK === 0 ? x : x.clone());

/** y = x·Wᵀ + bias: gx = g·W, with the floats of W made anew, so that no graph keeps them; codes and scales stay as they are. */
const gradient: GradientRule<unknown> = (g, node) => [
  node.needs(0) ? g.matmul(dequantizeMatrix({ codes: node.input(1), scales: node.input(2) })) : undefined,
  undefined,
  undefined,
  node.needs(3) ? g.sum(0) : undefined,
];

const quantizedMatmulOp = defineOp<unknown>('quantizedMatmul', {
  dtypes: ['float32', 'float16', 'bfloat16'],
  autocast: 'lower',
  saves: { inputs: true },
  gradient,
});

/** A product with the matrix as floats. */
const denseProduct = defineView('quantizedLinear', gradient, { inputs: true });

/**
 * `linear(x, dequantizeMatrix(matrix), bias)` for x [..., k], a matrix [n, k] and bias [n]: few rows are multiplied by the codes as they are read, many by the matrix as floats.
 * Gradients reach x and the bias.
 *
 * @throws ShapeError when the sizes differ; DTypeError.
 * @example
 * const x = randn([3, 64]);
 * quantizedLinear(x, quantizeMatrix(randn([10, 64])), zeros([10])).shape; // [3, 10]
 */
export function quantizedLinear(x: AnyTensor, matrix: QuantizedMatrix, bias?: AnyTensor): AnyTensor {
  const op = 'quantizedLinear';
  checkTensor(op, x);
  const { codes, scales } = checkedMatrix(op, matrix);
  const [out, width] = [codes.shape[0]!, widthOf(codes)];
  if (x.rank === 0 || x.shape[x.rank - 1] !== width) {
    throw new ShapeError(`${op}: x: got shape ${show(x.shape)}, expected [..., ${width}]`, { x: x.shape });
  }
  if (bias !== undefined) checkTensor(op, bias, 'bias');
  if (bias !== undefined && (bias.rank !== 1 || bias.shape[0] !== out)) {
    throw new ShapeError(`${op}: bias does not fit: got shape ${show(bias.shape)}, expected [${out}]`);
  }
  const [given, factors, shift] = [x, scales, bias].map((each) => operand(quantizedMatmulOp, each));
  const dtype: DType = promote(given!.dtype, factors!.dtype);
  if (!isFloat(given!.dtype)) checkDType(op, given!.dtype, floats);
  const rows = rowsOf(given!);
  const [left, own, added] = [rows, factors, shift].map((each) => each?.cast(dtype).contiguous()) as [AnyTensor, AnyTensor, AnyTensor?]; // prettier-ignore
  const inputs = [left, codes, own, added];
  const isDense = rows.shape[0]! >= MANY_ROWS || dtype === 'float64';
  const y = isDense
    ? recorded(
        denseProduct,
        inputs,
        linear(left.detach(), dequantizeMatrix({ codes, scales: own.detach() }), added?.detach()),
        undefined,
      )
    : run(quantizedMatmulOp, inputs, [rows.shape[0]!, out], dtype);
  return x.rank === 2 ? y : y.reshape([...x.shape.slice(0, -1), out]);
}
