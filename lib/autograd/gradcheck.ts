/** Checks gradients against differences: for the tests of hadal's ops, and for functions that users define. */
import { ArgumentError, AutogradError } from '../errors';
import { tensor, zeros, zerosLike } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';
import { stack } from '../ops/movement';
import { getRandomState, setRandomState } from '../runtime/random';
import { checkFunction, checkList, checkNumber } from '../tensor/checks';
import { isFloat } from '../tensor/dtype';
import { scope } from '../tensor/scope';
import { sameShape, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { enableGrad, noGrad } from './modes';
import { gradients } from './transforms';

export interface GradcheckOptions {
  /** 2 checks the gradient of the gradient as well; 1 unless given. */
  readonly order?: 1 | 2;
  /** Half the distance of the points that are compared; 1e-5 unless given. */
  readonly step?: number;
  /** The relative tolerance; 1e-5 unless given. */
  readonly rtol?: number;
  /** The absolute tolerance; 1e-7 unless given. */
  readonly atol?: number;
}

type Checked = (...inputs: AnyTensor[]) => AnyTensor | readonly AnyTensor[];

/**
 * Compares the gradients that backward finds with central differences, `(f(x + h) - f(x - h)) / 2h`, for every element of every input that
 * requires a gradient. Those inputs are float64. Several outputs are weighted with fixed numbers. Random ops inside f draw the same
 * numbers at every call. Blocks the thread.
 *
 * @throws AutogradError that names the first element where they differ.
 * @example
 * gradcheck((x) => x.exp(), [tensor([0.5, 1], { dtype: 'float64', requiresGrad: true })], { order: 2 });
 */
export function gradcheck(f: Checked, inputs: readonly AnyTensor[], options: GradcheckOptions = {}): void {
  checkFunction('gradcheck', 'f', f);
  checkList('gradcheck', 'inputs', inputs);
  checkOptions('gradcheck', options);
  const leaves = inputs.map((input, i) => {
    checkTensor('gradcheck', input, `inputs[${i}]`);
    if (!input.requiresGrad) return input;
    if (input.dtype === 'float64') return input.detach().clone().requiresGrad_();
    throw new ArgumentError(`gradcheck: inputs[${i}]: got ${input.dtype}, expected float64`);
  });
  if (!leaves.some((leaf) => leaf.requiresGrad)) {
    throw new ArgumentError('gradcheck: inputs: got none that requires a gradient');
  }
  const repeatable = repeatableList(f);
  compare('gradient', repeatable, leaves, options);
  if (options.order !== 2) return;
  const weights = noGrad(() => repeatable(...leaves)).map((output, k) => weightsOf(output, k + 1).requiresGrad_());
  compare('gradient of the gradient', gradientOf(repeatable, leaves), [...leaves, ...weights], options);
}

type ListFunction = (...inputs: AnyTensor[]) => readonly AnyTensor[];

/** `f` with its results in a list: floating ones only, and the same ones at every call. */
function repeatableList(f: Checked): ListFunction {
  const state = getRandomState();
  return (...inputs) => {
    setRandomState(state);
    const results = f(...inputs);
    const list: readonly AnyTensor[] = Array.isArray(results) ? results : [results];
    list.forEach((result) => checkTensor('gradcheck', result, 'f'));
    return list.filter(({ dtype }) => isFloat(dtype));
  };
}

/** The gradients of `f` as a function of its inputs, followed by the gradients of its outputs. */
function gradientOf(f: ListFunction, leaves: readonly AnyTensor[]): ListFunction {
  return (...all) =>
    enableGrad(() => {
      // In a call for a difference the inputs are plain tensors.
      const xs = leaves.map((leaf, i) =>
        leaf.requiresGrad && !all[i]!.requiresGrad ? all[i]!.detach().requiresGrad_() : all[i]!,
      );
      const wanted = xs.filter((_, i) => leaves[i]!.requiresGrad);
      return weighted(f(...xs), all.slice(leaves.length), wanted, true);
    });
}

/** The gradients of Σ weight · output; zeros for an input that no output depends on. */
function weighted(
  outputs: readonly AnyTensor[],
  weights: readonly AnyTensor[],
  wanted: readonly AnyTensor[],
  createGraph: boolean,
): AnyTensor[] {
  const live = outputs.map((_, k) => k).filter((k) => outputs[k]!.requiresGrad);
  const found = gradients(
    live.map((k) => outputs[k]!),
    wanted,
    { gradients: live.map((k) => weights[k]!), createGraph },
  );
  return wanted.map((x, i) => found[i] ?? zerosLike(x));
}

/** Numbers between 1/2 and 3/2 without a pattern, in the shape of an output. */
function weightsOf(output: AnyTensor, seed: number): AnyTensor {
  const values = Float64Array.from(
    { length: output.size },
    (_, i) => 1 + 0.5 * Math.sin(12.9898 * (i + 78.233 * seed)),
  );
  return tensor(values, { shape: output.shape, dtype: output.dtype });
}

function compare(what: string, f: ListFunction, leaves: readonly AnyTensor[], options: GradcheckOptions): void {
  const { step = 1e-5, rtol = 1e-5, atol = 1e-7 } = options;
  for (const [name, value] of Object.entries({ step, rtol, atol })) checkNumber('gradcheck', name, value, 0);
  const outputs = f(...leaves);
  const weights = outputs.map((output, k) => weightsOf(output.detach(), k));
  const wanted = leaves.filter((leaf) => leaf.requiresGrad);
  const found = weighted(outputs, weights, wanted, false);
  const plain = leaves.map((leaf) => leaf.detach());

  /** Σ weight · output. */
  const valueAt = (inputs: readonly AnyTensor[]): AnyTensor =>
    scope(() => {
      const terms = noGrad(() => f(...inputs)).map((result, k): AnyTensor => result.detach().mul(weights[k]!).sum());
      return terms.reduce((total, term) => total.add(term), zeros([], { dtype: 'float64' }) as AnyTensor);
    });
  wanted.forEach((leaf, which) => {
    const input = leaves.indexOf(leaf);
    const gradient = found[which]!;
    if (!sameShape(gradient.shape, leaf.shape)) {
      throw new AutogradError(
        `gradcheck: ${what}: inputs[${input}]: got shape ${show(gradient.shape)}, expected ${show(leaf.shape)}`,
      );
    }
    const analytic = gradient.detach().dataSync() as Float64Array;
    const data = leaf.detach().dataSync() as Float64Array;
    const { length } = data;
    if (length === 0) return;
    // All points go to the device at once and all values come back at once: it is the waiting that takes the time.
    const points = new Float64Array(2 * length * length);
    for (let i = 0; i < 2 * length; i++) {
      points.set(data, i * length);
      points[i * length + (i >> 1)]! += i % 2 === 0 ? step : -step;
    }
    const rows = tensor(points, { shape: [2 * length, ...leaf.shape] }) as AnyTensor;
    const values = Array.from({ length: 2 * length }, (_, i) =>
      valueAt(plain.map((x, k) => (k === input ? rows.select(0, i) : x))),
    );
    const differences = stack(values).dataSync() as Float64Array;
    for (let i = 0; i < length; i++) {
      const expected = (differences[2 * i]! - differences[2 * i + 1]!) / (2 * step);
      const got = analytic[i]!;
      if (Math.abs(got - expected) <= atol + rtol * Math.abs(expected)) continue;
      throw new AutogradError(
        `gradcheck: ${what}: inputs[${input}] ${show(leaf.shape)} at flat position ${i}: got ${got}, expected ${expected} by differences`,
        { input, position: i, got, expected },
      );
    }
  });
}
