/**
 * Sums of products over labelled axes: einsum and tensordot. Operands are contracted two at a time, each time as one batched matrix product, in
 * the order that multiplies least.
 */
import { ArgumentError, ShapeError } from '../errors';
import { shown } from '../tensor/describe';
import { promote, type DType, type Promote } from '../tensor/dtype';
import type { PromoteAll, ShapesOf } from '../tensor/operand-types';
import type { DotAxes, Einsum, EinsumCheck, TensorDot, TensorDotCheck } from '../tensor/product-shape-types';
import type { Ok, Shape } from '../tensor/shape-types';
import { checkShape, maxRank, normalizeAxis, show, sizeOf } from '../tensor/shapes';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import { checkDType, checkTensor, installMethods, numbers } from './define';
import { describe } from '../tensor/describe';

type Labels = readonly string[];

/** A tensor that is computed from the operands, with a label for each axis. */
interface Labelled {
  readonly shape: Shape;
  readonly labels: Labels;
  readonly of: (operands: readonly AnyTensor[]) => AnyTensor;
}

// --------------------------------------------------------------------------------------------------------------- equations

const termPattern = /^[A-Za-z]*(\.{3}[A-Za-z]*)?$/;

/** The terms of the operands, and that of the result where the equation has one. */
function parsed(equation: string): { terms: string[]; output: string | undefined } {
  const [inputs, output, ...rest] = equation.replace(/\s/g, '').split('->');
  const terms = inputs!.split(',');
  const wrong = rest.length > 0 ? '->' : [...terms, output ?? ''].find((term) => !termPattern.test(term));
  if (wrong !== undefined) {
    throw new ArgumentError(
      `einsum: equation: got ${wrong} in ${equation}, expected letters and at most one ellipsis for each operand, and one ->`,
    );
  }
  return { terms, output };
}

/** A term with the axes that an ellipsis stands for, which are counted from the last. */
function spelled(term: string, rank: number): string[] {
  const [front = '', back] = term.split('...');
  if (back === undefined) return [...front];
  const hidden = Math.max(0, rank - front.length - back.length);
  return [...front, ...Array.from({ length: hidden }, (_, i) => hiddenLabel(hidden - 1 - i)), ...back];
}

/** The label of the axis that is so many from the last of those that an ellipsis stands for. */
const hiddenLabel = (fromLast: number): string => `.${fromLast}`;

/** The labels that an equation without an output leaves: those of the ellipsis, then letters that appear once. */
function implied(hidden: number, terms: readonly string[]): string[] {
  const letters = [...terms.join('').replaceAll('.', '')];
  const once = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter)).sort();
  return [...spelled('...', hidden), ...once];
}

/** The size of each label; an axis of size 1 is stretched to the others. */
function sizesOf(operands: readonly Labelled[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { shape, labels } of operands) {
    labels.forEach((label, axis) => {
      const size = shape[axis]!;
      const before = sizes.get(label) ?? 1;
      if (before !== size && before !== 1 && size !== 1) throw differing(label, before, size);
      sizes.set(label, before === 1 ? size : before);
    });
  }
  return sizes;
}

function differing(label: string, a: number, b: number): ShapeError {
  const what = label.startsWith('.') ? 'an axis of the ellipsis' : `axes ${label}`;
  return new ShapeError(`einsum: sizes of ${what} differ: got ${a} and ${b}, expected one size`);
}

function checkOutput(equation: string, wanted: Labels, sizes: ReadonlyMap<string, number>): void {
  const wrong = wanted.find((label, i) => !sizes.has(label) || wanted.indexOf(label) < i);
  if (wrong !== undefined) {
    throw new ArgumentError(
      `einsum: equation: got ${wrong} in the result of ${equation}, expected letters of the operands, each once`,
    );
  }
  checkShape(
    'einsum',
    wanted.map((label) => sizes.get(label)!),
  );
}

// ----------------------------------------------------------------------------------------------------------------- operands

const operand = (i: number, shape: Shape, labels: Labels): Labelled => ({ shape, labels, of: (xs) => xs[i]! });

/** x without repeated labels: the diagonal of the axes that share one. */
function withoutRepeats(x: Labelled): Labelled {
  const { shape, labels } = x;
  const again = labels.findIndex((label, axis) => labels.indexOf(label) < axis);
  if (again < 0) return x;
  const first = labels.indexOf(labels[again]!);
  const size = shape[again]!;
  if (shape[first] !== size) throw differing(labels[again]!, shape[first]!, size);
  const rest = labels.flatMap((_, axis) => (axis === first || axis === again ? [] : axis));
  return withoutRepeats({
    shape: [...rest.map((axis) => shape[axis]!), size],
    labels: [...rest.map((axis) => labels[axis]!), labels[again]!],
    of: (xs) => x.of(xs).diagonal({ axes: [first, again] }),
  });
}

/** x without the axes of size 1 that others stretch. */
function withoutStretched(x: Labelled, sizes: ReadonlyMap<string, number>): Labelled {
  return reduced(
    x,
    (label, size) => size === sizes.get(label),
    (y) => y,
  );
}

/** x summed over the labels that are not kept, in its own dtype. */
function summed(x: Labelled, kept: ReadonlySet<string>): Labelled {
  return reduced(
    x,
    (label) => kept.has(label),
    (y, ones) => y.sumTo(ones).cast(y.dtype),
  );
}

/** x without the axes that are not kept, of which `f` leaves size 1. */
function reduced(
  x: Labelled,
  isKept: (label: string, size: number) => boolean,
  f: (x: AnyTensor, ones: Shape) => AnyTensor,
): Labelled {
  const keeps = x.labels.map((label, axis) => isKept(label, x.shape[axis]!));
  if (keeps.every(Boolean)) return x;
  const ones = x.shape.map((size, axis) => (keeps[axis]! ? size : 1));
  const shape = x.shape.filter((_, axis) => keeps[axis]);
  return { shape, labels: x.labels.filter((_, axis) => keeps[axis]), of: (xs) => f(x.of(xs), ones).reshape(shape) };
}

/** x with its axes in the order of `labels`. */
function ordered(x: Labelled, labels: Labels): Labelled {
  if (labels.every((label, axis) => label === x.labels[axis])) return x;
  const axes = labels.map((label) => x.labels.indexOf(label));
  return { shape: axes.map((axis) => x.shape[axis]!), labels, of: (xs) => x.of(xs).permute(axes) };
}

/** The product of a and b, summed over what is not wanted. Every label of one operand alone is wanted. */
function contracted(a: Labelled, b: Labelled, wanted: Labels): Labelled {
  const left = wanted.filter((label) => !b.labels.includes(label));
  const right = wanted.filter((label) => !a.labels.includes(label));
  // The axes of the first operand come first in the product.
  if (right.length > 0 && wanted.indexOf(right[0]!) < wanted.indexOf(left[0] ?? '')) return contracted(b, a, wanted);
  const batch = wanted.filter((label) => a.labels.includes(label) && b.labels.includes(label));
  const inner = a.labels.filter((label) => b.labels.includes(label) && !wanted.includes(label));
  const first = ordered(a, [...batch, ...left, ...inner]);
  const second = ordered(b, [...batch, ...inner, ...right]);
  const batchSizes = first.shape.slice(0, batch.length);
  const leftSizes = first.shape.slice(batch.length, batch.length + left.length);
  const rightSizes = second.shape.slice(batch.length + inner.length);
  const shape = [...batchSizes, ...leftSizes, ...rightSizes];
  const labels = [...batch, ...left, ...right];
  if (inner.length === 0) {
    const columns = [...batchSizes, ...leftSizes, ...right.map(() => 1)];
    const rows = [...batchSizes, ...left.map(() => 1), ...rightSizes];
    return { shape, labels, of: (xs) => first.of(xs).reshape(columns).mul(second.of(xs).reshape(rows)) };
  }
  const [m, k, n] = [leftSizes, first.shape.slice(batch.length + left.length), rightSizes].map(sizeOf);
  // A product has room for so many axes before its matrices.
  const stack = batch.length > maxRank - 2 ? [sizeOf(batchSizes)] : batchSizes;
  const [leftMatrices, rightMatrices] = [
    [...stack, m!, k!],
    [...stack, k!, n!],
  ];
  const of = (xs: readonly AnyTensor[]): AnyTensor =>
    first.of(xs).reshape(leftMatrices).matmul(second.of(xs).reshape(rightMatrices)).reshape(shape) as AnyTensor;
  return { shape, labels, of };
}

// -------------------------------------------------------------------------------------------------------------------- order

/** Which operands are multiplied with which: one of them, or two plans whose product keeps `labels`. */
interface Plan {
  readonly parts: Labelled | readonly [Plan, Plan];
  readonly labels: Labels;
  /** The multiplications so far. */
  readonly cost: number;
}

/** The product of two plans; infinitely dear where no tensor has that many axes. */
function joined(a: Plan, b: Plan, outside: ReadonlySet<string>, sizes: ReadonlyMap<string, number>): Plan {
  const union = [...new Set([...a.labels, ...b.labels])];
  const labels = union.filter((label) => outside.has(label));
  const multiplications = labels.length > maxRank ? Infinity : volume(union, sizes);
  return { parts: [a, b], labels, cost: a.cost + b.cost + multiplications };
}

const volume = (labels: Labels, sizes: ReadonlyMap<string, number>): number =>
  sizeOf(labels.map((label) => sizes.get(label)!));

/** So many operands are planned over all orders; the work grows with 3ⁿ. */
const mostOptimal = 6;

/** The order that multiplies least: over all of them for a few operands, else by always joining those whose product grows least. */
function planned(operands: readonly Labelled[], output: Labels, sizes: ReadonlyMap<string, number>): Plan {
  const single = operands.map((x): Plan => ({ parts: x, labels: x.labels, cost: 0 }));
  if (operands.length <= mostOptimal) return optimal(single, output, sizes);
  for (let rest = single; ;) {
    if (rest.length === 1) return rest[0]!;
    let best: { growth: number; plan: Plan; pair: readonly Plan[] } | undefined;
    for (const [i, a] of rest.entries()) {
      for (const b of rest.slice(i + 1)) {
        const outside = new Set([...output, ...rest.flatMap((plan) => (plan === a || plan === b ? [] : plan.labels))]);
        const plan = joined(a, b, outside, sizes);
        const growth = volume(plan.labels, sizes) - volume(a.labels, sizes) - volume(b.labels, sizes);
        if (best === undefined || growth < best.growth) best = { growth, plan, pair: [a, b] };
      }
    }
    const { plan, pair } = best!;
    rest = [...rest.filter((other) => !pair.includes(other)), plan];
  }
}

/** By dynamic programming over sets of operands, as bits. */
function optimal(single: readonly Plan[], output: Labels, sizes: ReadonlyMap<string, number>): Plan {
  const best: Plan[] = [];
  const all = 2 ** single.length - 1;
  for (let set = 1; set <= all; set++) {
    const outside = new Set([...output, ...single.flatMap(({ labels }, i) => ((set >> i) & 1 ? [] : labels))]);
    // Each way to cut the set in two, once: the larger number stands on the left.
    for (let left = (set - 1) & set; left > (set ^ left); left = (left - 1) & set) {
      const plan = joined(best[left]!, best[set ^ left]!, outside, sizes);
      const before = best[set];
      if (before === undefined || plan.cost < before.cost) best[set] = plan;
    }
    best[set] ??= single[Math.log2(set)]!;
  }
  return best[all]!;
}

function carriedOut({ parts }: Plan, wanted: Labels): Labelled {
  if (!('length' in parts)) return parts;
  const [a, b] = parts;
  return contracted(carriedOut(a, a.labels), carriedOut(b, b.labels), wanted);
}

/** What an equation does to operands of the given shapes. */
function compiled(equation: string, shapes: readonly Shape[]): Labelled['of'] {
  const { terms, output } = parsed(equation);
  if (terms.length !== shapes.length) {
    throw new ArgumentError(`einsum: operands: got ${shapes.length}, expected ${terms.length} for ${equation}`);
  }
  const operands = shapes.map((shape, i) => {
    const labels = spelled(terms[i]!, shape.length);
    if (labels.length === shape.length) return operand(i, shape, labels);
    throw new ShapeError(
      `einsum: operands[${i}]: wrong rank: got shape ${show(shape)}, expected axes ${terms[i]} of ${equation}`,
    );
  });
  const sizes = sizesOf(operands);
  const hidden = [...sizes.keys()].filter((label) => label.startsWith('.')).length;
  const wanted =
    output === undefined ? implied(hidden, terms) : spelled(output, hidden + output.replace('...', '').length);
  checkOutput(equation, wanted, sizes);
  const own = operands.map((x) => withoutStretched(withoutRepeats(x), sizes));
  const alone = own.map((x, i) =>
    summed(x, new Set([...wanted, ...own.flatMap(({ labels }, j) => (j === i ? [] : labels))])),
  );
  const plan = planned(alone, wanted, sizes);
  if (plan.cost === Infinity) {
    throw new ShapeError(`einsum: too many axes: got ${equation}, expected products of at most ${maxRank} axes`);
  }
  return ordered(carriedOut(plan, wanted), wanted).of;
}

/** What equations came to, by equation and shapes: working that out takes longer than a small product. */
const known = new Map<string, Labelled['of']>();
const mostKnown = 512;

function lookedUp(equation: string, operands: readonly AnyTensor[]): Labelled['of'] {
  if (typeof equation !== 'string') {
    throw new ArgumentError(`einsum: equation: got ${describe(equation)}, expected a string such as 'ij,jk->ik'`);
  }
  let key = equation;
  for (const { shape } of operands) key += `|${shape.join()}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = compiled(
    equation,
    operands.map(({ shape }) => shape),
  );
  if (known.size === mostKnown) known.clear();
  known.set(key, made);
  return made;
}

// ---------------------------------------------------------------------------------------------------------------------- ops

/**
 * Einstein's sum: each operand's axes are named by letters, and the result is the sum of products over all letters that it does not name. `...` stands for any
 * number of axes, which broadcast. A letter twice in one operand is its diagonal; without `->` the result has the letters that appear once, in
 * alphabetical order. Operands are multiplied in the order that takes the fewest multiplications; of more than six, in that where products grow least.
 *
 * @throws ArgumentError for what is no equation; ShapeError when an operand does not fit its term or sizes of a letter differ; DTypeError for bool.
 * @example
 * einsum('ij,jk->ik', tensor([[1, 2], [3, 4]]), tensor([[1], [1]])); // [[3], [7]]
 * einsum('ii->i', tensor([[1, 2], [3, 4]])); // [1, 4]
 * einsum('...i,...i', ones([2, 3]), tensor([1, 2, 3])); // [6, 6]
 */
export function einsum<const E extends string, const Ts extends readonly AnyTensor[]>(
  equation: E & Ok<EinsumCheck<E, ShapesOf<Ts>>>,
  ...operands: Ts
): Tensor<Einsum<E, ShapesOf<Ts>>, PromoteAll<Ts>>;
export function einsum(equation: string, ...operands: readonly AnyTensor[]): AnyTensor {
  operands.forEach((x, i) => checkTensor('einsum', x, `operands[${i}]`));
  const evaluate = lookedUp(equation, operands);
  const dtype = operands.map((x) => x.dtype).reduce((x, y) => promote(x, y));
  checkDType('einsum', dtype, numbers);
  return evaluate(operands.map((x) => x.cast(dtype)));
}

/**
 * The sum of products over axes of both: over the last `axes` of a and the first of b, or over the axes listed for each, in turn. The result has the other axes
 * of a, then those of b.
 *
 * @throws ShapeError when sizes differ or an axis is out of range; ArgumentError for what names no axes; DTypeError for bool.
 * @example
 * tensordot(ones([2, 3, 4]), ones([3, 4, 5])).shape; // [2, 5]
 * tensordot(tensor([[1, 2], [3, 4]]), tensor([1, 10]), [[0], [0]]); // [31, 42]
 */
export function tensordot<
  S extends Shape,
  D extends DType,
  T extends Shape,
  E extends DType,
  const A extends DotAxes = 2,
>(a: Tensor<S, D>, b: Tensor<T, E> & Ok<TensorDotCheck<S, T, A>>, axes?: A): Tensor<TensorDot<S, T, A>, Promote<D, E>>;
export function tensordot(a: AnyTensor, b: AnyTensor, axes: DotAxes = 2): AnyTensor {
  checkTensor('tensordot', a, 'a');
  checkTensor('tensordot', b, 'b');
  const [ofA, ofB] = axesOf(axes, a, b);
  ofA.forEach((axis, i) => {
    const other = ofB[i]!;
    if (a.shape[axis] !== b.shape[other]) {
      throw new ShapeError(
        `tensordot: sizes differ: got a ${show(a.shape)} and b ${show(b.shape)}, expected axis ${axis} of a as axis ${other} of b ` +
          `(${a.shape[axis]} vs ${b.shape[other]})`,
      );
    }
  });
  const dtype = promote(a.dtype, b.dtype);
  checkDType('tensordot', dtype, numbers);
  const left = operand(
    0,
    a.shape,
    a.shape.map((_, axis) => `a${axis}`),
  );
  const right = operand(
    1,
    b.shape,
    b.shape.map((_, axis) => (ofB.includes(axis) ? `a${ofA[ofB.indexOf(axis)]}` : `b${axis}`)),
  );
  const wanted = [
    ...left.labels.filter((label) => !right.labels.includes(label)),
    ...right.labels.filter((label) => !left.labels.includes(label)),
  ];
  checkShape('tensordot', new Array<number>(wanted.length).fill(0));
  return contracted(left, right, wanted).of([a.cast(dtype), b.cast(dtype)]);
}

function axesOf(axes: DotAxes, a: AnyTensor, b: AnyTensor): [number[], number[]] {
  if (typeof axes === 'number') {
    if (!Number.isInteger(axes) || axes < 0 || axes > Math.min(a.rank, b.rank)) {
      throw new ArgumentError(
        `tensordot: axes: got ${shown(axes)} for a ${show(a.shape)} and b ${show(b.shape)}, expected at most as many as both have`,
      );
    }
    const count = Array.from({ length: axes }, (_, i) => i);
    return [count.map((i) => a.rank - axes + i), count];
  }
  const lists = axes as readonly unknown[];
  if (!Array.isArray(axes) || lists.length !== 2 || !lists.every(Array.isArray) || axes[0].length !== axes[1].length) {
    throw new ArgumentError('tensordot: axes: got other than two lists of one length, expected axes of a and of b');
  }
  return [a, b].map((x, i) => {
    const list = (axes[i] as readonly number[]).map((axis) => normalizeAxis('tensordot', axis, x.shape));
    const again = list.find((axis, j) => list.indexOf(axis) < j);
    if (again !== undefined) {
      throw new ShapeError(`tensordot: axis ${again} given twice for shape ${show(x.shape)}`, { axes, shape: x.shape });
    }
    return list;
  }) as [number[], number[]];
}

declare module '../tensor/tensor' {
  interface Tensor<S extends Shape, D extends DType> {
    tensordot<T extends Shape, E extends DType, const A extends DotAxes = 2>(
      other: Tensor<T, E> & Ok<TensorDotCheck<S, T, A>>,
      axes?: A,
    ): Tensor<TensorDot<S, T, A>, Promote<D, E>>;
  }
}
installMethods({ tensordot });
