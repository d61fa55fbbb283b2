/** What optimizers share: parameter groups, state, and state dicts. */
import { ArgumentError } from '../errors';
import { clearGradient } from '../autograd/backward';
import { noGrad } from '../autograd/modes';
import { checkObject, checkOptions } from '../ops/define';
import { guard, tape } from '../runtime/tape';
import { checkFlag } from '../tensor/checks';
import { describe, shown } from '../tensor/describe';
import type { DType } from '../tensor/dtype';
import { scope } from '../tensor/scope';
import type { Shape } from '../tensor/shape-types';
import { sameShape, show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';

/** Parameters that share settings; settings left out are the optimizer's. */
export type ParameterGroup<Settings> = { readonly parameters: readonly AnyTensor[] } & Partial<Settings>;

/** Settings of one group, which schedules may change, and its parameters. */
export type Group<Settings> = {
  parameters: AnyTensor[];
  /** The learning rate before any schedule changed it. */
  initialLr?: number;
} & Settings;

/** What an optimizer remembers about one parameter, under PyTorch's names: tensors, the number of steps and the like. */
export type ParameterState = Record<string, AnyTensor | number | readonly (AnyTensor | number)[]>;

export interface OptimizerState<Settings> {
  /** Of each parameter, by its position in the groups. */
  readonly state: Record<number, ParameterState>;
  readonly groups: readonly ({ readonly parameters: readonly number[]; readonly initialLr?: number } & Settings)[];
}

/** A state dict as PyTorch's optimizers write it. */
export interface TorchOptimizerState {
  readonly state: Readonly<Record<number, object>> | ReadonlyMap<number, object>;
  readonly param_groups: readonly object[];
}

export abstract class Optimizer<Settings extends object = object> {
  /** The parameter groups; their settings may be changed between steps. */
  readonly groups: Group<Settings>[] = [];
  protected readonly state = new Map<AnyTensor, ParameterState>();
  readonly #defaults: Settings;
  /** Counts what makes a compiled step stale: other groups, other states. */
  protected revision = 0;

  constructor(
    parameters: readonly AnyTensor[] | readonly ParameterGroup<Settings>[],
    defaults: Settings,
    settings: Partial<Settings> = {},
  ) {
    const { name } = this.constructor;
    if (!Array.isArray(parameters)) {
      throw new ArgumentError(`${name}: parameters: got ${describe(parameters)}, expected a list of them or of groups`);
    }
    if (parameters.length === 0) throw new ArgumentError(`${name}: parameters: got none, expected at least one`);
    checkOptions(name, settings);
    checkSettings(name, 'settings', settings, defaults);
    this.#defaults = { ...defaults, ...settings };
    const given = parameters[0] instanceof Tensor ? [{ parameters }] : parameters;
    for (const group of given as readonly ParameterGroup<Settings>[]) this.addParamGroup(group);
  }

  /**
   * Adds parameters with settings of their own, for example layers that are unfrozen later.
   *
   * @throws ArgumentError when a parameter is not a leaf or belongs to a group already, or a setting is out of range.
   */
  addParamGroup(group: ParameterGroup<Settings>): void {
    const name = this.constructor.name;
    checkParameters(name, group);
    const seen = new Set(this.groups.flatMap(({ parameters }) => parameters));
    for (const parameter of group.parameters) {
      if (seen.has(parameter)) throw new ArgumentError(`${name}: parameters: got a tensor twice, expected each once`);
      seen.add(parameter);
    }
    checkSettings(name, 'group', group, { parameters: [], initialLr: 0, ...this.#defaults });
    const added: Group<Settings> = { ...this.#defaults, ...group, parameters: [...group.parameters] };
    this.check(added);
    this.groups.push(added);
    this.revision++;
  }

  /** Throws when a setting is out of range. */
  protected abstract check(settings: Settings): void;

  /** What the state of a parameter holds at least. */
  protected abstract requiredState(settings: Settings): readonly string[];

  /** Which entries of the state are numbers; PyTorch has tensors there. */
  protected readonly counts: readonly string[] = ['step'];

  /** Which entries of the state are lists. */
  protected readonly lists: readonly string[] = [];

  /** The shape of a state tensor. */
  protected stateShape(_name: string, parameter: AnyTensor): Shape {
    return parameter.shape;
  }

  /** One step: updates the parameters by their gradients. */
  abstract step(): unknown;

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const group of this.groups) group.parameters.forEach(clearGradient);
  }

  /** Settings, step counts and state tensors, as PyTorch's: parameters are numbered through all groups. */
  stateDict(): OptimizerState<Settings> {
    const all = this.groups.flatMap((group) => group.parameters);
    let next = 0;
    const state: Record<number, ParameterState> = {};
    all.forEach((parameter, i) => {
      const own = this.state.get(parameter);
      if (own !== undefined) state[i] = { ...own };
    });
    return {
      state,
      groups: this.groups.map((group) => ({ ...group, parameters: group.parameters.map(() => next++) })),
    };
  }

  /**
   * Takes over a state dict, one of PyTorch's too (`io.load` reads it): tensors are copied.
   *
   * @throws ArgumentError when groups, parameters or shapes differ; nothing is changed then.
   */
  loadStateDict(dict: OptimizerState<Settings> | TorchOptimizerState): void {
    const name = this.constructor.name;
    checkStateDict(name, dict);
    const { state, groups } = 'param_groups' in dict ? this.translated(dict) : dict;
    const sizes = (list: readonly { readonly parameters: readonly unknown[] }[]): string =>
      list.map((group) => group.parameters.length).join(', ');
    if (sizes(groups) !== sizes(this.groups)) {
      throw new ArgumentError(
        `${name}: state: got groups of ${sizes(groups)} parameters, expected ${sizes(this.groups)}`,
      );
    }
    for (const group of groups) this.check(group);
    const all = this.groups.flatMap((group) => group.parameters);
    const settings = groups.flatMap((group) => group.parameters.map(() => group));
    const entries = Object.entries(state).map(([i, own]): [AnyTensor, ParameterState] => {
      const parameter = all[Number(i)];
      if (parameter === undefined)
        throw new ArgumentError(`${name}: state: got parameter ${i}, expected at most ${all.length - 1}`);
      checkObject(name, own, `state: parameter ${i}`);
      const required = this.requiredState(settings[Number(i)]!);
      if (!required.every((key) => Object.hasOwn(own, key))) {
        const got = Object.keys(own).join(', ');
        throw new ArgumentError(`${name}: state: parameter ${i}: got ${got}, expected ${required.join(', ')}`);
      }
      for (const [key, value] of Object.entries(own)) {
        const isList = this.lists.includes(key);
        if (isList && !Array.isArray(value)) {
          throw new ArgumentError(
            `${name}: state: ${key} of parameter ${i}: got ${describe(value)}, expected an array`,
          );
        }
        for (const tensor of (isList ? value : [value]) as unknown[]) {
          const isCount = this.counts.includes(key);
          if (isCount && typeof tensor === 'number') continue;
          if (!(tensor instanceof Tensor)) {
            throw new ArgumentError(
              `${name}: state: ${key} of parameter ${i}: got ${describe(tensor)}, expected a ${isCount ? 'number' : 'tensor'}`,
            );
          }
          const shape = isCount ? [] : this.stateShape(key, parameter);
          if (sameShape(tensor.shape, shape)) continue;
          throw new ArgumentError(
            `${name}: state: ${key} of parameter ${i}: got shape ${show(tensor.shape)}, expected ${show(shape)}`,
          );
        }
      }
      return [parameter, own];
    });
    this.revision++;
    this.state.clear();
    noGrad(() => {
      for (const [parameter, own] of entries) {
        const copy = (value: AnyTensor | number, key: string): AnyTensor | number => {
          if (typeof value === 'number') return value;
          return this.counts.includes(key) ? value.itemSync() : stateCopy(value, parameter);
        };
        const copies = Object.entries(own).map(([key, value]) => [
          key,
          value instanceof Array ? value.map((each) => copy(each, key)) : copy(value, key),
        ]);
        this.state.set(parameter, Object.fromEntries(copies) as ParameterState);
      }
    });
    groups.forEach((group, i) => Object.assign(this.groups[i]!, { ...group, parameters: this.groups[i]!.parameters }));
  }

  /** A state dict of PyTorch's in our words; what has no meaning here is left out. */
  private translated(dict: TorchOptimizerState): OptimizerState<Settings> {
    const known = new Set(['parameters', 'initialLr', ...Object.keys(this.#defaults)]);
    const entries = (values: object): [string, unknown][] =>
      Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
    const groups = dict.param_groups.map((group) => {
      const translated = entries(group).map(([key, value]): [string, unknown] => [
        torchNames[key] ?? camelCase(key),
        value,
      ]);
      return { ...this.#defaults, ...Object.fromEntries(translated.filter(([key]) => known.has(key))) };
    });
    const withoutHoles = (value: unknown): unknown =>
      value instanceof Array ? value.filter((each) => each !== null) : value;
    const state: Record<string, object> = {};
    for (const [i, own] of dict.state instanceof Map ? dict.state : Object.entries(dict.state)) {
      state[String(i)] = Object.fromEntries(
        entries(own as object).map(([key, value]) => [key, withoutHoles(value)] as const),
      );
    }
    return { state, groups } as unknown as OptimizerState<Settings>;
  }
}

/** Throws unless `group` has a list of leaf tensors. */
export function checkParameters(name: string, group: unknown): asserts group is { parameters: readonly AnyTensor[] } {
  const { parameters } = (group ?? {}) as { readonly parameters?: unknown };
  if (!Array.isArray(parameters)) {
    throw new ArgumentError(`${name}: group: got ${describe(group)}, expected an object with a list named parameters`);
  }
  for (const parameter of parameters as unknown[]) {
    if (parameter instanceof Tensor && parameter.isLeaf) continue;
    throw new ArgumentError(
      `${name}: parameters: got ${parameter instanceof Tensor ? 'the result of an op' : describe(parameter)}, expected leaf tensors`,
    );
  }
}

/** Throws unless the names of `given` are among those of `known`, and what is true or false there is so too. */
function checkSettings(name: string, argument: string, given: object, known: object): void {
  const unknown = Object.keys(given).filter((key) => !Object.hasOwn(known, key));
  if (unknown.length > 0) {
    throw new ArgumentError(
      `${name}: ${argument}: got ${unknown.join(', ')}, expected names among ${Object.keys(known).join(', ')}`,
    );
  }
  for (const [key, value] of Object.entries(known) as [string, unknown][]) {
    if (typeof value === 'boolean') checkFlag(name, key, (given as Readonly<Record<string, unknown>>)[key]);
  }
}

/** Throws unless `dict` has the form of a state dict. */
function checkStateDict(name: string, dict: unknown): void {
  checkObject(name, dict, 'state');
  const { state, groups, param_groups } = dict as Record<string, unknown>;
  const list: unknown = groups ?? param_groups;
  if (typeof state !== 'object' || state === null || !Array.isArray(list)) {
    throw new ArgumentError(`${name}: state: got ${describe(dict)}, expected an object with state and groups`);
  }
  for (const group of list as unknown[]) {
    const { parameters, params } = (group ?? {}) as Record<string, unknown>;
    if (Array.isArray(parameters ?? params)) continue;
    throw new ArgumentError(`${name}: state: group: got ${describe(group)}, expected one with a list of parameters`);
  }
}

const torchNames: Readonly<Record<string, string>> = { params: 'parameters', eps: 'epsilon' };
const camelCase = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** What groups hold beside settings. */
const besideSettings: ReadonlySet<string> = new Set(['parameters', 'initialLr']);

/** An optimizer that updates all parameters which have a gradient. */
export abstract class GradientOptimizer<Settings extends object> extends Optimizer<Settings> {
  /** Updates `parameters`, all of which have gradients. Runs without recording, in a scope. */
  protected abstract update(
    group: Group<Settings>,
    parameters: readonly AnyTensor[],
    gradients: readonly AnyTensor[],
  ): void;

  /** Whether `update` reads a setting anew at each replay of a compiled step. Where another one changes, the step is traced anew. */
  protected isLive(_setting: string): boolean {
    return false;
  }

  /** One step: updates every parameter that has a gradient. */
  step(): void {
    guard(() => this.revision);
    for (const group of tape === undefined ? [] : this.groups) {
      const fixed = Object.keys(group).filter((name) => !besideSettings.has(name) && !this.isLive(name));
      if (fixed.length > 0) guard(() => JSON.stringify(fixed.map((name) => group[name as keyof typeof group])));
    }
    noGrad(() =>
      scope(() => {
        for (const group of this.groups) {
          const parameters = group.parameters.filter((parameter) => parameter.edge?.grad !== undefined);
          if (parameters.length > 0)
            this.update(
              group,
              parameters,
              parameters.map((parameter) => parameter.edge!.grad!),
            );
        }
      }),
    );
  }
}

/** The dtype of states: 16-bit parameters keep theirs in float32. */
export function stateDType(parameter: AnyTensor): DType {
  return parameter.dtype === 'float64' ? 'float64' : 'float32';
}

/** A copy of a state tensor that an optimizer may keep for `parameter`. */
function stateCopy(value: AnyTensor, parameter: AnyTensor): AnyTensor {
  const dtype = value.dtype === parameter.dtype ? value.dtype : stateDType(parameter);
  const moved = value.to(parameter.device).to(dtype);
  return (moved === value ? value.clone() : moved).keep();
}

/** Throws unless `value` is a number in [least, most). */
export function checkSetting(optimizer: string, name: string, value: number, least = 0, most = Infinity): void {
  if (!(typeof value === 'number' && value >= least && (value < most || most === Infinity))) {
    const range = most === Infinity ? `at least ${least}` : `from ${least} to below ${most}`;
    throw new ArgumentError(`${optimizer}: ${name}: got ${shown(value)}, expected a number ${range}`);
  }
}

/** Throws unless `values` are numbers, as many as given. */
export function checkNumbers(optimizer: string, name: string, values: unknown, count: number): void {
  const isList = Array.isArray(values) && values.length === count;
  if (isList && values.every((value) => typeof value === 'number')) return;
  const got = Array.isArray(values) ? `[${values.map(shown).join(', ')}]` : shown(values);
  throw new ArgumentError(`${optimizer}: ${name}: got ${got}, expected ${count} numbers`);
}

/** Splits parallel lists by device and by what is alike of the parameters, so that each piece takes one command. */
export function partition(
  parameters: readonly AnyTensor[],
  gradients: readonly AnyTensor[],
  alike: (a: AnyTensor, b: AnyTensor) => boolean,
): { parameters: AnyTensor[]; gradients: AnyTensor[] }[] {
  const pieces: { parameters: AnyTensor[]; gradients: AnyTensor[] }[] = [];
  parameters.forEach((parameter, i) => {
    const { device } = parameter.storage;
    let piece = pieces.find(({ parameters: [first] }) => first!.storage.device === device && alike(first!, parameter));
    if (piece === undefined) pieces.push((piece = { parameters: [], gradients: [] }));
    piece.parameters.push(parameter);
    piece.gradients.push(gradients[i]!);
  });
  return pieces;
}
