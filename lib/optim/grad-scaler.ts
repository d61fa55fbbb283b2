/** Loss scaling for float16. */
import { noGrad } from '../autograd/modes';
import { ArgumentError } from '../errors';
import { full } from '../ops/creation';
import { checkObject, checkOptions, checkTensor } from '../ops/define';
import { scaleTensors, totalNorm } from '../ops/optimizer-steps';
import { where } from '../ops/pointwise';
import { scope } from '../tensor/scope';
import type { AnyTensor } from '../tensor/tensor';
import type { Optimizer } from './optimizer';

export interface GradScalerOptions {
  /** The first scale; 65536 unless given. */
  readonly initScale?: number;
  /** What the scale is multiplied with after `growthInterval` steps without overflow; 2 unless given. */
  readonly growthFactor?: number;
  /** What the scale is multiplied with after an overflow; 0.5 unless given. */
  readonly backoffFactor?: number;
  /** 2000 unless given. */
  readonly growthInterval?: number;
  /** Whether it does anything: false makes `scale` the identity and `step` a plain step; true unless given. */
  readonly enabled?: boolean;
}

/** Under PyTorch's names. */
export interface GradScalerState {
  readonly scale: number;
  readonly growth_factor: number;
  readonly backoff_factor: number;
  readonly growth_interval: number;
  readonly _growth_tracker: number;
}

type AnyOptimizer = Pick<Optimizer<never>, 'step'> & {
  readonly groups: readonly { readonly parameters: readonly AnyTensor[] }[];
};

/** Of an optimizer since the last update: whether a gradient was not finite, as a 0-d tensor of 0 or 1, and whether it has stepped. */
interface Unscaled {
  readonly overflow: AnyTensor;
  stepped: boolean;
}

/**
 * Scales losses up so that gradients in float16 do not vanish, and gradients down before the step; a step whose gradients overflowed is left out and the scale
 * lowered. Scale and bookkeeping stay on the device; only `step` waits, for one number, without blocking the event loop.
 *
 * @see Micikevicius et al., 2018, Mixed precision training.
 * @example
 * const scaler = new optim.GradScaler();
 * const loss = autocast('float16', () => nn.functional.mseLoss(model.forward(x), y));
 * scaler.scale(loss).backward();
 * scaler.unscale_(optimizer); // only to clip
 * optim.clipGradNorm(model.parameters(), 1);
 * await scaler.step(optimizer);
 * scaler.update();
 */
export class GradScaler {
  private options: Required<GradScalerOptions>;
  /** 0-d float32 on the device of the first loss, with the number of steps since the last change. */
  private scaling: { readonly scale: AnyTensor; readonly tracker: AnyTensor } | undefined;
  private start: { scale: number; tracker: number };
  private readonly optimizers = new Map<AnyOptimizer, Unscaled>();

  constructor(options: GradScalerOptions = {}) {
    checkOptions('GradScaler', options);
    this.options = {
      initScale: 2 ** 16,
      growthFactor: 2,
      backoffFactor: 0.5,
      growthInterval: 2000,
      enabled: true,
      ...options,
    };
    const { initScale, growthFactor, backoffFactor, growthInterval } = this.options;
    const check = (name: string, value: number, holds: boolean, expected: string): void => {
      if (!holds) throw new ArgumentError(`GradScaler: ${name}: got ${value}, expected ${expected}`);
    };
    check('initScale', initScale, initScale > 0, 'a positive number');
    check('growthFactor', growthFactor, growthFactor > 1, 'a number above 1');
    check('backoffFactor', backoffFactor, backoffFactor > 0 && backoffFactor < 1, 'a number between 0 and 1');
    check('growthInterval', growthInterval, growthInterval >= 1, 'a number of at least 1');
    this.start = { scale: initScale, tracker: 0 };
  }

  /** The loss times the scale. */
  scale<T extends AnyTensor>(loss: T): T {
    if (!this.options.enabled) return loss;
    checkTensor('GradScaler', loss, 'loss');
    this.scaling ??= {
      scale: full([], this.start.scale, { device: loss.device }).keep(),
      tracker: full([], this.start.tracker, { device: loss.device }).keep(),
    };
    // A scalar of rank 0 widens nothing; a 16-bit loss could not hold the scale.
    return loss.cast(loss.dtype === 'float64' ? 'float64' : 'float32').mul(this.scaling.scale) as unknown as T;
  }

  /** Divides the gradients of an optimizer by the scale, in place, so that they can be clipped; `step` does it unless it has been done. */
  unscale_(optimizer: AnyOptimizer): void {
    if (!this.options.enabled) return;
    const known = this.optimizers.get(optimizer);
    if (known !== undefined) {
      const when = known.stepped ? 'step()' : 'unscale_()';
      throw new ArgumentError(`GradScaler: unscale_: got an optimizer after its ${when}, expected update() between`);
    }
    const { scaling } = this;
    if (scaling === undefined)
      throw new ArgumentError('GradScaler: unscale_: got no loss yet, expected scale(loss) before');
    const gradients = optimizer.groups.flatMap(({ parameters }) =>
      parameters.flatMap((parameter) => parameter.edge?.grad ?? []),
    );
    if (gradients.some(({ dtype }) => dtype === 'float16')) {
      throw new ArgumentError('GradScaler: unscale_: got float16 gradients, expected parameters in float32');
    }
    const overflow = noGrad(() =>
      scope(() => {
        const isFinite = totalNorm(gradients, Infinity).isFinite();
        scaleTensors(gradients, scaling.scale.reciprocal());
        return isFinite.logicalNot().cast('float32') as AnyTensor;
      }),
    );
    this.optimizers.set(optimizer, { overflow: overflow.keep(), stepped: false });
  }

  /** Steps the optimizer, unless a gradient is infinite or NaN. Answers whether it stepped. */
  async step(optimizer: AnyOptimizer): Promise<boolean> {
    if (!this.options.enabled) {
      await optimizer.step();
      return true;
    }
    if (!this.optimizers.has(optimizer)) this.unscale_(optimizer);
    const own = this.optimizers.get(optimizer)!;
    if (own.stepped) throw new ArgumentError('GradScaler: step: got an optimizer twice, expected update() between');
    own.stepped = true;
    if ((await own.overflow.item()) !== 0) return false;
    await optimizer.step();
    return true;
  }

  /** Lowers the scale if a gradient overflowed since the last update; raises it when none has for long enough. */
  update(): void {
    if (!this.options.enabled) return;
    const { scaling, optimizers } = this;
    if (scaling === undefined || optimizers.size === 0) {
      throw new ArgumentError('GradScaler: update: got no step, expected scale(loss) and step(optimizer) before');
    }
    const { growthFactor, backoffFactor, growthInterval } = this.options;
    noGrad(() =>
      scope(() => {
        const overflows = [...optimizers.values()].map(({ overflow }) => overflow.to(scaling.scale.device));
        const overflowed = overflows.reduce((a, b) => a.add(b)).greater(0);
        const steps = scaling.tracker.add(1);
        const isGrowing = steps.greaterEqual(growthInterval).logicalAnd(overflowed.logicalNot());
        const grown = scaling.scale.mul(growthFactor);
        const raised = where(isGrowing.logicalAnd(grown.isFinite()), grown, scaling.scale);
        scaling.scale.copy_(where(overflowed, scaling.scale.mul(backoffFactor), raised));
        scaling.tracker.copy_(where(overflowed.logicalOr(isGrowing), 0, steps));
      }),
    );
    for (const { overflow } of optimizers.values()) overflow.dispose();
    optimizers.clear();
  }

  /** The scale of the next loss. Waits without blocking. */
  async getScale(): Promise<number> {
    if (!this.options.enabled) return 1;
    return this.scaling === undefined ? this.start.scale : this.scaling.scale.item();
  }

  /** Blocks until the scale is known. */
  stateDict(): GradScalerState {
    const { growthFactor, backoffFactor, growthInterval } = this.options;
    return {
      scale: this.scaling?.scale.itemSync() ?? this.start.scale,
      growth_factor: growthFactor,
      backoff_factor: backoffFactor,
      growth_interval: growthInterval,
      _growth_tracker: this.scaling?.tracker.itemSync() ?? this.start.tracker,
    };
  }

  /** @throws ArgumentError unless all entries are numbers. */
  loadStateDict(state: GradScalerState): void {
    checkObject('GradScaler', state, 'state');
    const names = Object.keys(this.stateDict()) as (keyof GradScalerState)[];
    const wrong = names.find((name) => typeof state[name] !== 'number');
    if (wrong !== undefined) {
      throw new ArgumentError(`GradScaler: state: ${wrong}: got ${typeof state[wrong]}, expected a number`);
    }
    this.options = {
      ...this.options,
      growthFactor: state.growth_factor,
      backoffFactor: state.backoff_factor,
      growthInterval: state.growth_interval,
    };
    this.start = { scale: state.scale, tracker: state._growth_tracker };
    this.scaling = undefined;
  }
}
