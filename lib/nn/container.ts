/** Modules made of modules. */
import { ArgumentError } from '../errors';
import { checkOptions } from '../ops/define';
import { flatten } from '../ops/movement';
import { unflatten } from '../ops/rearrange';
import { checkFunction } from '../tensor/checks';
import { describe, shown } from '../tensor/describe';
import type { Shape } from '../tensor/shape-types';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { Module } from './module';

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
      checkModule('Sequential', `layers[${i}]`, layer);
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
    checkModule('Residual', 'block', block);
    if (shortcut !== undefined) checkModule('Residual', 'shortcut', shortcut);
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

  forward(): never {
    throw new ArgumentError('ModuleList: got a call of forward, expected one of its modules’');
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
    checkOptions('ModuleDict', modules);
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
    if (key === '' || key.includes('.')) {
      throw new ArgumentError(`ModuleDict: key: got ${shown(key)}, expected a name without dots`);
    }
    this.#modules.set(key, module);
    return this;
  }

  [Symbol.iterator](): IterableIterator<[string, M]> {
    return this.#modules.entries();
  }

  protected override fields(): Iterable<[string, unknown]> {
    return this.#modules;
  }

  forward(): never {
    throw new ArgumentError('ModuleDict: got a call of forward, expected one of its modules’');
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
