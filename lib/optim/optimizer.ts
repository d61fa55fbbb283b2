/** What optimizers share: parameter groups, state, and state dicts. */
import { ArgumentError } from '../errors';
import { clearGradient } from '../autograd/backward';
import { noGrad } from '../autograd/modes';
import { scope } from '../tensor/scope';
import { sameShape, show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';

/** Parameters that share settings; settings left out are the optimizer's. */
export type ParameterGroup<Settings> = { readonly parameters: readonly AnyTensor[] } & Partial<Settings>;

/** Settings of one group, which schedules may change, and its parameters. */
export type Group<Settings> = { parameters: AnyTensor[] } & Settings;

/** What an optimizer remembers about one parameter, by name: tensors, and the number of steps. */
export type ParameterState = Record<string, AnyTensor | number>;

export interface OptimizerState<Settings> {
  /** Of each parameter, by its position in the groups. */
  readonly state: Record<number, ParameterState>;
  readonly groups: readonly ({ readonly parameters: readonly number[] } & Settings)[];
}

export abstract class Optimizer<Settings extends object> {
  /** The parameter groups; their settings may be changed between steps. */
  readonly groups: Group<Settings>[];
  protected readonly state = new Map<AnyTensor, ParameterState>();

  constructor(parameters: readonly AnyTensor[] | readonly ParameterGroup<Settings>[], defaults: Settings) {
    const name = this.constructor.name;
    if (!Array.isArray(parameters) || parameters.length === 0) {
      throw new ArgumentError(
        `${name}: parameters: got ${Array.isArray(parameters) ? 'none' : typeof parameters}, expected at least one`,
      );
    }
    const given = (
      parameters[0] instanceof Tensor ? [{ parameters }] : parameters
    ) as readonly ParameterGroup<Settings>[];
    const seen = new Set<AnyTensor>();
    this.groups = given.map((group) => {
      for (const parameter of group.parameters) {
        if (!(parameter instanceof Tensor) || !parameter.isLeaf) {
          throw new ArgumentError(
            `${name}: parameters: got ${parameter instanceof Tensor ? 'the result of an op' : typeof parameter}, expected leaf tensors`,
          );
        }
        if (seen.has(parameter)) throw new ArgumentError(`${name}: parameters: got a tensor twice, expected each once`);
        seen.add(parameter);
      }
      const group_ = { ...defaults, ...group, parameters: [...group.parameters] };
      this.check(group_);
      return group_;
    });
  }

  /** What the state of a parameter holds at least. */
  protected abstract readonly stateNames: readonly string[];

  /** Throws when a setting is out of range. */
  protected abstract check(settings: Settings): void;

  /** Updates `parameters`, all of which have gradients. Runs without recording, in a scope. */
  protected abstract update(
    group: Group<Settings>,
    parameters: readonly AnyTensor[],
    gradients: readonly AnyTensor[],
  ): void;

  /** One step: updates every parameter that has a gradient. */
  step(): void {
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
   * Takes over a state dict: tensors are copied.
   *
   * @throws ArgumentError when groups, parameters or shapes differ; nothing is changed then.
   */
  loadStateDict(dict: OptimizerState<Settings>): void {
    const name = this.constructor.name;
    const sizes = (groups: readonly { readonly parameters: readonly unknown[] }[]): string =>
      groups.map((group) => group.parameters.length).join(', ');
    if (sizes(dict.groups) !== sizes(this.groups)) {
      throw new ArgumentError(
        `${name}: state: got groups of ${sizes(dict.groups)} parameters, expected ${sizes(this.groups)}`,
      );
    }
    for (const group of dict.groups) this.check(group);
    const all = this.groups.flatMap((group) => group.parameters);
    const entries = Object.entries(dict.state).map(([i, own]): [AnyTensor, ParameterState] => {
      const parameter = all[Number(i)];
      if (parameter === undefined)
        throw new ArgumentError(`${name}: state: got parameter ${i}, expected at most ${all.length - 1}`);
      if (!this.stateNames.every((key) => Object.hasOwn(own, key))) {
        const got = Object.keys(own).join(', ');
        throw new ArgumentError(`${name}: state: parameter ${i}: got ${got}, expected ${this.stateNames.join(', ')}`);
      }
      for (const [key, value] of Object.entries(own)) {
        if (typeof value === 'object' && value.rank > 0 && !sameShape(value.shape, parameter.shape)) {
          throw new ArgumentError(
            `${name}: state: ${key} of parameter ${i}: got shape ${show(value.shape)}, expected ${show(parameter.shape)}`,
          );
        }
      }
      return [parameter, own];
    });
    this.state.clear();
    noGrad(() => {
      for (const [parameter, own] of entries) {
        const copies = Object.entries(own).map(([key, value]) => [
          key,
          typeof value === 'object' ? value.clone().keep() : value,
        ]);
        this.state.set(parameter, Object.fromEntries(copies) as ParameterState);
      }
    });
    dict.groups.forEach((group, i) =>
      Object.assign(this.groups[i]!, { ...group, parameters: this.groups[i]!.parameters }),
    );
  }
}

/** Throws unless `value` is a number in [least, most). */
export function checkSetting(optimizer: string, name: string, value: number, least = 0, most = Infinity): void {
  if (!(value >= least && (value < most || most === Infinity))) {
    const range = most === Infinity ? `at least ${least}` : `from ${least} to below ${most}`;
    throw new ArgumentError(`${optimizer}: ${name}: got ${String(value)}, expected a number ${range}`);
  }
}

/** Splits parallel lists by a key of each parameter, so that each piece takes one command. */
export function partition<K>(
  parameters: readonly AnyTensor[],
  gradients: readonly AnyTensor[],
  keyOf: (parameter: AnyTensor) => K,
): { key: K; parameters: AnyTensor[]; gradients: AnyTensor[] }[] {
  const pieces = new Map<K, { key: K; parameters: AnyTensor[]; gradients: AnyTensor[] }>();
  parameters.forEach((parameter, i) => {
    const key = keyOf(parameter);
    let piece = pieces.get(key);
    if (piece === undefined) pieces.set(key, (piece = { key, parameters: [], gradients: [] }));
    piece.parameters.push(parameter);
    piece.gradients.push(gradients[i]!);
  });
  return [...pieces.values()];
}
