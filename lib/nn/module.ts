/**
 * The base of every network part. A module finds its parameters, buffers and children by walking its own fields, so nothing is
 * registered. Names in state dicts are PyTorch's: the path of fields in snake_case, such as `layers.0.running_mean`.
 */
import { ArgumentError, ShapeError } from '../errors';
import { checkOptions, checkTensor } from '../ops/define';
import { getDefaultDevice, type Device } from '../runtime/device';
import { guard, tape } from '../runtime/tape';
import { checkFunction } from '../tensor/checks';
import { describe } from '../tensor/describe';
import { isDType, isFloat, type DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { clearGradient } from '../autograd/backward';
import { noGrad } from '../autograd/modes';
import { snakeCase } from './names';

/**
 * A tensor that belongs to a module and is trained. Outlives every scope.
 *
 * @example
 * class Scale extends nn.Module {
 *   readonly factor = new nn.Parameter(ones([1]));
 *   forward(x: AnyTensor) {
 *     return x.mul(this.factor);
 *   }
 * }
 */
export class Parameter<out S extends Shape = Shape, out D extends DType = DType> extends Tensor<S, D> {
  constructor(data: Tensor<S, D>, options: { readonly requiresGrad?: boolean } = {}) {
    checkOptions('Parameter', options);
    const value = data.contiguous();
    super(value.storage, value.dtype, value.shape, value.strides, value.offset, true);
    this.keep();
    if (options.requiresGrad ?? true) this.requiresGrad_();
  }
}

/** Called after `forward` with its arguments and result; what it returns, if anything, replaces the result. */
export type ForwardHook = (module: Module, inputs: readonly unknown[], output: unknown) => unknown;

/** Named tensors of a module, as saved to and loaded from files. */
export type StateDict = Record<string, AnyTensor>;

export interface LoadResult {
  /** Names that the module has and the dict lacks. */
  readonly missing: readonly string[];
  /** Names that the dict has and the module lacks. */
  readonly unexpected: readonly string[];
}

/** A module that computes something: all but those that only hold others, or whose methods have other names. */
export interface ForwardModule extends Module {
  forward(...inputs: never[]): unknown;
}

export abstract class Module {
  #training = true;
  /** Once there is one, `forward` is a field of the instance that calls them. */
  #hooks: Set<{ readonly hook: ForwardHook }> | undefined;

  /** Whether layers such as dropout and batch norm behave as in training; see {@link train} and {@link eval}. */
  get training(): boolean {
    return tape?.moded.has(this) === false ? guard(() => this.#training) : this.#training;
  }
  set training(value: boolean) {
    this.#training = value;
    tape?.moded.add(this);
  }

  /** The fields that are searched for parameters, buffers and children, with their names. Containers override it. */
  protected fields(): Iterable<[string, unknown]> {
    return Module.namedFields(this);
  }

  /** Where the parameter of a name, in the spelling of a field or of PyTorch, lies: the object, and its key there. */
  protected slot(name: string): [holder: object, key: string] {
    const fields = Object.getOwnPropertyNames(this);
    return [this, fields.find((field) => snakeCase(field) === snakeCase(name)) ?? name];
  }

  /** The entries of an object under PyTorch's spelling of their names. */
  protected static namedFields(holder: object): [string, unknown][] {
    return Object.entries(holder).map(([name, value]) => [snakeCase(name), value]);
  }

  /** Direct children with their names. */
  namedChildren(): [string, Module][] {
    return [...leaves(this.fields())].filter((entry): entry is [string, Module] => entry[1] instanceof Module);
  }

  /** Direct children. */
  children(): Module[] {
    return this.namedChildren().map(([, child]) => child);
  }

  /** This module and all below it, each once, with their names ('' for this one). */
  namedModules(): [string, Module][] {
    const seen = new Set<Module>();
    const found: [string, Module][] = [];
    const visit = (name: string, module: Module): void => {
      if (seen.has(module)) return;
      seen.add(module);
      found.push([name, module]);
      for (const [child, inner] of module.namedChildren()) visit(name === '' ? child : `${name}.${child}`, inner);
    };
    visit('', this);
    return found;
  }

  /** This module and all below it, each once. */
  modules(): Module[] {
    return this.namedModules().map(([, module]) => module);
  }

  /** All parameters, each once, with PyTorch's names. */
  namedParameters(): [string, Parameter][] {
    return unique(this.namedTensors().filter((entry): entry is [string, Parameter] => entry[1] instanceof Parameter));
  }

  /** All parameters, each once. */
  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter);
  }

  /** All tensors that are state but not trained, such as running means, each once. */
  namedBuffers(): [string, AnyTensor][] {
    return unique(this.namedTensors().filter(([, tensor]) => !(tensor instanceof Parameter)));
  }

  /** Every parameter and buffer by name; shared ones under each of their names. The tensors are the module's own. */
  stateDict(): StateDict {
    return Object.fromEntries(this.namedTensors());
  }

  /**
   * Copies the tensors of `dict` into the module, converting dtypes. Nothing is changed when something does not fit.
   *
   * @throws ArgumentError when names are missing or unexpected and `strict` is true (as it is unless given); ShapeError naming every tensor of another
   * shape.
   */
  loadStateDict(dict: Readonly<StateDict>, options: { readonly strict?: boolean } = {}): LoadResult {
    checkOptions('loadStateDict', options, 'Module.loadStateDict');
    if (!isContainer(dict) || Array.isArray(dict)) {
      throw new ArgumentError(`loadStateDict: dict: got ${describe(dict)}, expected tensors by name`);
    }
    const own = this.stateDict();
    const missing = Object.keys(own).filter((name) => !Object.hasOwn(dict, name));
    const unexpected = Object.keys(dict).filter((name) => !Object.hasOwn(own, name));
    if ((options.strict ?? true) && missing.length + unexpected.length > 0) {
      throw new ArgumentError(
        `loadStateDict: names differ: missing [${missing.join(', ')}], unexpected [${unexpected.join(', ')}]`,
        { missing, unexpected },
      );
    }
    const common = Object.keys(own).filter((name) => Object.hasOwn(dict, name));
    for (const name of common) checkTensor('loadStateDict', dict[name], name);
    const wrong = common.filter((name) => !sameShape(own[name]!.shape, dict[name]!.shape));
    if (wrong.length > 0) {
      const list = wrong.map((name) => `${name}: got ${show(dict[name]!.shape)}, expected ${show(own[name]!.shape)}`);
      throw new ShapeError(`loadStateDict: shapes differ: ${list.join('; ')}`, { names: wrong });
    }
    noGrad(() => {
      for (const name of common) own[name]!.copy_(dict[name]!);
    });
    return { missing, unexpected };
  }

  /** Puts this module and all below it into training mode, or out of it. Answers the module. */
  train(mode = true): this {
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  /** Puts this module and all below it into evaluation mode: dropout passes through, batch norm uses its running statistics. */
  eval(): this {
    return this.train(false);
  }

  /** Calls `f` with this module and all below it. Answers the module. */
  apply(f: (module: Module) => void): this {
    checkFunction('apply', 'f', f);
    for (const module of this.modules()) f(module);
    return this;
  }

  /**
   * Moves parameters and buffers to a device, or converts the floating ones to a dtype. Make the optimizer afterwards: those moved or
   * converted are new tensors.
   */
  to(target: Device | DType): this {
    const dtype = isDType(target) ? target : undefined;
    if (dtype !== undefined && !isFloat(dtype)) {
      throw new ArgumentError(`to: dtype: got ${dtype}, expected a floating dtype`);
    }
    const converted = new Map<AnyTensor, AnyTensor>();
    const convert = (tensor: AnyTensor): AnyTensor => {
      if (dtype !== undefined && !isFloat(tensor.dtype)) return tensor;
      const done = converted.get(tensor);
      if (done !== undefined) return done;
      const value: AnyTensor = noGrad(() => tensor.to(target as Device));
      if (value === tensor) return tensor;
      const result =
        tensor instanceof Parameter ? new Parameter(value, { requiresGrad: tensor.requiresGrad }) : value.keep();
      converted.set(tensor, result);
      return result;
    };
    for (const module of this.modules()) {
      for (const [holder, key, tensor] of Module.placesOf(module)) holder[key] = convert(tensor);
    }
    return this;
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) clearGradient(parameter);
  }

  /** Makes all parameters collect gradients, or stop doing so. */
  requiresGrad_(value = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad_(value);
    return this;
  }

  /** Calls `hook` after each `forward`, in the order of registration. Answers a function that removes it. */
  registerForwardHook(hook: ForwardHook): () => void {
    checkFunction('registerForwardHook', 'hook', hook);
    if (this.#hooks === undefined) {
      this.#hooks = new Set();
      const { forward } = this as { forward?: (...inputs: unknown[]) => unknown };
      const hooked = (...inputs: unknown[]): unknown => {
        let output = forward!.apply(this, inputs);
        for (const each of this.#hooks!) output = each.hook(this, inputs, output) ?? output;
        return output;
      };
      if (forward !== undefined) {
        Object.defineProperty(this, 'forward', { value: hooked, configurable: true, writable: true });
      }
    }
    const hooks = this.#hooks;
    const entry = { hook };
    hooks.add(entry);
    return () => void hooks.delete(entry);
  }

  /** The multiply-adds of the module's own products in a call, those of its parts left out; `summary` asks. None unless overridden. */
  multiplyAdds(inputs: readonly unknown[], output: unknown): number;
  multiplyAdds(): number {
    return 0;
  }

  /** What the printed summary shows in brackets after the class's name. */
  protected describe(): string {
    return '';
  }

  /** The module and all below it, one per line. */
  toString(): string {
    const children = this.namedChildren();
    const head = `${this.constructor.name}(${this.describe()}`;
    if (children.length === 0) return `${head})`;
    const lines = children.map(([name, child]) => `  (${name}): ${child.toString().replaceAll('\n', '\n  ')}`);
    return `${head}\n${lines.join('\n')}\n)`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  private namedTensors(): [string, AnyTensor][] {
    return namedTensorsOf(this, '', new Set());
  }

  /** @internal */
  static slotOf(module: Module, name: string): [holder: Record<string, unknown>, key: string] {
    return module.slot(name) as [Record<string, unknown>, string];
  }

  /**
   * Where the tensors of a module itself lie.
   * @internal
   */
  static placesOf(module: Module): Iterable<[holder: Record<string, unknown>, key: string, tensor: AnyTensor]> {
    return placesIn(module);
  }

  /** @internal */
  static tensorsOf(module: Module): Iterable<[string, unknown]> {
    return leaves(module.fields());
  }
}

/** Tensors of a module and those below it, in the order of fields; a module met twice is listed under both names, a cycle once. */
function namedTensorsOf(module: Module, prefix: string, path: Set<Module>): [string, AnyTensor][] {
  if (path.has(module)) return [];
  path.add(module);
  const found: [string, AnyTensor][] = [];
  const below: [string, AnyTensor][] = [];
  for (const [name, value] of Module.tensorsOf(module)) {
    if (value instanceof Tensor) found.push([prefix + name, value as AnyTensor]);
    else if (value instanceof Module) below.push(...namedTensorsOf(value, `${prefix}${name}.`, path));
  }
  path.delete(module);
  return [...found, ...below];
}

/** The tensors and modules in fields, also inside arrays and plain objects. */
function* leaves(fields: Iterable<[string, unknown]>): Generator<[string, unknown]> {
  for (const [name, value] of fields) {
    if (value instanceof Tensor || value instanceof Module) yield [name, value];
    else if (isContainer(value)) {
      yield* leaves(Object.entries(value).map(([key, inner]): [string, unknown] => [`${name}.${key}`, inner]));
    }
  }
}

/**
 * Where the parameters of a module are, by the first of them; the default device for what has none. A function, so that modules may have a `device` of their own.
 *
 * @example
 * nn.deviceOf(new nn.Linear(2, 3)); // 'cpu'
 */
export function deviceOf(model: unknown): Device {
  return (model instanceof Module ? model.parameters()[0]?.device : undefined) ?? getDefaultDevice();
}

function isContainer(value: unknown): value is object {
  if (Array.isArray(value)) return true;
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function* placesIn(holder: object): Generator<[holder: Record<string, unknown>, key: string, tensor: AnyTensor]> {
  for (const [key, value] of Object.entries(holder)) {
    if (value instanceof Tensor) yield [holder as Record<string, unknown>, key, value as AnyTensor];
    else if (isContainer(value)) yield* placesIn(value);
  }
}

function unique<T>(entries: [string, T][]): [string, T][] {
  const seen = new Set<T>();
  return entries.filter(([, value]) => !seen.has(value) && seen.add(value));
}
