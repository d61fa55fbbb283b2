/**
 * Checkpoints: everything a run needs to go on as if it had never stopped, in one safetensors file that appears whole or not at all. It
 * owns the file's form; what goes in comes from the parts (modules, optimizers, schedules, loaders), and checkpoint-folder.ts says
 * which files are kept.
 */
import { ArgumentError } from '../errors';
import { malformed } from '../io/malformed';
import { checkPath } from '../io/paths';
import { JsonText, type JsonValue } from '../io/json-text';
import { writeSafetensors } from '../io/safetensors';
import { SafetensorsFile } from '../io/safetensors-file';
import { tensor } from '../ops/creation';
import { checkObject, checkOptions } from '../ops/define';
import type { Device } from '../runtime/device';
import { getRandomState, setRandomState, type RandomState } from '../runtime/random';
import { checkMethods } from '../tensor/checks';
import { describe } from '../tensor/describe';
import { Tensor, type AnyTensor } from '../tensor/tensor';

/** Something whose state is saved and loaded: a module, an optimizer, a schedule, a metric. */
export interface Stateful {
  stateDict(): unknown;
  loadStateDict(state: never): unknown;
}

/** Something that is at a place and can go on there: a data loader. */
export interface Positioned {
  state(): unknown;
  restore(state: never): void;
}

export type CheckpointPart = Stateful | Positioned;

/** What a checkpoint holds beside its parts: numbers, strings, booleans, null and tensors in arrays and plain objects. */
export type CheckpointData = Readonly<Record<string, unknown>>;

const isStateful = (part: unknown): part is Stateful =>
  typeof (part as Partial<Stateful> | null | undefined)?.loadStateDict === 'function';
const isPositioned = (part: unknown): part is Positioned =>
  typeof (part as Partial<Positioned> | undefined)?.restore === 'function';

const KEY = 'hadal.checkpoint';
const VERSION = 1;

/**
 * Writes a checkpoint: the state of each part, the state of the random generator, and plain data. The file appears, or is replaced, only once all of it
 * is on the disk: whenever the process dies, the file is the old one or the new one. Do not change the parts before the promise is fulfilled.
 *
 * @throws ArgumentError naming the place of data that cannot be saved; HadalError with the system's code, such as `'ENOSPC'`.
 * @example
 * await train.saveCheckpoint('run.safetensors', { model, optimizer, loader, progress: { step, bestLoss } });
 */
export async function saveCheckpoint(
  path: string,
  parts: Readonly<Record<string, unknown>>,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  checkPath('saveCheckpoint', path);
  checkObject('saveCheckpoint', parts, 'parts');
  checkOptions('saveCheckpoint', options);
  const tensors: Record<string, AnyTensor> = {};
  const names = new Map<AnyTensor, string>();
  const encoder = (value: unknown, place: string): JsonValue => {
    if (value instanceof Tensor) {
      const x = value as AnyTensor;
      const name = names.get(x) ?? unused(place, tensors);
      names.set(x, name);
      tensors[name] = x;
      return { $tensor: name };
    }
    return encodePlain(value, place, encoder);
  };
  const states = Object.entries(parts).map(([name, part]) => {
    const state = isStateful(part) ? part.stateDict() : isPositioned(part) ? part.state() : part;
    return [name, encoder(state, name)] as const;
  });
  const content = { version: VERSION, random: getRandomState(), parts: Object.fromEntries(states) };
  await writeSafetensors(path, tensors, { ...options, metadata: { [KEY]: JSON.stringify(content) } });
}

function unused(name: string, taken: Readonly<Record<string, unknown>>): string {
  let free = name;
  for (let i = 2; Object.hasOwn(taken, free); i++) free = `${name}#${i}`;
  return free;
}

/** JSON has no numbers that are not finite, nor -0: they are spelled. A key that begins with $ is kept apart from such spellings. */
function encodePlain(value: unknown, place: string, encode: (value: unknown, place: string) => JsonValue): JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    if (Object.is(value, -0)) return { $number: '-0' };
    return Number.isFinite(value) ? value : { $number: String(value) };
  }
  if (Array.isArray(value)) return value.map((each, i) => encode(each, `${place}.${i}`));
  if (!isPlainObject(value)) {
    throw new ArgumentError(
      `saveCheckpoint: ${place}: got ${describe(value)}, expected a tensor, number, string, boolean, null, array or plain object`,
    );
  }
  const entries = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .map(([key, each]) => [key, encode(each, `${place}.${key}`)] as const);
  const object = Object.fromEntries(entries);
  return entries.some(([key]) => key.startsWith('$')) ? { $object: object } : object;
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

export interface LoadCheckpointOptions {
  /** Where tensors are put; `'cpu'` unless given. */
  readonly device?: Device;
  /** Whether the random generator goes on where it was; true unless given. */
  readonly random?: boolean;
}

/**
 * Reads a checkpoint: each part goes on from its saved state, as does the random generator. Answers whatever else was saved. A saved part
 * that is not given is among it, as plain data.
 *
 * @throws FormatError when the file is not one that {@link saveCheckpoint} wrote; ArgumentError when it lacks a part, or a part does not take its state.
 * @example
 * const { progress } = await train.loadCheckpoint('run.safetensors', { model, optimizer, loader });
 */
export async function loadCheckpoint(
  path: string,
  parts: Readonly<Record<string, CheckpointPart>> = {},
  options: LoadCheckpointOptions = {},
): Promise<Record<string, unknown>> {
  checkOptions('loadCheckpoint', options);
  checkObject('loadCheckpoint', parts, 'parts');
  for (const [name, part] of Object.entries(parts)) {
    if (!isStateful(part)) checkMethods('loadCheckpoint', name, part, ['restore']);
  }
  const { device = 'cpu', random = true } = options;
  await using file = await SafetensorsFile.open(path);
  const text = file.metadata[KEY];
  if (text === undefined) {
    throw malformed('loadCheckpoint', path, '__metadata__', 'header', 'no checkpoint', `an entry ${KEY}`);
  }
  const content = JsonText.parse('loadCheckpoint', path, Buffer.from(text)).object();
  const version = content.required('version');
  if (version.value !== VERSION) version.wrong(String(VERSION));
  const tensors = new Map<string, AnyTensor>();
  for (const name of file.tensors.keys()) {
    const { data, dtype, shape } = await file.read(name);
    tensors.set(name, tensor(data, { dtype, shape, device }).keep());
  }
  const saved = content
    .required('parts')
    .object()
    .entries()
    .map(([name, state]) => [name, decode(state, tensors)] as const);
  const states = new Map<string, unknown>(saved);
  for (const name of Object.keys(parts)) {
    if (states.has(name)) continue;
    const has = [...states.keys()].join(', ');
    throw new ArgumentError(`loadCheckpoint: ${path}: no part ${JSON.stringify(name)}: got ${has}`);
  }
  const state = decode(content.required('random'), tensors) as RandomState;
  for (const [name, part] of Object.entries(parts)) {
    if (isStateful(part)) part.loadStateDict(states.get(name) as never);
    else part.restore(states.get(name) as never);
  }
  if (random) setRandomState(state);
  return Object.fromEntries(saved.filter(([name]) => !Object.hasOwn(parts, name)));
}

function decode(text: JsonText, tensors: ReadonlyMap<string, AnyTensor>): unknown {
  const { value } = text;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return text.array().map((each) => decode(each, tensors));
  const object = text.object();
  const inner = object.optional('$object');
  if (inner !== undefined) return decodeEntries(inner.object().entries(), tensors);
  const name = object.optional('$tensor');
  if (name !== undefined) return tensors.get(name.string()) ?? name.wrong('the name of a tensor in the file');
  const number = object.optional('$number');
  if (number !== undefined) return Number(number.oneOf('NaN', 'Infinity', '-Infinity', '-0'));
  return decodeEntries(object.entries(), tensors);
}

const decodeEntries = (entries: readonly [string, JsonText][], tensors: ReadonlyMap<string, AnyTensor>): unknown =>
  Object.fromEntries(entries.map(([key, each]) => [key, decode(each, tensors)]));
