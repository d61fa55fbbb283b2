/** Modules made of modules. */
import { ArgumentError } from '../errors';
import { checkObject } from '../ops/define';
import { flatten } from '../ops/movement';
import { unflatten } from '../ops/rearrange';
import { checkFunction } from '../tensor/checks';
import { describe, shown } from '../tensor/describe';
import type { Shape } from '../tensor/shape-types';
import { show } from '../tensor/shapes';
import { isFloat, type DType } from '../tensor/dtype';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { Module, Parameter } from './module';

/** A module that maps one tensor to one tensor. */
export interface Layer extends Module {
  forward(x: AnyTensor): AnyTensor;
}

/**
 * Throws unless `value` is a module.
 *
 * @internal
 */
export function checkModule(owner: string, name: string, value: unknown): void {
  if (!(value instanceof Module))
    throw new ArgumentError(`${owner}: ${name}: got ${describe(value)}, expected a module`);
}

/**
 * Throws unless `value` is a module with `forward`.
 *
 * @internal
 */
export function checkForward(owner: string, name: string, value: unknown): void {
  checkModule(owner, name, value);
  if (typeof (value as { forward?: unknown }).forward !== 'function')
    throw new ArgumentError(`${owner}: ${name}: got ${describe(value)}, expected a module with forward`);
}

function checkKey(owner: string, key: string): void {
  if (key !== '' && !key.includes('.')) return;
  throw new ArgumentError(`${owner}: key: got ${shown(key)}, expected a name without dots`);
}

/**
 * Layers applied one after the other; their state is named by position (`0.weight`).
 *
 * @example
 * new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 2)).forward(ones([1, 4])).shape; // [1, 2]
 */
export class Sequential extends Module {
  readonly layers: readonly Layer[];

  constructor(...layers: Layer[]) {
    super();
    layers.forEach((layer, i) => {
      checkForward('Sequential', `layers[${i}]`, layer);
    });
    this.layers = layers;
  }

  protected override fields(): Iterable<[string, unknown]> {
    return this.layers.map((layer, i) => [String(i), layer]);
  }

  forward(x: AnyTensor): AnyTensor {
    let y = x;
    for (const layer of this.layers) y = layer.forward(y);
    return y;
  }
}

/**
 * A layer whose output is added to its input, or to what a second layer makes of the input: x + f(x), or s(x) + f(x). He et al., 2016.
 *
 * @example
 * new nn.Residual(new nn.Linear(4, 4)).forward(ones([2, 4])).shape; // [2, 4]
 */
export class Residual extends Module {
  constructor(
    readonly block: Layer,
    readonly shortcut?: Layer,
  ) {
    super();
    checkForward('Residual', 'block', block);
    if (shortcut !== undefined) checkForward('Residual', 'shortcut', shortcut);
  }

  forward(x: AnyTensor): AnyTensor {
    return this.block.forward(x).add(this.shortcut?.forward(x) ?? x);
  }
}

/**
 * A function as a layer. What it closes over is not searched for parameters.
 *
 * @example
 * new nn.Lambda((x) => x.square()).forward(tensor([3])); // [9]
 */
export class Lambda extends Module {
  constructor(readonly f: (x: AnyTensor) => AnyTensor) {
    super();
    checkFunction('Lambda', 'f', f);
  }

  forward(x: AnyTensor): AnyTensor {
    return this.f(x);
  }

  protected override describe(): string {
    return this.f.name;
  }
}

/**
 * The input itself: stands where a layer is optional.
 *
 * @example
 * new nn.Identity().forward(tensor([3])); // [3]
 */
export class Identity extends Module {
  forward(x: AnyTensor): AnyTensor {
    return x;
  }
}

/**
 * Modules in a list; their state is named by position (`0.weight`). An array in a field does the same; this one can be returned, printed and walked as a
 * module.
 *
 * @example
 * const layers = new nn.ModuleList([new nn.Linear(4, 4), new nn.Linear(4, 2)]);
 * [...layers].reduce((x, layer) => layer.forward(x), ones([1, 4])).shape; // [1, 2]
 */
export class ModuleList<M extends Module = Layer> extends Module implements Iterable<M> {
  readonly #modules: M[] = [];

  constructor(modules: Iterable<M> = []) {
    super();
    if (typeof (modules as Iterable<M> | null)?.[Symbol.iterator] !== 'function') {
      throw new ArgumentError(`ModuleList: modules: got ${describe(modules)}, expected modules in an array`);
    }
    this.push(...modules);
  }

  get length(): number {
    return this.#modules.length;
  }

  /** The module at a position, counted from the end when negative. */
  at(index: number): M | undefined {
    return this.#modules.at(index);
  }

  /** Puts modules at the end; answers the new length. */
  push(...modules: M[]): number {
    modules.forEach((module, i) => checkModule('ModuleList', `modules[${this.length + i}]`, module));
    return this.#modules.push(...modules);
  }

  [Symbol.iterator](): IterableIterator<M> {
    return this.#modules[Symbol.iterator]();
  }

  protected override fields(): Iterable<[string, unknown]> {
    return Object.entries(this.#modules);
  }
}

/**
 * Modules by name, in the order in which they were set; their state is named by the key (`left.weight`).
 *
 * @example
 * const heads = new nn.ModuleDict({ left: new nn.Linear(4, 2), right: new nn.Linear(4, 3) });
 * heads.get('right').forward(ones([1, 4])).shape; // [1, 3]
 */
export class ModuleDict<M extends Module = Layer> extends Module implements Iterable<[string, M]> {
  readonly #modules = new Map<string, M>();

  constructor(modules: Readonly<Record<string, M>> = {}) {
    super();
    checkObject('ModuleDict', modules, 'modules');
    for (const [key, module] of Object.entries(modules)) this.set(key, module);
  }

  get size(): number {
    return this.#modules.size;
  }

  has(key: string): boolean {
    return this.#modules.has(key);
  }

  /** @throws ArgumentError when there is no such module. */
  get(key: string): M {
    const module = this.#modules.get(key);
    if (module !== undefined) return module;
    throw new ArgumentError(`ModuleDict: key: got ${shown(key)}, expected ${[...this.#modules.keys()].join(', ')}`);
  }

  set(key: string, module: M): this {
    checkModule('ModuleDict', `modules.${key}`, module);
    checkKey('ModuleDict', key);
    this.#modules.set(key, module);
    return this;
  }

  [Symbol.iterator](): IterableIterator<[string, M]> {
    return this.#modules.entries();
  }

  protected override fields(): Iterable<[string, unknown]> {
    return this.#modules;
  }
}

/** The axes from `start` on merged into one, the batch axis kept unless given. */
export class Flatten extends Module {
  constructor(
    readonly start = 1,
    readonly end = -1,
  ) {
    super();
  }

  forward(x: AnyTensor): AnyTensor {
    return flatten(x, this.start, this.end);
  }
}

/**
 * One axis split into several, the inverse of {@link Flatten}; see `unflatten`.
 *
 * @example
 * new nn.Unflatten(1, [2, -1]).forward(ones([3, 8])).shape; // [3, 2, 4]
 */
export class Unflatten extends Module {
  constructor(
    readonly axis: number,
    readonly sizes: Shape,
  ) {
    super();
    if (!Array.isArray(sizes)) throw new ArgumentError(`Unflatten: sizes: got ${describe(sizes)}, expected an array`);
  }

  forward(x: AnyTensor): AnyTensor {
    return unflatten(x, this.axis, this.sizes);
  }

  protected override describe(): string {
    return `axis ${this.axis}, ${show(this.sizes)}`;
  }
}

/** Throws unless `value` is a tensor that may be a parameter; answers it as one. */
function asParameter(owner: string, name: string, value: unknown): Parameter {
  if (value instanceof Parameter) return value as Parameter;
  if (value instanceof Tensor && isFloat(value.dtype as DType)) return new Parameter(value.detach() as AnyTensor);
  const got = value instanceof Tensor ? `a tensor of ${value.dtype as DType}` : describe(value);
  throw new ArgumentError(`${owner}: ${name}: got ${got}, expected a parameter or a floating tensor`);
}

/**
 * Parameters in a list; their names are positions (`0`). Tensors become parameters that share their memory. An array in a field does the same; this
 * one can be returned, printed and walked as a module.
 *
 * @throws ArgumentError for what is neither a parameter nor a floating tensor.
 * @example
 * const scales = new nn.ParameterList([ones([4]), ones([2])]);
 * scales.parameters().length; // 2
 */
export class ParameterList extends Module implements Iterable<Parameter> {
  private readonly list: Parameter[] = [];

  constructor(parameters: Iterable<AnyTensor> = []) {
    super();
    if (typeof (parameters as Iterable<AnyTensor> | null)?.[Symbol.iterator] !== 'function') {
      throw new ArgumentError(`ParameterList: parameters: got ${describe(parameters)}, expected tensors in an array`);
    }
    this.push(...parameters);
  }

  get length(): number {
    return this.list.length;
  }

  /** The parameter at a position, counted from the end when negative. */
  at(index: number): Parameter | undefined {
    return this.list.at(index);
  }

  /** Puts parameters at the end; answers the new length. */
  push(...parameters: AnyTensor[]): number {
    const all = parameters.map((x, i) => asParameter('ParameterList', `parameters[${this.length + i}]`, x));
    return this.list.push(...all);
  }

  [Symbol.iterator](): IterableIterator<Parameter> {
    return this.list[Symbol.iterator]();
  }

  protected override fields(): Iterable<[string, unknown]> {
    return Object.entries(this.list);
  }

  protected override slot(name: string): [holder: object, key: string] {
    return [this.list, name];
  }
}

/**
 * Parameters by name, in the order in which they were set. Tensors become parameters that share their memory.
 *
 * @throws ArgumentError for what is neither a parameter nor a floating tensor, or a name with dots.
 * @example
 * const gains = new nn.ParameterDict({ left: ones([4]), right: ones([4]) });
 * gains.get('left').shape; // [4]
 */
export class ParameterDict extends Module implements Iterable<[string, Parameter]> {
  private readonly named = Object.create(null) as Record<string, Parameter>;

  constructor(parameters: Readonly<Record<string, AnyTensor>> = {}) {
    super();
    checkObject('ParameterDict', parameters, 'parameters');
    for (const [key, parameter] of Object.entries(parameters)) this.set(key, parameter);
  }

  get size(): number {
    return Object.keys(this.named).length;
  }

  has(key: string): boolean {
    return this.named[key] !== undefined;
  }

  /** @throws ArgumentError when there is no such parameter. */
  get(key: string): Parameter {
    const parameter = this.named[key];
    if (parameter !== undefined) return parameter;
    throw new ArgumentError(`ParameterDict: key: got ${shown(key)}, expected ${Object.keys(this.named).join(', ')}`);
  }

  set(key: string, parameter: AnyTensor): this {
    checkKey('ParameterDict', key);
    this.named[key] = asParameter('ParameterDict', `parameters.${key}`, parameter);
    return this;
  }

  [Symbol.iterator](): IterableIterator<[string, Parameter]> {
    return Object.entries(this.named)[Symbol.iterator]();
  }

  protected override fields(): Iterable<[string, unknown]> {
    return Object.entries(this.named);
  }

  protected override slot(name: string): [holder: object, key: string] {
    return [this.named, name];
  }
}
