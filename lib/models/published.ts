/** Published language models: their folders, with a `config.json` and weights, as they come from Hugging Face. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { noGrad } from '../autograd/modes';
import { ArgumentError, FormatError } from '../errors';
import { load } from '../io/load';
import { checkPath } from '../io/paths';
import type { StateDict } from '../nn/module';
import { checkTensor } from '../ops/define';
import { cat } from '../ops/movement';
import { describe, shown } from '../tensor/describe';
import type { AnyTensor } from '../tensor/tensor';

/** How the tensors of a file become those of a model. */
export interface Translation {
  /** What comes before all names where the file holds more than the model. */
  readonly prefix: string;
  /** Names that are left out: masks, copies of shared weights, other heads. */
  readonly left: RegExp;
  /**
   * Applied in this order. Names that then end in `#0`, `#1`, … are joined along the first axis, or stacked along a new one where they end in `@0`, `@1`, …; one
   * that holds `(a|b)` is split along the first axis, in equal parts of which the first has `a` in its place.
   */
  readonly names: readonly (readonly [pattern: RegExp, replacement: string])[];
  /** Names, before they are changed, of matrices [in, out]. */
  readonly transposed?: RegExp;
}

/** The tensors of `dict` under the names that the model gives them. */
export function translated(owner: string, dict: unknown, translation: Translation): StateDict {
  const { prefix, left, names, transposed } = translation;
  if (typeof dict !== 'object' || dict === null) {
    throw new ArgumentError(`${owner}: weights: got ${describe(dict)}, expected tensors by name`);
  }
  const parts = new Map<string, AnyTensor[]>();
  for (const [full, value] of Object.entries(dict)) {
    const name = full.startsWith(prefix) ? full.slice(prefix.length) : full;
    if (left.test(name)) continue;
    checkTensor(owner, value, full);
    const place = names.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), name);
    const [own, part = '0'] = place.split(/[#@]/) as [string, string?];
    const list = parts.get(own) ?? [];
    const matrix: AnyTensor = transposed?.test(name) === true ? value.transpose(0, 1) : value;
    list[Number(part)] = place.includes('@') ? matrix.unsqueeze(0) : matrix;
    parts.set(own, list);
  }
  for (const [name, list] of parts) {
    if (list.includes(undefined as never))
      throw new ArgumentError(`${owner}: weights: ${name}: some parts are missing`);
  }
  return noGrad(() =>
    Object.fromEntries(
      [...parts].flatMap(([name, list]) => separated(name, list.length === 1 ? list[0]! : cat(list, 0))),
    ),
  );
}

/** The parts of a tensor by their names; see `Translation.names`. */
function separated(name: string, value: AnyTensor): [string, AnyTensor][] {
  const [choice, list] = /\(([^)]*)\)/.exec(name) ?? [];
  if (choice === undefined) return [[name, value]];
  const names = list!.split('|').map((each) => name.replace(choice, each));
  return value.chunk(names.length, 0).map((part, i) => [names[i]!, part]);
}

/** The numbers of a model's `config.json`, by their names there. */
export type Config = Readonly<Record<string, unknown>>;

const weightFiles = ['model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin'];

/** Reads the configuration and the weights of a model in `folder`. */
export async function readPublished(owner: string, folder: string): Promise<{ config: Config; weights: StateDict }> {
  checkPath(owner, folder, 'folder');
  const file = weightFiles.find((name) => existsSync(join(folder, name)));
  if (file === undefined) {
    throw new ArgumentError(`${owner}: folder: got ${folder} without weights, expected ${weightFiles.join(' or ')}`);
  }
  return {
    config: await readConfig(owner, join(folder, 'config.json')),
    weights: (await load(join(folder, file))) as StateDict,
  };
}

/** Reads what a folder says of how to generate, where it has a file for that. */
export async function readGeneration(owner: string, folder: string): Promise<Config | undefined> {
  const file = join(folder, 'generation_config.json');
  return existsSync(file) ? readConfig(owner, file) : undefined;
}

async function readConfig(owner: string, file: string): Promise<Config> {
  let config: unknown;
  try {
    config = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new FormatError(`${owner}: ${file}: ${(error as Error).message}`, { file });
  }
  if (typeof config !== 'object' || config === null) {
    throw new FormatError(`${owner}: ${file}: got ${describe(config)}, expected an object`, { file });
  }
  return config as Config;
}

/** A number of a configuration; `fallback` where it is left out. */
export function configured(owner: string, config: Config, name: string, fallback?: number): number {
  const value = config[name] ?? fallback;
  if (typeof value === 'number') return value;
  throw new FormatError(`${owner}: config.json: ${name}: got ${describe(value)}, expected a number`);
}

/** A list of numbers of a configuration; an empty one where it is left out. */
export function configuredList(owner: string, config: Config, name: string): readonly number[] {
  const value = config[name] ?? [];
  if (Array.isArray(value) && value.every((each) => typeof each === 'number')) return value;
  throw new FormatError(`${owner}: ${name}: got ${describe(value)}, expected numbers`);
}

/** Throws unless each option that a configuration sets is among those that the model knows; one left out is the first of them. */
export function checkConfigured(owner: string, config: Config, options: Record<string, readonly unknown[]>): void {
  for (const [name, known] of Object.entries(options)) {
    const value = config[name] ?? known[0];
    if (known.includes(value)) continue;
    throw new ArgumentError(
      `${owner}: config.json: ${name}: got ${shown(value)}, expected ${known.map(String).join(' or ')}`,
    );
  }
}
