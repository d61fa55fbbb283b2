/** Invertible maps with the logarithm of how much they stretch: what {@link TransformedDistribution} is made with. */
import { ShapeError } from '../errors';
import { arange } from '../ops/creation';
import { checkDType, checkOptions, checkTensor, floats } from '../ops/define';
import { checkCount, checkList } from '../tensor/checks';
import type { Shape } from '../tensor/shape-types';
import { broadcastShapes, show } from '../tensor/shapes';
import type { AnyTensor, Operand } from '../tensor/tensor';
import { clampProbability, fail, finite, limitsOf, parameters, sumLast } from './distribution';

/** A map x → y, its inverse, and ln |det dy/dx|. What `forward` has made, `inverse` takes back to the very tensor that it was made of. */
export abstract class Transform {
  /** How many axes at the end of x and of y belong together. */
  readonly domainDims: number = 0;
  readonly codomainDims: number = 0;
  /** Whether y grows with x: 1, or -1 if it falls; undefined where neither can be said. */
  get sign(): Operand | undefined {
    return 1;
  }

  /** The inverse as a transform. */
  get inv(): Transform {
    return new InverseTransform(this);
  }

  abstract forward(x: AnyTensor): AnyTensor;
  abstract inverse(y: AnyTensor): AnyTensor;
  /** ln |det dy/dx| at x, whose image is y; without the last `domainDims` axes. */
  abstract logAbsDetJacobian(x: AnyTensor, y: AnyTensor): AnyTensor;

  /** The shape of y for x of the given one. */
  forwardShape(shape: Shape): Shape {
    return shape;
  }
  /** The shape of x for y of the given one. */
  inverseShape(shape: Shape): Shape {
    return this.forwardShape(shape);
  }

  /** Whether the other one maps the same way, as far as that is known without reading tensors. */
  equals(other: Transform): boolean {
    return this === other || this.constructor === other.constructor;
  }
}

class InverseTransform extends Transform {
  override readonly domainDims: number;
  override readonly codomainDims: number;

  constructor(private readonly whole: Transform) {
    super();
    [this.domainDims, this.codomainDims] = [whole.codomainDims, whole.domainDims];
  }

  override get sign(): Operand | undefined {
    return this.whole.sign;
  }
  override get inv(): Transform {
    return this.whole;
  }
  override forward(x: AnyTensor): AnyTensor {
    return this.whole.inverse(x);
  }
  override inverse(y: AnyTensor): AnyTensor {
    return this.whole.forward(y);
  }
  override logAbsDetJacobian(x: AnyTensor, y: AnyTensor): AnyTensor {
    return this.whole.logAbsDetJacobian(y, x).neg();
  }
  override forwardShape(shape: Shape): Shape {
    return this.whole.inverseShape(shape);
  }
  override inverseShape(shape: Shape): Shape {
    return this.whole.forwardShape(shape);
  }
  override equals(other: Transform): boolean {
    return other instanceof InverseTransform && this.whole.equals(other.whole);
  }
}

/** A map that knows where what it made came from, as rounding may not tell: tanh is flat. */
abstract class RememberingTransform extends Transform {
  private readonly sources = new WeakMap<AnyTensor, AnyTensor>();

  override forward(x: AnyTensor): AnyTensor {
    checkTensor(`${this.constructor.name}.forward`, x);
    const y = this.image(x);
    // An image without a gradient still has a source that depends on the parameters.
    const isLearnt = this.parameters.some((p) => typeof p !== 'number' && p.requiresGrad);
    if (y.requiresGrad || !isLearnt) this.sources.set(y, y.requiresGrad || !x.requiresGrad ? x : x.detach());
    return y;
  }
  override inverse(y: AnyTensor): AnyTensor {
    const op = `${this.constructor.name}.inverse`;
    checkTensor(op, y);
    checkDType(op, y.dtype, floats);
    const source = this.sources.get(y);
    return source === undefined || source.storage.released !== undefined ? this.source(y) : source;
  }
  protected get parameters(): readonly Operand[] {
    return [];
  }
  protected abstract image(x: AnyTensor): AnyTensor;
  protected abstract source(y: AnyTensor): AnyTensor;
}

/**
 * y = eˣ.
 *
 * @example
 * new distributions.ExpTransform().forward(tensor([0, 1])); // [1, 2.7183]
 */
export class ExpTransform extends RememberingTransform {
  protected override image(x: AnyTensor): AnyTensor {
    return x.exp();
  }
  protected override source(y: AnyTensor): AnyTensor {
    return y.log();
  }
  override logAbsDetJacobian(x: AnyTensor): AnyTensor {
    return x;
  }
}

/**
 * y = 1 / (1 + e⁻ˣ). The inverse of any other 0 and 1 than what `forward` made is finite.
 *
 * @example
 * new distributions.SigmoidTransform().inverse(tensor([0.5, 0.75])); // [0, 1.0986]
 */
export class SigmoidTransform extends RememberingTransform {
  protected override image(x: AnyTensor): AnyTensor {
    return clampProbability(x.sigmoid());
  }
  protected override source(y: AnyTensor): AnyTensor {
    const [epsilon, tiny] = limitsOf(y);
    const inside = y.clamp(tiny, 1 - epsilon);
    return inside.log().sub(inside.neg().log1p());
  }
  override logAbsDetJacobian(x: AnyTensor): AnyTensor {
    return x.logSigmoid().add(x.neg().logSigmoid());
  }
}

/**
 * y = tanh x. The inverse of what `forward` made is what it was made of, also where that is ±1; of another ±1 it is infinite.
 *
 * @example
 * const squash = new distributions.TanhTransform();
 * squash.inverse(squash.forward(tensor([30]))); // [30]
 */
export class TanhTransform extends RememberingTransform {
  protected override image(x: AnyTensor): AnyTensor {
    return x.tanh();
  }
  protected override source(y: AnyTensor): AnyTensor {
    return y.atanh();
  }
  override logAbsDetJacobian(x: AnyTensor): AnyTensor {
    return x.neg().add(Math.LN2).add(x.mul(2).logSigmoid()).mul(2);
  }
}

/**
 * y = ln(1 + eˣ).
 *
 * @example
 * new distributions.SoftplusTransform().forward(tensor([0])); // [0.6931]
 */
export class SoftplusTransform extends RememberingTransform {
  protected override image(x: AnyTensor): AnyTensor {
    return x.neg().logSigmoid().neg();
  }
  protected override source(y: AnyTensor): AnyTensor {
    return y.neg().expm1().neg().log().add(y);
  }
  override logAbsDetJacobian(x: AnyTensor): AnyTensor {
    return x.logSigmoid();
  }
}

/**
 * y = xᵖ for positive x, of an exponent that is a number or broadcasts.
 *
 * @throws ArgumentError for 0; DTypeError.
 * @example
 * new distributions.PowerTransform(2).inverse(tensor([9])); // [3]
 */
export class PowerTransform extends RememberingTransform {
  readonly exponent: Operand;

  constructor(exponent: Operand) {
    super();
    const allowed = [(x: number) => Number.isFinite(x) && x !== 0, 'a finite number other than 0'] as const;
    const { exponent: power } = parameters('PowerTransform', { exponent: [exponent, allowed] });
    this.exponent = typeof exponent === 'number' ? exponent : power;
  }

  override get sign(): Operand {
    return signOf(this.exponent);
  }
  protected override get parameters(): readonly Operand[] {
    return [this.exponent];
  }
  protected override image(x: AnyTensor): AnyTensor {
    return x.pow(this.exponent);
  }
  protected override source(y: AnyTensor): AnyTensor {
    return y.pow(typeof this.exponent === 'number' ? 1 / this.exponent : this.exponent.reciprocal());
  }
  override logAbsDetJacobian(x: AnyTensor, y: AnyTensor): AnyTensor {
    return y.div(x).mul(this.exponent).abs().log();
  }
  override equals(other: Transform): boolean {
    return other instanceof PowerTransform && other.exponent === this.exponent;
  }
}

const signOf = (x: Operand): Operand => (typeof x === 'number' ? Math.sign(x) : x.sign());

export interface AffineOptions {
  /** How many axes at the end belong together; 0 unless given. */
  readonly eventDims?: number;
}

/**
 * y = loc + scale · x, of numbers or tensors that broadcast.
 *
 * @throws ArgumentError for numbers that are not finite or a scale of 0; ShapeError, DTypeError.
 * @example
 * new distributions.AffineTransform(1, 2).forward(tensor([3])); // [7]
 */
export class AffineTransform extends RememberingTransform {
  override readonly domainDims: number;
  override readonly codomainDims: number;
  readonly loc: Operand;
  readonly scale: Operand;

  constructor(loc: Operand, scale: Operand, options: AffineOptions = {}) {
    super();
    checkOptions('AffineTransform', options);
    const allowed = [(x: number) => Number.isFinite(x) && x !== 0, 'a finite number other than 0'] as const;
    parameters('AffineTransform', { loc: [loc, finite], scale: [scale, allowed] });
    const { eventDims = 0 } = options;
    checkCount('AffineTransform', 'eventDims', eventDims, 0);
    [this.loc, this.scale] = [loc, scale];
    this.domainDims = this.codomainDims = eventDims;
  }

  override get sign(): Operand {
    return signOf(this.scale);
  }
  protected override get parameters(): readonly Operand[] {
    return [this.loc, this.scale];
  }
  protected override image(x: AnyTensor): AnyTensor {
    return x.mul(this.scale).add(this.loc);
  }
  protected override source(y: AnyTensor): AnyTensor {
    return y.sub(this.loc).div(this.scale);
  }
  override logAbsDetJacobian(x: AnyTensor): AnyTensor {
    const { scale } = this;
    const stretch = typeof scale === 'number' ? Math.log(Math.abs(scale)) : scale.abs().log();
    return sumLast(x.mul(0).add(stretch), this.domainDims);
  }
  override forwardShape(shape: Shape): Shape {
    return this.parameters.reduce<Shape>(
      (sum, x) => (typeof x === 'number' ? sum : broadcastShapes('AffineTransform', sum, x.shape)),
      shape,
    );
  }
  override equals(other: Transform): boolean {
    return other instanceof AffineTransform && other.loc === this.loc && other.scale === this.scale;
  }
}

/**
 * x [..., k - 1] to shares y [..., k] that sum to 1: each takes the part sigmoid(xᵢ - ln(k - 1 - i)) of what the ones before left.
 *
 * @example
 * new distributions.StickBreakingTransform().forward(zeros([2])); // [0.3333, 0.3333, 0.3333]
 */
export class StickBreakingTransform extends RememberingTransform {
  override readonly domainDims = 1;
  override readonly codomainDims = 1;
  override get sign(): undefined {
    return undefined;
  }

  protected override image(x: AnyTensor): AnyTensor {
    const z = this.shifted(x, -1).sigmoid();
    const left = z.neg().add(1).cumprod(-1);
    return padded(z, 0, 1).mul(padded(left, 1, 0));
  }
  protected override source(y: AnyTensor): AnyTensor {
    const first = withoutLast(y);
    const left = first.cumsum(-1).neg().add(1).clamp(limitsOf(y)[1]);
    return this.shifted(first.log().sub(left.log()), 1);
  }
  override logAbsDetJacobian(x: AnyTensor, y: AnyTensor): AnyTensor {
    const z = this.shifted(x, -1);
    return z.logSigmoid().sub(z).add(withoutLast(y).log()).sum(-1);
  }
  override forwardShape(shape: Shape): Shape {
    if (shape.length === 0) throw new ShapeError('StickBreakingTransform: got shape [], expected at least one axis');
    return [...shape.slice(0, -1), shape.at(-1)! + 1];
  }
  override inverseShape(shape: Shape): Shape {
    if (shape.length === 0 || shape.at(-1) === 0) refuseShares(shape);
    return [...shape.slice(0, -1), shape.at(-1)! - 1];
  }

  /** x ± ln of how many shares are still to come. */
  private shifted(x: AnyTensor, sign: 1 | -1): AnyTensor {
    if (x.rank === 0) throw new ShapeError('StickBreakingTransform: got shape [], expected at least one axis');
    const places = arange(x.shape.at(-1)!, { dtype: x.dtype as 'float32', device: x.device });
    const logs: AnyTensor = places.neg().add(x.shape.at(-1)!).log();
    return x.add(logs.mul(sign));
  }
}

/** x with ones before and behind on the last axis. */
function padded(x: AnyTensor, before: number, behind: number): AnyTensor {
  return x.pad([...Array.from({ length: x.rank - 1 }, () => [0, 0] as const), [before, behind]], { value: 1 });
}

function refuseShares(shape: Shape): never {
  throw new ShapeError(`StickBreakingTransform: got shape ${show(shape)}, expected shares on the last axis`);
}

function withoutLast(y: AnyTensor): AnyTensor {
  if (y.rank === 0 || y.shape.at(-1) === 0) refuseShares(y.shape);
  return y.narrow(-1, 0, y.shape.at(-1)! - 1);
}

/**
 * Several transforms, one after the other.
 *
 * @throws ArgumentError unless all are transforms.
 * @example
 * const clip = new distributions.ComposeTransform([new distributions.TanhTransform(), new distributions.AffineTransform(0, 2)]);
 * clip.forward(tensor([100])); // [2]
 */
export class ComposeTransform extends Transform {
  override readonly domainDims: number;
  override readonly codomainDims: number;

  constructor(readonly parts: readonly Transform[]) {
    super();
    checkTransforms('ComposeTransform', parts);
    // Each part may need more axes than those before or behind it pass on.
    let dims = 0;
    for (const { domainDims, codomainDims } of [...parts].reverse()) {
      dims = Math.max(dims + domainDims - codomainDims, domainDims);
    }
    this.domainDims = dims;
    for (const { domainDims, codomainDims } of parts) dims = Math.max(dims + codomainDims - domainDims, codomainDims);
    this.codomainDims = dims;
  }

  override get sign(): Operand | undefined {
    let product: Operand = 1;
    for (const { sign } of this.parts) {
      if (sign === undefined) return undefined;
      product = typeof product === 'number' && typeof sign === 'number' ? product * sign : times(product, sign);
    }
    return product;
  }
  override forward(x: AnyTensor): AnyTensor {
    checkTensor('ComposeTransform.forward', x);
    return this.parts.reduce((sum, part) => part.forward(sum), x);
  }
  override inverse(y: AnyTensor): AnyTensor {
    checkTensor('ComposeTransform.inverse', y);
    return this.parts.reduceRight((sum, part) => part.inverse(sum), y);
  }
  override logAbsDetJacobian(x: AnyTensor): AnyTensor {
    let [sum, dims, at]: [AnyTensor, number, AnyTensor] = [sumLast(x.mul(0), this.domainDims), this.domainDims, x];
    for (const part of this.parts) {
      const image = part.forward(at);
      sum = sum.add(sumLast(part.logAbsDetJacobian(at, image), dims - part.domainDims));
      dims += part.codomainDims - part.domainDims;
      at = image;
    }
    return sum;
  }
  override forwardShape(shape: Shape): Shape {
    return this.parts.reduce((sum, part) => part.forwardShape(sum), shape);
  }
  override inverseShape(shape: Shape): Shape {
    return this.parts.reduceRight((sum, part) => part.inverseShape(sum), shape);
  }
  override equals(other: Transform): boolean {
    const { parts } = this;
    return (
      other instanceof ComposeTransform &&
      other.parts.length === parts.length &&
      parts.every((part, i) => part.equals(other.parts[i]!))
    );
  }
}

const times = (a: Operand, b: Operand): AnyTensor => (typeof a === 'number' ? (b as AnyTensor).mul(a) : a.mul(b));

/** Throws unless `value` is a list of transforms. */
export function checkTransforms(owner: string, value: unknown): asserts value is readonly Transform[] {
  checkList(owner, 'transforms', value);
  for (const entry of value as unknown[]) {
    if (!(entry instanceof Transform)) fail(owner, 'transforms', entry, 'transforms');
  }
}
