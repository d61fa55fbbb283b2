// Samples of einsum, tensordot and the products of a fixed rank, against sums over every letter.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType, Shape } from '../../../lib/index';
import { count, generated, ravel, unravel, type Plain, type Sample } from '../sample';

const floats: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];
const numbers: readonly DType[] = [...floats, 'int64', 'int32', 'int16', 'int8', 'uint8'];
// Rounded once more for each operand; terms cancel.
const tolerance = { float16: { rtol: 4e-3, atol: 1e-2 }, bfloat16: { rtol: 3e-2, atol: 6e-2 } };

/** The equation by brute force. Terms are letters only; an axis of size 1 stands for all positions. */
export function summed(equation: string, operands: readonly Plain[]): Plain {
  const [inputs, output] = equation.split('->') as [string, string];
  const terms = inputs.split(',');
  const sizes = new Map<string, number>();
  terms.forEach((term, i) =>
    [...term].forEach((letter, axis) => {
      const size = operands[i]!.shape[axis]!;
      if ((sizes.get(letter) ?? 1) === 1) sizes.set(letter, size);
    }),
  );
  const inner = [...sizes.keys()].filter((letter) => !output.includes(letter));
  const innerShape = inner.map((letter) => sizes.get(letter)!);
  return generated(
    [...output].map((letter) => sizes.get(letter)!),
    (position) => {
      const places = new Map([...output].map((letter, axis) => [letter, position[axis]!]));
      let total = 0;
      for (let flat = 0; flat < count(innerShape); flat++) {
        const at = unravel(flat, innerShape);
        inner.forEach((letter, axis) => places.set(letter, at[axis]!));
        total += terms.reduce((product, term, i) => {
          const { shape, values } = operands[i]!;
          const own = [...term].map((letter, axis) => (shape[axis] === 1 ? 0 : places.get(letter)!));
          return product * values[ravel(own, shape)]!;
        }, 1);
      }
      return total;
    },
  );
}

const small = (dtype: DType): number => (dtype === 'int8' || dtype === 'uint8' ? 1 : 2);

function sampleOf(
  op: string,
  variant: string,
  shapes: readonly Shape[],
  call: (...xs: AnyTensor[]) => AnyTensor,
  reference: (...xs: Plain[]) => Plain,
  dtypes: readonly DType[] = numbers,
): Sample {
  return {
    op,
    variant,
    dtypes,
    inputs: (draw, dtype) => shapes.map((shape) => draw.tensor(shape, dtype, -small(dtype), small(dtype))),
    call,
    reference,
    order: 2,
    tolerance,
  };
}

/** `spelled` is the equation with every letter and the result written out, where `equation` is short for it. */
const equations: Sample[] = (
  [
    [
      'a product',
      'ij,jk->ik',
      [
        [2, 3],
        [3, 2],
      ],
    ],
    [
      'a product turned',
      'ij,jk->ki',
      [
        [2, 3],
        [3, 2],
      ],
    ],
    [
      'a batch in the middle',
      'bqhd,bkhd->bhqk',
      [
        [2, 2, 2, 3],
        [2, 3, 2, 3],
      ],
    ],
    [
      'without a result',
      'jk,ij',
      [
        [3, 2],
        [2, 3],
      ],
      'jk,ij->ik',
    ],
    [
      'capitals first',
      'ab,bC',
      [
        [2, 3],
        [3, 2],
      ],
      'ab,bC->Ca',
    ],
    ['spaces', ' i j , j -> i ', [[2, 3], [3]], 'ij,j->i'],
    ['a sum', 'ij->j', [[2, 3]]],
    ['a sum of everything', 'ij->', [[2, 3]]],
    ['a turned matrix', 'ij->ji', [[2, 3]]],
    ['a diagonal', 'ii->i', [[3, 3]]],
    ['a trace', 'ii', [[3, 3]], 'ii->'],
    ['a diagonal of three axes', 'iji,i->j', [[2, 3, 2], [2]]],
    ['an axis three times', 'iii->i', [[2, 2, 2]]],
    ['an outer product', 'i,jk->ijk', [[2], [3, 2]]],
    [
      'element by element',
      'ij,ij->ij',
      [
        [2, 3],
        [2, 3],
      ],
    ],
    ['an inner product', 'i,i->', [[4], [4]]],
    [
      'sums before a product',
      'ijk,lj->il',
      [
        [2, 3, 2],
        [2, 3],
      ],
    ],
    [
      'a bilinear form',
      'bi,oij,bj->bo',
      [
        [2, 2],
        [3, 2, 3],
        [2, 3],
      ],
    ],
    [
      'four operands',
      'ab,bc,cd,da->',
      [
        [2, 3],
        [3, 2],
        [2, 3],
        [3, 2],
      ],
    ],
    [
      'seven operands',
      'ab,bc,cd,de,ef,fg,gh->ah',
      [
        [2, 2],
        [2, 1],
        [1, 2],
        [2, 3],
        [3, 1],
        [1, 2],
        [2, 2],
      ],
    ],
    [
      'an axis in all operands',
      'ia,ib,ic->iabc',
      [
        [2, 2],
        [2, 3],
        [2, 1],
      ],
    ],
    ['a number', ',i->i', [[], [3]]],
    ['numbers', ',', [[], []], ',->'],
    [
      'an ellipsis',
      '...ij,...jk->...ik',
      [
        [2, 2, 3],
        [2, 3, 2],
      ],
      'aij,ajk->aik',
    ],
    [
      'an ellipsis that broadcasts',
      '...i,...i->...',
      [
        [2, 1, 3],
        [2, 3],
      ],
      'abi,bi->ab',
    ],
    ['an ellipsis behind', 'i...,i->...', [[2, 3, 2], [2]], 'iab,i->ab'],
    ['an ellipsis in the middle', 'i...j->j...i', [[2, 3, 2]], 'iaj->jai'],
    [
      'an ellipsis without a result',
      '...j,jk',
      [
        [2, 2, 3],
        [3, 2],
      ],
      'abj,jk->abk',
    ],
    ['an ellipsis that is summed', 'i...->i', [[2, 3, 2]], 'iab->i'],
    ['an ellipsis of nothing', '...i->...i', [[3]], 'i->i'],
    [
      'sizes of 1 that stretch',
      'ij,ij->ij',
      [
        [1, 3],
        [2, 1],
      ],
    ],
    [
      'a size of 1 that stretches and is summed',
      'ij,jk->ik',
      [
        [2, 1],
        [3, 2],
      ],
    ],
    [
      'nothing to sum',
      'ij,jk->ik',
      [
        [2, 0],
        [0, 3],
      ],
    ],
    [
      'no rows',
      'ij,jk->ik',
      [
        [0, 3],
        [3, 2],
      ],
    ],
    ['nothing stretched', 'i,i->i', [[0], [1]]],
    ['seven axes', 'abcdefg,g->abcdef', [[1, 2, 1, 2, 1, 1, 3], [3]]],
  ] as readonly (readonly [string, string, readonly Shape[], string?])[]
).map(([variant, equation, shapes, spelled = equation]) =>
  sampleOf(
    'einsum',
    `${variant}: ${equation}`,
    shapes,
    (...xs) => hadal.einsum(equation, ...xs),
    (...xs) => summed(spelled.replaceAll(' ', ''), xs),
  ),
);

const dots: Sample[] = (
  [
    ['two axes', [2, 3, 4], [3, 4, 2], undefined, 'abc,bcd->ad'],
    ['one axis', [2, 3], [3, 2], 1, 'ab,bc->ac'],
    ['no axes', [2], [3], 0, 'a,b->ab'],
    [
      'named axes',
      [2, 3, 4],
      [4, 2, 5],
      [
        [0, -1],
        [1, 0],
      ],
      'abc,cad->bd',
    ],
    [
      'all axes',
      [2, 3],
      [3, 2],
      [
        [0, 1],
        [1, 0],
      ],
      'ab,ba->',
    ],
    ['numbers', [], [], 0, ',->'],
    ['nothing', [2, 0], [0, 3], 1, 'ab,bc->ac'],
  ] as readonly (readonly [string, Shape, Shape, number | [number[], number[]] | undefined, string])[]
).map(([variant, a, b, axes, equation]) =>
  sampleOf(
    'tensordot',
    variant,
    [a, b],
    (x, y) => hadal.tensordot(x!, y!, axes) as AnyTensor,
    (...xs) => summed(equation, xs),
  ),
);

const fixed: Sample[] = (
  [
    ['dot', [4], [4], 'i,i->'],
    ['dot', [0], [0], 'i,i->'],
    ['mv', [2, 3], [3], 'ij,j->i'],
    ['mv', [2, 0], [0], 'ij,j->i'],
    ['bmm', [2, 2, 3], [2, 3, 2], 'bij,bjk->bik'],
    ['bmm', [0, 2, 3], [0, 3, 2], 'bij,bjk->bik'],
    ['outer', [2], [3], 'i,j->ij'],
    ['outer', [0], [3], 'i,j->ij'],
  ] as readonly (readonly [string, Shape, Shape, string])[]
).map(([op, a, b, equation]) =>
  sampleOf(
    op,
    `[${a.join(', ')}] and [${b.join(', ')}]`,
    [a, b],
    (hadal as unknown as Record<string, (x: AnyTensor, y: AnyTensor) => AnyTensor>)[op]! as never,
    (...xs) => summed(equation, xs),
  ),
);

const sums: Sample[] = (
  [
    ['addmm', 'a row', [2], [3, 4], [4, 2], {}],
    ['addmm', 'a row and factors', [2], [3, 4], [4, 2], { alpha: 2, beta: 3 }],
    ['addmm', 'a matrix', [3, 2], [3, 4], [4, 2], { beta: -1 }],
    ['addmm', 'a number', [], [3, 4], [4, 2], { alpha: 3 }],
    ['addmm', 'a column left out', [3, 1], [3, 4], [4, 2], { beta: 0 }],
    ['addmm', 'no rows', [2], [0, 4], [4, 2], {}],
    ['baddbmm', 'matrices', [2, 3, 2], [2, 3, 4], [2, 4, 2], {}],
    ['baddbmm', 'a row and factors', [2], [2, 3, 4], [2, 4, 2], { alpha: 2, beta: -1 }],
    ['baddbmm', 'nothing to sum', [2, 1, 2], [2, 3, 0], [2, 0, 2], {}],
  ] as readonly (readonly [string, string, Shape, Shape, Shape, hadal.AddedProductOptions])[]
).map(([op, variant, x, a, b, options]) =>
  sampleOf(
    op,
    variant,
    [x, a, b],
    (shift, left, right) => hadal[op as 'addmm'](shift!, left!, right!, options) as AnyTensor,
    (shift, left, right) => {
      const product = summed(a.length === 2 ? 'ij,jk->ik' : 'bij,bjk->bik', [left!, right!]);
      return generated(product.shape, (position) => {
        const own = position.slice(position.length - x.length).map((p, axis) => (x[axis] === 1 ? 0 : p));
        const { alpha = 1, beta = 1 } = options;
        return beta * shift!.values[ravel(own, x)]! + alpha * product.values[ravel(position, product.shape)]!;
      });
    },
    numbers.filter((dtype) => dtype !== 'int8' && dtype !== 'uint8'),
  ),
);

const krons: Sample[] = (
  [
    ['matrices', [2, 3], [2, 2]],
    ['vectors', [2], [3]],
    ['other ranks', [2], [2, 1, 3]],
    ['numbers', [], []],
    ['nothing', [2, 0], [3, 1]],
    ['four axes', [1, 2, 1, 2], [2, 1, 2, 1]],
  ] as readonly (readonly [string, Shape, Shape])[]
).map(([variant, a, b]) =>
  sampleOf(
    'kron',
    variant,
    [a, b],
    (x, y) => hadal.kron(x!, y!) as AnyTensor,
    (x, y) => {
      const rank = Math.max(a.length, b.length);
      const sizeOf = (shape: Shape, axis: number): number => shape[axis - rank + shape.length] ?? 1;
      const shape = Array.from({ length: rank }, (_, axis) => sizeOf(a, axis) * sizeOf(b, axis));
      const from = (of: Shape, places: readonly number[]): readonly number[] => places.slice(rank - of.length);
      return generated(shape, (position) => {
        const outer = position.map((p, axis) => Math.floor(p / sizeOf(b, axis)));
        const inner = position.map((p, axis) => p % sizeOf(b, axis));
        return x!.values[ravel(from(a, outer), a)]! * y!.values[ravel(from(b, inner), b)]!;
      });
    },
  ),
);

// Of eight axes, which strided inputs and differences have no room for.
const widest: Sample = {
  ...sampleOf(
    'einsum',
    'a batch of seven axes',
    [
      [1, 2, 1, 2, 1, 2, 1, 3],
      [1, 2, 1, 2, 1, 2, 1, 3],
    ],
    (...xs) => hadal.einsum('abcdefgi,abcdefgi->abcdefg' as string, ...xs),
    (...xs) => summed('abcdefgi,abcdefgi->abcdefg', xs),
  ),
  order: 0,
  fixedLayout: true,
};

const chains: Sample[] = (
  [
    [
      'two',
      'ab,bc->ac',
      [
        [2, 3],
        [3, 4],
      ],
    ],
    [
      'from the right',
      'ab,bc,cd->ad',
      [
        [5, 4],
        [4, 3],
        [3, 1],
      ],
    ],
    [
      'from the left',
      'ab,bc,cd,de->ae',
      [
        [1, 4],
        [4, 2],
        [2, 3],
        [3, 2],
      ],
    ],
    ['vectors at the ends', 'a,ab,b->', [[3], [3, 2], [2]]],
    [
      'empty',
      'ab,bc->ac',
      [
        [2, 0],
        [0, 3],
      ],
    ],
  ] as [string, string, Shape[]][]
).map(([variant, equation, shapes]) =>
  sampleOf(
    'multiDot',
    variant,
    shapes,
    (...xs) => hadal.multiDot(xs),
    (...xs) => summed(equation, xs),
  ),
);

export const samples: Sample[] = [...chains, widest, ...equations, ...dots, ...fixed, ...sums, ...krons];
