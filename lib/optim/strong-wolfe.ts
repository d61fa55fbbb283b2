/** The line search of L-BFGS: finds a length at which the loss has fallen enough and its slope has flattened enough. */
import type { AnyTensor } from '../tensor/tensor';

/** Asks for the elements of tensors on the device, so that one algorithm serves waiting with and without blocking. */
export type Reading<T> = Generator<AnyTensor, T, number[]>;

/** A place on the line: how far along, the loss, its gradient, and its slope along the line. */
export interface Point {
  readonly t: number;
  readonly loss: number;
  readonly gradient: AnyTensor;
  readonly slope: number;
}

interface SearchOptions {
  /** The largest magnitude in the direction: with the length it says how far parameters move. */
  readonly directionSize: number;
  /** The search ends when its bracket moves no parameter by more. */
  readonly toleranceChange: number;
  readonly maxEvaluations: number;
}

/** Of the strong Wolfe conditions: how much of the slope the loss has to fall by, and how flat the slope has to become. */
const sufficientDecrease = 1e-4;
const curvature = 0.9;

/**
 * A point that meets the strong Wolfe conditions, or the best one seen, from `start` (t = 0) with `length` as the first guess.
 *
 * @see Nocedal and Wright, 2006, Numerical optimization, algorithms 3.5 and 3.6.
 */
export function* strongWolfe(
  evaluate: (t: number) => Reading<Point>,
  start: Point,
  length: number,
  options: SearchOptions,
): Reading<{ readonly point: Point; readonly evaluations: number }> {
  const { directionSize, toleranceChange, maxEvaluations } = options;
  const fellTooLittle = ({ t, loss }: Point): boolean => loss > start.loss + sufficientDecrease * t * start.slope;
  const isFlat = ({ slope }: Point): boolean => Math.abs(slope) <= -curvature * start.slope;
  let previous = start;
  let point = yield* evaluate(length);
  let evaluations = 1;
  let iteration = 0;
  let bracket: [Point, Point] | undefined;
  while (iteration < maxEvaluations && bracket === undefined) {
    if (fellTooLittle(point) || (iteration > 1 && point.loss >= previous.loss)) bracket = [previous, point];
    else if (isFlat(point)) return { point, evaluations };
    else if (point.slope >= 0) bracket = [previous, point];
    else {
      const t = cubicMinimum(previous, point, point.t + 0.01 * (point.t - previous.t), point.t * 10);
      previous = point;
      point = yield* evaluate(t);
      evaluations++;
      iteration++;
    }
  }
  bracket ??= [start, point];
  let low = bracket[0].loss <= bracket[1].loss ? 0 : 1;
  let progressed = true;
  while (iteration < maxEvaluations) {
    const [a, b] = bracket;
    if (Math.abs(b.t - a.t) * directionSize < toleranceChange) break;
    const [least, most] = a.t <= b.t ? [a.t, b.t] : [b.t, a.t];
    let t = cubicMinimum(a, b, least, most);
    // Too close to an end, twice or beyond it: a tenth of the bracket inwards.
    const margin = 0.1 * (most - least);
    const isClose = Math.min(most - t, t - least) < margin;
    if (isClose && (!progressed || t >= most || t <= least)) {
      t = Math.abs(t - most) < Math.abs(t - least) ? most - margin : least + margin;
      progressed = true;
    } else {
      progressed = !isClose;
    }
    const next: Point = yield* evaluate(t);
    evaluations++;
    iteration++;
    if (fellTooLittle(next) || next.loss >= bracket[low]!.loss) {
      bracket[1 - low] = next;
      low = bracket[0].loss <= bracket[1].loss ? 0 : 1;
    } else {
      if (isFlat(next)) return { point: next, evaluations };
      if (next.slope * (bracket[1 - low]!.t - bracket[low]!.t) >= 0) bracket[1 - low] = bracket[low]!;
      bracket[low] = next;
    }
  }
  return { point: bracket[low]!, evaluations };
}

/** Where the cubic through two points with their slopes has its minimum, within [least, most]. */
function cubicMinimum(a: Point, b: Point, least: number, most: number): number {
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t);
  const square = d1 ** 2 - a.slope * b.slope;
  if (!(square >= 0)) return (least + most) / 2;
  const [left, right] = a.t <= b.t ? [a, b] : [b, a];
  const d2 = Math.sqrt(square);
  const t = right.t - (right.t - left.t) * ((right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2));
  return Math.min(Math.max(t, least), most);
}
