/** L-BFGS. */
import { enableGrad, noGrad } from '../autograd/modes';
import { ArgumentError } from '../errors';
import { zeros } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { cat, stack } from '../ops/movement';
import { checkChoice } from '../tensor/checks';
import { decode } from '../tensor/dtype';
import { scope } from '../tensor/scope';
import type { Shape } from '../tensor/shape-types';
import type { AnyTensor } from '../tensor/tensor';
import { checkSetting, Optimizer, type Group, type ParameterGroup, type ParameterState } from './optimizer';
import { strongWolfe, type Point, type Reading } from './strong-wolfe';

export interface LBFGSSettings {
  /** The length of a step without line search, and the first that a line search tries; 1 unless given. */
  lr: number;
  /** Iterations of a step; 20 unless given. */
  maxIter: number;
  /** Evaluations of the closure in a step; 1.25·maxIter unless given. */
  maxEval: number;
  /** Done when no element of the gradient is larger; 1e-7 unless given. */
  toleranceGrad: number;
  /** Done when neither parameters nor loss change by more; 1e-9 unless given. */
  toleranceChange: number;
  /** How many past steps the curvature is estimated from; 100 unless given. */
  historySize: number;
  /** How the length of a step is found: none takes `lr`. */
  lineSearchFn: 'strong_wolfe' | undefined;
}

/** Computes the gradients anew (zeroGrad, forward, backward) and answers the loss. */
export type Closure = () => AnyTensor;

/**
 * L-BFGS: Newton's direction from the last steps and gradients, for smooth losses over whole data sets. A step takes several evaluations of the loss, so it is
 * given a closure. One group of parameters.
 *
 * @see Nocedal and Wright, 2006, Numerical optimization, chapter 7, and algorithms 3.5 and 3.6 for the line search.
 * @example
 * const optimizer = new optim.LBFGS(model.parameters(), { lineSearchFn: 'strong_wolfe' });
 * const loss = await optimizer.step(() => {
 *   optimizer.zeroGrad();
 *   const value = nn.functional.mseLoss(model.forward(x), y);
 *   value.backward();
 *   return value;
 * });
 */
export class LBFGS extends Optimizer<LBFGSSettings> {
  // What PyTorch calls `al` is scratch space of its steps.
  protected override readonly counts = ['func_evals', 'n_iter', 't', 'ro', 'H_diag', 'prev_loss', 'al'];

  protected override readonly lists = ['old_dirs', 'old_stps', 'ro', 'al'];

  constructor(parameters: readonly AnyTensor[], settings: Partial<LBFGSSettings> = {}) {
    checkOptions('LBFGS', settings);
    const { maxIter = 20 } = settings;
    super(
      parameters,
      {
        lr: 1,
        maxIter,
        maxEval: Math.floor((maxIter * 5) / 4),
        toleranceGrad: 1e-7,
        toleranceChange: 1e-9,
        historySize: 100,
        lineSearchFn: undefined,
      },
      settings,
    );
  }

  override addParamGroup(group: ParameterGroup<LBFGSSettings>): void {
    if (this.groups.length > 0) throw new ArgumentError('LBFGS: groups: got a second one, expected one');
    super.addParamGroup(group);
  }

  protected check(s: LBFGSSettings): void {
    checkSetting('LBFGS', 'lr', s.lr);
    checkSetting('LBFGS', 'maxIter', s.maxIter, 1);
    checkSetting('LBFGS', 'historySize', s.historySize, 1);
    checkChoice('LBFGS', 'lineSearchFn', s.lineSearchFn, ['strong_wolfe', undefined]);
  }

  protected requiredState(): readonly string[] {
    return ['func_evals', 'n_iter'];
  }

  protected override stateShape(): Shape {
    return [this.groups[0]!.parameters.reduce((total, parameter) => total + parameter.size, 0)];
  }

  /** One step of up to `maxIter` iterations; the loss that it began with. Waits for the device without blocking the event loop. */
  async step(closure?: Closure): Promise<number> {
    const steps = this.iterate(checkedClosure(closure));
    let next = steps.next();
    while (next.done !== true) next = steps.next(Array.from(decode(next.value.dtype, await next.value.data())));
    return next.value;
  }

  /** The same as {@link step}, but blocks the thread. */
  stepSync(closure: Closure): number {
    const steps = this.iterate(checkedClosure(closure));
    let next = steps.next();
    while (next.done !== true) next = steps.next(Array.from(decode(next.value.dtype, next.value.dataSync())));
    return next.value;
  }

  private *iterate(closure: Closure): Reading<number> {
    const group = this.groups[0]!;
    const { lr, maxIter, maxEval, toleranceGrad, toleranceChange, lineSearchFn } = group;
    const first = group.parameters[0]!;
    const state = this.state.get(first) ?? { func_evals: 0, n_iter: 0, old_dirs: [], old_stps: [], ro: [], H_diag: 1 };
    this.state.set(first, state);
    const evaluate = (): { loss: AnyTensor; gradient: AnyTensor } => {
      const loss = enableGrad(closure).detach().reshape([]);
      return { loss, gradient: flatGradient(group.parameters) };
    };
    const start = evaluate();
    let { gradient } = start;
    let evaluations = 1;
    state['func_evals'] = (state['func_evals'] as number) + 1;
    const [initialLoss, initialLargest] = (yield together(start.loss, gradient.abs().max())) as [number, number];
    let loss = initialLoss;
    let isOptimal = initialLargest <= toleranceGrad;
    for (let iteration = 1; iteration <= maxIter && !isOptimal; iteration++) {
      const isFirst = state['n_iter'] === 0;
      state['n_iter'] = (state['n_iter'] as number) + 1;
      const direction: AnyTensor = isFirst ? gradient.neg() : yield* this.direction(group, state, gradient);
      const [slope, total, largest] = (yield together(
        gradient.matmul(direction),
        gradient.abs().sum(),
        direction.abs().max(),
      )) as [number, number, number];
      let length = isFirst ? Math.min(1, 1 / total) * lr : lr;
      const previousLoss = loss;
      Object.assign(state, { d: direction.keep(), prev_flat_grad: gradient.keep(), prev_loss: loss, t: length });
      if (slope > -toleranceChange) break;
      if (lineSearchFn === undefined) {
        move(group.parameters, direction, length);
        if (iteration < maxIter) {
          const now = evaluate();
          ({ gradient } = now);
          const [nowLoss, nowLargest] = (yield together(now.loss, gradient.abs().max())) as [number, number];
          loss = nowLoss;
          isOptimal = nowLargest <= toleranceGrad;
          evaluations++;
          state['func_evals'] = (state['func_evals'] as number) + 1;
        }
      } else {
        const origin = group.parameters.map((parameter) => parameter.detach().clone());
        const at = function* (t: number): Reading<Point> {
          move(group.parameters, direction, t);
          const now = evaluate();
          noGrad(() => group.parameters.forEach((parameter, i) => parameter.copy_(origin[i]!)));
          const [f, g] = (yield together(now.loss, now.gradient.matmul(direction))) as [number, number];
          return { t, loss: f, gradient: now.gradient, slope: g };
        };
        const found = yield* strongWolfe(at, { t: 0, loss, gradient, slope }, length, {
          directionSize: largest,
          toleranceChange,
          maxEvaluations: maxEval - evaluations,
        });
        length = found.point.t;
        ({ gradient, loss } = found.point);
        move(group.parameters, direction, length);
        const [nowLargest] = (yield together(gradient.abs().max())) as [number];
        isOptimal = nowLargest <= toleranceGrad;
        evaluations += found.evaluations;
        state['func_evals'] = (state['func_evals'] as number) + found.evaluations;
      }
      state['t'] = length;
      if (evaluations >= maxEval || largest * Math.abs(length) <= toleranceChange) break;
      if (Math.abs(loss - previousLoss) < toleranceChange) break;
    }
    return initialLoss;
  }

  /** Remembers the last step and answers −H·g, with the inverse Hessian H that the remembered steps suggest. */
  private *direction(group: Group<LBFGSSettings>, state: ParameterState, gradient: AnyTensor): Reading<AnyTensor> {
    const changes = [...(state['old_dirs'] as AnyTensor[])];
    const moves = [...(state['old_stps'] as AnyTensor[])];
    const inverses = [...(state['ro'] as number[])];
    const change: AnyTensor = gradient.sub(state['prev_flat_grad'] as AnyTensor);
    const moved: AnyTensor = (state['d'] as AnyTensor).mul(state['t'] as number);
    const [curvature, size] = (yield together(change.matmul(moved), change.matmul(change))) as [number, number];
    if (curvature > 1e-10) {
      changes.push(change.keep());
      moves.push(moved.keep());
      inverses.push(1 / curvature);
      for (const list of [changes, moves, inverses]) if (list.length > group.historySize) list.shift();
      Object.assign(state, { old_dirs: changes, old_stps: moves, ro: inverses, H_diag: curvature / size });
    }
    return scope(() => {
      const direction: AnyTensor = gradient.neg();
      const weights: AnyTensor[] = [];
      for (let i = changes.length - 1; i >= 0; i--) {
        weights[i] = moves[i]!.matmul(direction).mul(inverses[i]!);
        direction.sub_(changes[i]!.mul(weights[i]!));
      }
      direction.mul_(state['H_diag'] as number);
      for (let i = 0; i < changes.length; i++) {
        const weight = changes[i]!.matmul(direction).mul(inverses[i]!);
        direction.add_(moves[i]!.mul(weights[i]!.sub(weight)));
      }
      return direction;
    });
  }
}

function checkedClosure(closure: unknown): Closure {
  if (typeof closure === 'function') return closure as Closure;
  throw new ArgumentError(`LBFGS: closure: got ${typeof closure}, expected a function that answers the loss`);
}

/** Scalars as one vector, to be read at once. */
function together(...scalars: readonly AnyTensor[]): AnyTensor {
  return stack(scalars.map((scalar) => scalar.cast('float64')));
}

function flatGradient(parameters: readonly AnyTensor[]): AnyTensor {
  const parts = parameters.map(({ edge, size, dtype, device }): AnyTensor => {
    return edge?.grad === undefined ? zeros([size], { dtype, device }) : edge.grad.reshape([size]);
  });
  return parts.length === 1 ? parts[0]!.clone() : cat(parts);
}

function move(parameters: readonly AnyTensor[], direction: AnyTensor, length: number): void {
  noGrad(() =>
    scope(() => {
      let offset = 0;
      for (const parameter of parameters) {
        const part = direction.narrow(0, offset, parameter.size).reshape(parameter.shape);
        parameter.add_(part.mul(length).cast(parameter.dtype));
        offset += parameter.size;
      }
    }),
  );
}
