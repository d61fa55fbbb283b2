// Laws that hold for every shape: random ones, shrunk by fast-check to the smallest that breaks them.
import fc from 'fast-check';

import * as hadal from '../../lib/index';
import type { AnyTensor, Shape, Tensor } from '../../lib/index';
import { broadcastShapes } from '../../lib/tensor/shapes';
import { plain } from './sample';
import { summed } from './samples/products';

type Index = Tensor<Shape, 'int64'>;

const runs = { numRuns: 60 };
const dimension = fc.integer({ min: 0, max: 4 });
const shapes = fc.array(dimension, { maxLength: 4 });
const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });

/** Whole numbers in float64, so that sums are exact in any order. */
function filled(shape: Shape, seed: number, low = -5, high = 6): AnyTensor {
  hadal.manualSeed(seed);
  return hadal.randint(low, high, shape, { dtype: 'float64' });
}
const index = (shape: Shape, below: number, seed: number): Index => {
  hadal.manualSeed(seed + 1);
  return hadal.randint(0, below, shape) as Index;
};
const same = (a: AnyTensor, b: AnyTensor): void => expect(plain(a)).toEqual(plain(b));
const dot = (a: AnyTensor, b: AnyTensor): number => (a.mul(b).sum() as AnyTensor).itemSync();

/** Two shapes that broadcast: a common one with some sizes replaced by 1 and some leading axes left out. */
const broadcastPairs = fc
  .tuple(shapes, fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 4, maxLength: 4 }), fc.nat(4), fc.nat(4))
  .map(([shape, ones, skipA, skipB]) => {
    const part = (side: 0 | 1, skip: number): number[] =>
      shape.map((size, axis) => (ones[axis]![side] ? 1 : size)).slice(Math.min(skip, shape.length));
    return [part(0, skipA), part(1, skipB)] as const;
  });

describe('broadcasting', () => {
  test('is the same as expanding first', () => {
    fc.assert(
      fc.property(broadcastPairs, seeds, ([s, t], seed) => {
        const [a, b] = [filled(s, seed), filled(t, seed + 7)];
        const shape = broadcastShapes('test', s, t);
        same(a.sub(b) as AnyTensor, (a.expand(shape) as AnyTensor).sub(b.expand(shape)) as AnyTensor);
      }),
      runs,
    );
  });

  test('commutes, and gives gradients of the operands’ shapes that sum the same', () => {
    fc.assert(
      fc.property(broadcastPairs, seeds, ([s, t], seed) => {
        const [a, b] = [filled(s, seed).requiresGrad_(), filled(t, seed + 7).requiresGrad_()];
        same(a.detach().add(b.detach()) as AnyTensor, b.detach().add(a.detach()) as AnyTensor);
        const y = a.mul(b) as AnyTensor;
        const g = filled(y.shape, seed + 9);
        const [ga, gb] = hadal.gradients([y], [a, b], { gradients: [g] }) as AnyTensor[];
        expect(ga!.shape).toEqual(a.shape);
        expect(gb!.shape).toEqual(b.shape);
        // Both are ⟨g, a·b⟩, which is linear in either.
        expect(dot(ga!, a.detach())).toBe(dot(gb!, b.detach()));
      }),
      runs,
    );
  });
});

describe('views', () => {
  const steps = fc.array(
    fc.tuple(fc.constantFrom('permute', 'slice', 'unsqueeze', 'select', 'flip', 'expand'), fc.nat(30)),
    {
      maxLength: 4,
    },
  );
  const applied = (x: AnyTensor, [step, n]: readonly [string, number]): AnyTensor => {
    const axis = x.rank === 0 ? 0 : n % x.rank;
    if (step === 'unsqueeze') return x.rank < 7 ? (x.unsqueeze(n % (x.rank + 1)) as AnyTensor) : x;
    if (step === 'expand') return x.rank < 7 ? (x.expand([(n % 3) + 1, ...x.shape]) as AnyTensor) : x;
    if (x.rank === 0) return x;
    if (step === 'permute') return x.permute([...x.shape.keys()].map((i) => (i + n) % x.rank)) as AnyTensor;
    if (step === 'flip') return x.flip(axis);
    if (step === 'slice') return x.slice(axis, n % 3, undefined, (n % 2) + 1) as AnyTensor;
    return x.shape[axis]! > 0 ? (x.select(axis, n % x.shape[axis]!) as AnyTensor) : x;
  };

  test('read like copies, through any chain of them', () => {
    fc.assert(
      fc.property(shapes, steps, seeds, (shape, chain, seed) => {
        const x = filled(shape, seed);
        const viewed = chain.reduce(applied, x);
        const copied = chain.reduce((y, step) => applied(y, step).clone(), x);
        same(viewed, copied);
        same(viewed.square().sum() as AnyTensor, copied.square().sum() as AnyTensor);
        if (viewed.rank > 0) same(viewed.cumsum(0) as AnyTensor, copied.cumsum(0) as AnyTensor);
        same(viewed.reshape([viewed.size]) as AnyTensor, copied.reshape([copied.size]) as AnyTensor);
      }),
      runs,
    );
  });

  test('at picks what setAt puts, and what is left stays', () => {
    const entries = fc.array(fc.constantFrom(0, -1, ':', '1:', '::2', '::-1', null), { maxLength: 4 });
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 4, maxLength: 4 }),
        entries,
        seeds,
        (shape, indices, seed) => {
          const x = filled(shape, seed);
          const picked = x.at(...indices) as AnyTensor;
          const value = filled(picked.shape, seed + 3);
          const y = x.setAt(indices, value) as AnyTensor;
          same(y.at(...indices) as AnyTensor, value);
          same(y.setAt(indices, picked), x);
          same(
            x.setAt(indices, value, { accumulate: true }).at(...indices) as AnyTensor,
            picked.add(value) as AnyTensor,
          );
        },
      ),
      runs,
    );
  });

  test('a pile of pieces is the whole', () => {
    fc.assert(
      fc.property(
        shapes.filter((shape) => shape.length > 0),
        fc.nat(3),
        fc.integer({ min: 1, max: 3 }),
        seeds,
        (shape, n, size, seed) => {
          const x = filled(shape, seed);
          const axis = n % x.rank;
          same(hadal.cat(x.split(size, axis) as AnyTensor[], axis) as AnyTensor, x);
          same(x.roll(n, axis).roll(-n, axis), x);
          same(x.flip(axis).flip(axis), x);
          if (x.rank > 1) same(x.rot90(n).rot90(-n) as AnyTensor, x);
        },
      ),
      runs,
    );
  });
});

describe('order', () => {
  const lines = fc
    .tuple(fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 3 }), fc.nat(2), seeds)
    .map(([shape, n, seed]) => ({ x: filled(shape, seed), axis: n % shape.length, size: shape[n % shape.length]! }));

  test('sort is a stable permutation into order', () => {
    fc.assert(
      fc.property(lines, fc.boolean(), ({ x, axis, size }, descending) => {
        const [values, indices] = x.sort({ axis, descending }) as [AnyTensor, Index];
        same(values, x.gather(axis, indices) as AnyTensor);
        same(values.sort({ axis, descending })[0], values);
        const places = hadal.arange(size).reshape(x.shape.map((_, i) => (i === axis ? size : 1)));
        same(indices.sort({ axis })[0] as AnyTensor, places.expand(x.shape) as AnyTensor);
        if (size < 2) return;
        const [first, second] = [0, 1].map((start) => values.narrow(axis, start, size - 1) as AnyTensor);
        const [here, next] = [0, 1].map((start) => indices.narrow(axis, start, size - 1) as AnyTensor);
        const rises = descending ? first!.greater(second!) : first!.less(second!);
        const keeps = first!.equalTo(second!).logicalAnd(here!.less(next!));
        expect(rises.logicalOr(keeps).all().itemSync()).toBe(1);
      }),
      runs,
    );
  });

  test('topk and kthValue are parts of sort', () => {
    fc.assert(
      fc.property(lines, fc.nat(6), fc.boolean(), ({ x, axis, size }, n, largest) => {
        const k = Math.min(n, size);
        const [values, indices] = x.topk(k, { axis, largest });
        const sorted = x.sort({ axis, descending: largest });
        same(values, sorted[0].narrow(axis, 0, k) as AnyTensor);
        same(indices as AnyTensor, sorted[1].narrow(axis, 0, k) as AnyTensor);
        if (k === 0) return;
        same(x.kthValue(k, { axis })[0] as AnyTensor, x.sort({ axis })[0].select(axis, k - 1) as AnyTensor);
      }),
      runs,
    );
  });

  test('searchSorted finds where sort puts', () => {
    fc.assert(
      fc.property(lines, ({ x }) => {
        const sorted = x.reshape([x.size]).sort()[0] as AnyTensor;
        const [left, right] = [false, true].map((side) => sorted.searchSorted(x, { right: side }) as AnyTensor);
        same(right!.sub(left!) as AnyTensor, x.unsqueeze(-1).equalTo(sorted).sum(-1) as AnyTensor);
        same(left!, x.unsqueeze(-1).greater(sorted).sum(-1) as AnyTensor);
      }),
      runs,
    );
  });

  test('unique ascends strictly, puts x together again, and counts all of it', () => {
    fc.assert(
      fc.property(lines, fc.boolean(), ({ x }, consecutive) => {
        const { values, inverse, counts } = x.uniqueSync({ consecutive });
        same(values.take(inverse as Index) as AnyTensor, x);
        expect((counts.sum() as AnyTensor).itemSync()).toBe(x.size);
        same(inverse.reshape([x.size]).bincountSync({ minLength: values.size }) as AnyTensor, counts as AnyTensor);
        if (values.size < 2) return;
        const [first, second] = [0, 1].map((start) => values.narrow(0, start, values.size - 1) as AnyTensor);
        const differ = consecutive ? first!.notEqual(second!) : first!.less(second!);
        expect(differ.all().itemSync()).toBe(1);
      }),
      runs,
    );
  });
});

describe('gather and scatter are adjoint: ⟨gather(x), y⟩ = ⟨x, scatterAdd(y)⟩', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });

  test('along an axis', () => {
    fc.assert(
      fc.property(sizes, fc.nat(2), fc.nat(6), seeds, (shape, n, length, seed) => {
        const axis = n % shape.length;
        const x = filled(shape, seed);
        const places = index(
          shape.map((size, i) => (i === axis ? length : size)),
          shape[axis]!,
          seed,
        );
        const y = filled(places.shape, seed + 5);
        const zero: AnyTensor = hadal.zeros(shape, { dtype: 'float64' });
        expect(dot(x.gather(axis, places) as AnyTensor, y)).toBe(dot(x, zero.scatterAdd(axis, places, y)));
        same(zero.scatterAdd(axis, places, y), zero.scatterReduce(axis, places, y, 'sum'));
      }),
      runs,
    );
  });

  test('of slices, and of positions in several axes', () => {
    fc.assert(
      fc.property(sizes, fc.nat(6), seeds, (shape, length, seed) => {
        const x = filled(shape, seed);
        const places = index([length], shape[0]!, seed);
        const slices = x.indexSelect(0, places) as AnyTensor;
        const y = filled(slices.shape, seed + 5);
        const zero: AnyTensor = hadal.zeros(shape, { dtype: 'float64' });
        expect(dot(slices, y)).toBe(dot(x, zero.indexAdd(0, places, y)));
        const positions = hadal.stack(
          shape.map((size, axis) => index([length], size, seed + axis)),
          1,
        ) as Index;
        const z = filled([length], seed + 6);
        expect(dot(x.gatherNd(positions), z)).toBe(dot(x, hadal.scatterNd(positions, z, shape)));
      }),
      runs,
    );
  });
});

test('masks: what is selected can be put back, and what is not stays', () => {
  fc.assert(
    fc.property(shapes, seeds, (shape, seed) => {
      const x = filled(shape, seed);
      const mask = filled(shape, seed + 1).greater(0) as Tensor<Shape, 'bool'>;
      const chosen = x.maskedSelectSync(mask) as AnyTensor;
      expect(chosen.size).toBe(mask.sum().itemSync());
      same(x.maskedFill(mask, 0).maskedScatter(mask, chosen), x);
      same(x.atSync(mask) as AnyTensor, chosen);
      same(x.setAt([mask], chosen), x);
      same(x.nonzeroSync() as AnyTensor, x.notEqual(0).nonzeroSync() as AnyTensor);
    }),
    runs,
  );
});

describe('einsum', () => {
  /** Operands over at most four letters, and a result over some of those that they have. */
  const equations = fc
    .tuple(
      fc.array(fc.array(fc.constantFrom(...'abcd'), { maxLength: 3 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(fc.nat(3), fc.boolean()), { minLength: 4, maxLength: 4 }),
      fc.shuffledSubarray([...'abcd']),
      seeds,
    )
    .map(([terms, letters, wanted, seed]) => {
      const known = new Set(terms.flat());
      const size = (letter: string): number => letters['abcd'.indexOf(letter)]![0];
      // The first letter of some operands is stretched from 1, where it is no diagonal.
      const shapeOf = (term: readonly string[], i: number): number[] =>
        term.map((letter, axis) => (axis === 0 && letters[i]![1] && term.lastIndexOf(letter) === 0 ? 1 : size(letter)));
      const output = wanted.filter((letter) => known.has(letter));
      return {
        equation: `${terms.map((term) => term.join('')).join(',')}->${output.join('')}`,
        operands: terms.map((term, i) => filled(shapeOf(term, i), seed + i, -2, 3)),
      };
    });

  test('is the sum over all letters of the products', () => {
    fc.assert(
      fc.property(equations, ({ equation, operands }) => {
        const expected = summed(equation, operands.map(plain));
        const got = plain(hadal.einsum(equation, ...operands) as AnyTensor);
        expect(got.shape).toEqual(expected.shape);
        // A product of zeros may be -0.
        expect(got.values.map((value) => value + 0)).toEqual(expected.values.map((value) => value + 0));
      }),
      { numRuns: 300 },
    );
  });

  test('is a chain of matrix products, in whatever order it multiplies', () => {
    const chains = fc.tuple(fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 3, maxLength: 9 }), seeds);
    fc.assert(
      fc.property(chains, ([sizes, seed]) => {
        const count = sizes.length - 1;
        const matrices = Array.from({ length: count }, (_, i) => filled([sizes[i]!, sizes[i + 1]!], seed + i, -2, 3));
        const letters = 'abcdefghi';
        const terms = matrices.map((_, i) => letters.slice(i, i + 2));
        const got = hadal.einsum(`${terms.join(',')}->a${letters[count]}`, ...matrices) as AnyTensor;
        const expected = matrices.reduce((a, b) => a.matmul(b) as AnyTensor);
        expect(dot(got.sub(expected), got.sub(expected))).toBe(0);
        expect(got.shape).toEqual(expected.shape);
      }),
      runs,
    );
  });

  test('tensordot is a matrix product of what is flattened', () => {
    const parts = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 2 });
    fc.assert(
      fc.property(parts, parts, parts, seeds, (left, inner, right, seed) => {
        const [a, b] = [filled([...left, ...inner], seed), filled([...inner, ...right], seed + 1)];
        const volume = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);
        const [m, k, n] = [left, inner, right].map(volume) as [number, number, number];
        const flat = a
          .reshape([m, k])
          .matmul(b.reshape([k, n]))
          .reshape([...left, ...right]) as AnyTensor;
        const got = a.tensordot(b, inner.length) as AnyTensor;
        expect(got.shape).toEqual(flat.shape);
        expect(dot(got.sub(flat), got.sub(flat))).toBe(0);
      }),
      runs,
    );
  });
});
