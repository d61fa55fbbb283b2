/** Saving a model as an ONNX file. Owns the options and the sizes at which the pass is traced. */
import { ArgumentError } from '../errors';
import { noGrad } from '../autograd/modes';
import { checkPath } from '../io/paths';
import { Module, type ForwardModule } from '../nn/module';
import { arange } from '../ops/creation';
import { checkObject, checkOptions, checkTensor } from '../ops/define';
import { checkList } from '../tensor/checks';
import { describe } from '../tensor/describe';
import { scope } from '../tensor/scope';
import { show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { modelOf } from './save-model';
import { writeModel } from './save-file';
import { merged, trace, type Varying, type Pass } from './trace';

export interface SaveOptions {
  /** What the tensors among `inputs` are called, in order; `input`, or `input_0`, `input_1`, … by their places, those in an object after its fields, unless given. */
  readonly inputNames?: readonly string[];
  /** What the results are called, in order; `output`, or after their places in the result unless given. */
  readonly outputNames?: readonly string[];
  /** Sizes that may differ when the model runs: by input, the axes and the size's name; axes of one name have one size. None unless given. */
  readonly dynamicAxes?: Readonly<Record<string, Readonly<Record<number, string>>>>;
  /** Whether parameters go into a second file, `path` + `.data`; those of more than 2 GB together do unless given. */
  readonly externalData?: boolean;
}

const op = 'onnx.save';

/**
 * Writes what a module, or a function of tensors, does in evaluation as an ONNX file, which ONNX Runtime and others run with the same results. The pass is run
 * on `inputs`, examples whose values do not matter unless the pass looks tokens up by them, and its ops are noted: what JavaScript decides is decided once. With
 * `dynamicAxes` it is run at several sizes of those axes, larger or smaller than the examples', and compared. Parameters and buffers keep the names of `stateDict()`. Opset 20, or 22
 * with bfloat16. The files appear, or are replaced, only once they are on the disk, the data before the model.
 *
 * @throws ArgumentError for ops that ONNX has no form for, all of them named; when the pass reads values, or depends on dynamic sizes in a way that ONNX cannot
 * follow; for options that do not fit. HadalError when the package protobufjs is not installed, and with the system's code, such as `'ENOSPC'`, when the system refuses.
 * @see https://onnx.ai/onnx/
 * @example
 * const model = new models.LeNet5();
 * const options = { inputNames: ['image'], outputNames: ['logits'], dynamicAxes: { image: { 0: 'batch' } } };
 * await onnx.save('lenet.onnx', model, [zeros([1, 1, 28, 28])], options);
 */
export async function save(
  path: string,
  module: ForwardModule | ((...inputs: never[]) => unknown),
  inputs: readonly (AnyTensor | object)[],
  options: SaveOptions = {},
): Promise<void> {
  checkPath(op, path);
  if (typeof module !== 'function' && !(module instanceof Module && 'forward' in module)) {
    throw new ArgumentError(`${op}: module: got ${describe(module)}, expected a module with forward, or a function`);
  }
  checkList(op, 'inputs', inputs);
  checkOptions(op, options, 'save');
  const state = module instanceof Module ? module.stateDict() : {};
  const examples = tensorsOf(inputs);
  const inputNames = namesOf('inputNames', options.inputNames, examples.length) ?? examples.map(([path]) => path);
  const taken = inputNames.find((name) => Object.hasOwn(state, name));
  if (taken !== undefined) throw new ArgumentError(`${op}: inputNames: got ${taken}, the name of a parameter, expected another`); // prettier-ignore
  const tensors = examples.map(([, tensor]) => tensor);
  const axes = axesOf(options.dynamicAxes, inputNames, tensors);
  const forward = (module instanceof Module ? module.forward.bind(module) : module) as (...given: unknown[]) => unknown;
  const call = (...given: AnyTensor[]): unknown => forward(...replaced(inputs, [...given]));
  const pass = inEvaluation(module, () => passOf(call, tensors, axes));
  const outputNames = namesOf('outputNames', options.outputNames, pass.results.length, inputNames);
  const sizes = new Map(axes.map(({ name, input, axis }) => [name, pass.inputs[input]!.shape[axis] as Varying]));
  const written = modelOf(op, pass, { inputs: inputNames, outputs: outputNames, state, sizes });
  await writeModel(op, path, written, options.externalData);
}

/** The tensors among the arguments and in their fields, with what they are called unless the caller says so. */
function tensorsOf(inputs: readonly unknown[]): [name: string, tensor: AnyTensor][] {
  return inputs.flatMap((input, i): [string, AnyTensor][] => {
    if (isFields(input)) {
      return Object.entries(input).filter((entry): entry is [string, AnyTensor] => entry[1] instanceof Tensor);
    }
    checkTensor(op, input, `inputs[${i}]`);
    return [[inputs.length === 1 ? 'input' : `input_${i}`, input]];
  });
}

/** The arguments with other tensors, in the same order. */
const replaced = (inputs: readonly unknown[], tensors: AnyTensor[]): unknown[] => {
  const other = (value: unknown): unknown => (value instanceof Tensor ? tensors.shift() : value);
  return inputs.map((input) =>
    isFields(input)
      ? Object.fromEntries(Object.entries(input).map(([key, value]) => [key, other(value)]))
      : other(input),
  );
};

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** Names that are given, if any: as many as there are tensors, each once. */
function namesOf(
  option: string,
  names: readonly string[] | undefined,
  count: number,
  others: readonly string[] = [],
): readonly string[] | undefined {
  if (names === undefined) return undefined;
  checkList(op, option, names);
  const wrong = names.find((name: unknown) => typeof name !== 'string' || name === '');
  if (wrong !== undefined) throw new ArgumentError(`${op}: ${option}: got ${JSON.stringify(wrong)}, expected names`);
  const all = [...others, ...names];
  const twice = all.find((name, i) => all.indexOf(name) !== i);
  if (twice !== undefined) throw new ArgumentError(`${op}: ${option}: got ${twice} twice, expected different names`);
  if (names.length === count) return names;
  throw new ArgumentError(`${op}: ${option}: got ${names.length} names, expected one for each of ${count} tensors`);
}

/** An axis of an input whose size has a name. */
interface DynamicAxis {
  readonly input: number;
  readonly axis: number;
  readonly name: string;
  /** In the example. */
  readonly size: number;
}

function axesOf(
  given: SaveOptions['dynamicAxes'],
  names: readonly string[],
  inputs: readonly AnyTensor[],
): DynamicAxis[] {
  if (given === undefined) return [];
  checkObject(op, given, 'dynamicAxes');
  const found: DynamicAxis[] = [];
  for (const [inputName, axes] of Object.entries<unknown>(given)) {
    const input = names.indexOf(inputName);
    if (input === -1) {
      throw new ArgumentError(`${op}: dynamicAxes: got ${inputName}, expected ${names.join(', ')}`);
    }
    checkObject(op, axes, `dynamicAxes.${inputName}`);
    const { shape } = inputs[input]!;
    for (const [key, name] of Object.entries(axes as Record<string, unknown>)) {
      const axis = Number(key);
      if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) {
        throw new ArgumentError(
          `${op}: dynamicAxes.${inputName}: got axis ${key}, expected one of shape ${show(shape)}`,
        );
      }
      if (typeof name !== 'string' || name === '') {
        throw new ArgumentError(
          `${op}: dynamicAxes.${inputName}.${key}: got ${JSON.stringify(name)}, expected the name of a size`,
        );
      }
      const size = shape[axis]!;
      const other = found.find((own) => own.name === name);
      if (size === 0 || (other !== undefined && other.size !== size)) {
        const expected = size === 0 ? 'at least 1' : `${other!.size} as before`;
        throw new ArgumentError(
          `${op}: dynamicAxes.${inputName}.${key}: got size ${size} for ${name}, expected ${expected}`,
        );
      }
      found.push({ input, axis, name, size });
    }
  }
  return found;
}

/** Calls `f` with the module, if it is one, in evaluation and without gradients, and puts it into its modes again. */
function inEvaluation<T>(module: unknown, f: () => T): T {
  const modules = module instanceof Module ? module.modules() : [];
  const modes = modules.map(({ training }) => training);
  try {
    for (const each of modules) each.training = false;
    return noGrad(f);
  } finally {
    modules.forEach((each, i) => (each.training = modes[i]!));
  }
}

/** Sizes to try for one of the example, the first in the base pass: some models want multiples, some no more than there are, some no less. */
const plans: ((size: number) => readonly [number, number, number])[] = [
  (size) => (size === 1 ? [2, 3, 5] : [size, 2 * size, 3 * size]),
  (size) => [size, size + 1, size + 2],
  (size) => [Math.max(size, 3), Math.max(size - 1, 2), Math.max(size - 2, 1)],
];

function passOf(
  call: (...inputs: AnyTensor[]) => unknown,
  inputs: readonly AnyTensor[],
  axes: readonly DynamicAxis[],
): Pass {
  const names = [...new Set(axes.map(({ name }) => name))];
  const at = (sizes: ReadonlyMap<string, number>) =>
    inputs.map((input, i) =>
      axes
        .filter((axis) => axis.input === i)
        .reduce<AnyTensor>((x, { axis, name }) => resized(x, axis, sizes.get(name)!), input.detach().clone()),
    );
  const run = (sizes: ReadonlyMap<string, number>) => scope(() => trace(op, call, at(sizes)));
  let refusal: unknown;
  for (const plan of names.length === 0 ? plans.slice(0, 1) : plans) {
    const choices = new Map(axes.map(({ name, size }) => [name, plan(size)]));
    const pick = (which: (name: string) => 0 | 1 | 2, more = 0) =>
      new Map(names.map((name) => [name, choices.get(name)![which(name)] + more]));
    const base = pick(() => 0);
    const others = names.map((varied) => pick((name) => (name === varied ? 1 : 0)));
    const all = names.length === 0 ? [base] : [base, ...others, pick(() => 2)];
    try {
      // What a module makes once and keeps is there afterwards.
      scope(() => void call(...at(base)));
      const traces = all.map(run);
      // Sizes without a common factor tell halves from rounded halves; a pass that does not take them need not.
      if (names.length > 0) traces.push(...attempted(() => run(pick(() => 2, 1))));
      return merged(op, traces);
    } catch (error) {
      refusal ??= error;
    }
  }
  throw refusal;
}

function attempted<T>(f: () => T): T[] {
  try {
    return [f()];
  } catch {
    return [];
  }
}

/** The tensor with its elements along an axis repeated, or cut off. */
function resized(x: AnyTensor, axis: number, size: number): AnyTensor {
  const places = (arange(size, { dtype: 'int64' }) as AnyTensor).remainder(x.shape[axis]!) as AnyTensor;
  return x.indexSelect(axis, places.to(x.device) as Tensor<readonly number[], 'int64'>);
}
