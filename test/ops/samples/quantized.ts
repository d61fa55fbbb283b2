// Samples of matrices of whole numbers of few bits. The weights are codes times powers of two, and each group has the largest code, so that every dtype holds them and
// nothing is lost on the way.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { generated, type Plain, type Sample } from '../sample';

interface Case {
  readonly bits: 8 | 4;
  readonly group: number;
  /** [n, k] */
  readonly shape: readonly [n: number, k: number];
  /** Of x. */
  readonly front: Shape;
}
const cases: Record<string, Case> = {
  '8 bits': { bits: 8, group: 32, shape: [5, 64], front: [3] },
  '4 bits': { bits: 4, group: 32, shape: [6, 96], front: [2] },
  '8 bits, one long group': { bits: 8, group: 96, shape: [9, 96], front: [1] },
  '4 bits, rows of a batch': { bits: 4, group: 64, shape: [3, 128], front: [2, 3] },
  '8 bits, many rows': { bits: 8, group: 32, shape: [4, 32], front: [30] },
};

/** Codes of either sign, in each group the largest. */
function weights({ bits, group, shape: [n, k] }: Case): Plain {
  const most = bits === 8 ? 127 : 7;
  return generated([n, k], ([row, column]) => {
    const code = column! % group === 3 ? most : ((row! * 37 + column! * 11) % (2 * most)) - most;
    return code * 2 ** (-5 - ((row! + Math.floor(column! / group)) % 3));
  });
}
const floatsOf = (own: Case, dtype: DType): AnyTensor => {
  const { shape, values } = weights(own);
  return hadal.tensor([...values], { shape, dtype });
};

const optionsOf = ({ bits, group }: Case): hadal.QuantizeOptions => ({ bits, group });

// Made with the inputs, so that exports trace products alone.
const made = new Map<string, hadal.QuantizedMatrix>();
const matrixOf = (variant: string, dtype: DType): hadal.QuantizedMatrix => {
  const key = `${variant} ${dtype}`;
  const own = cases[variant]!;
  if (!made.has(key)) {
    const { codes, scales } = hadal.quantizeMatrix(floatsOf(own, dtype), optionsOf(own));
    made.set(key, { codes: codes.keep(), scales: scales.keep() });
  }
  return made.get(key)!;
};
const on = ({ codes, scales }: hadal.QuantizedMatrix, { device }: AnyTensor): hadal.QuantizedMatrix => ({
  codes: codes.to(device),
  scales: scales.to(device),
});

const dtypes: readonly DType[] = ['float32', 'float16', 'bfloat16', 'float64'];

export const samples: Sample[] = Object.entries(cases).flatMap(([variant, own]): Sample[] => {
  const [n, k] = own.shape;
  return [
    {
      op: 'quantizeMatrix',
      variant,
      dtypes,
      inputs: (_, dtype) => [floatsOf(own, dtype)],
      call: (w) => {
        const { codes, scales } = hadal.quantizeMatrix(w!, optionsOf(own));
        return [scales, codes];
      },
      reference: (w) => {
        const groups = k / own.group;
        const scales = generated([n, groups], ([row, g]) => {
          const part = w!.values.slice(row! * k + g! * own.group, row! * k + (g! + 1) * own.group);
          return Math.max(...part.map(Math.abs)) / (own.bits === 8 ? 127 : 7);
        });
        const code = (row: number, column: number): number =>
          w!.values[row * k + column]! / scales.values[row * groups + Math.floor(column / own.group)]!;
        if (own.bits === 8) return [scales, generated([n, k], ([row, column]) => code(row!, column!))];
        const packed = generated([n, k / 2], ([row, byte]) => {
          const first = Math.floor(byte! / 16) * 32 + (byte! % 16);
          return code(row!, first) + 8 + 16 * (code(row!, first + 16) + 8);
        });
        return [scales, packed];
      },
      order: 0,
    },
    {
      op: 'dequantizeMatrix',
      variant,
      dtypes,
      inputs: (_, dtype) => Object.values(matrixOf(variant, dtype)) as AnyTensor[],
      call: (codes, scales) => hadal.dequantizeMatrix({ codes: codes!, scales: scales! }),
      reference: () => weights(own),
      result: (dtype) => dtype,
      order: 0,
    },
    {
      op: 'quantizedLinear',
      variant,
      dtypes,
      inputs: (draw, dtype) => {
        matrixOf(variant, dtype);
        return [draw.tensor([...own.front, k], dtype), draw.tensor([n], dtype)];
      },
      call: (x, bias) => hadal.quantizedLinear(x!, on(matrixOf(variant, x!.dtype), x!), bias!),
      reference: (x, bias) => {
        const { values } = weights(own);
        return generated([...own.front, n], (place) => {
          const row = place.slice(0, -1).reduce((flat, at, axis) => flat * own.front[axis]! + at, 0);
          const column = place.at(-1)!;
          let sum = bias!.values[column]!;
          for (let i = 0; i < k; i++) sum += x!.values[row * k + i]! * values[column * k + i]!;
          return sum;
        });
      },
      order: 2,
    },
  ];
});
