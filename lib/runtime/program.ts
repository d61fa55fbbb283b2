/**
 * Turns a tape into a program of the addon: every storage that nobody sees from outside gets a place in one block, the arena, by when it is in
 * use; all others are bound by number. lib/autograd/compile.ts says which is which and runs the result.
 */
import type { NativeProgram } from '../native/addon';
import { callNative, native, words } from './native';
import { nextRandomBlocks, type RandomState } from './random';
import type { Storage } from './storage';
import type { LiveAttributes, Tape } from './tape';

/** A program that takes one storage per binding and, last, the arena. */
export interface Program {
  readonly native: NativeProgram;
  readonly device: number;
  readonly repeats: readonly (() => void)[];
  readonly live: readonly LiveAttributes[];
  readonly arenaBytes: number;
}

/**
 * Makes a program of the records on `tape`. `bindings` has the storages that stand for those outside, by their number on the tape; `randomStart` is
 * where the random stream was when the tape began.
 */
export function createProgram(tape: Tape, bindings: readonly number[], randomStart: RandomState): Program {
  const numbers = new Map(bindings.map((number, i) => [number, i]));
  const places = placed(tape, (number) => !numbers.has(number));
  for (const { number } of places) numbers.set(number, numbers.size);
  const all: number[] = [];
  const liveRecords: number[] = [];
  const live: LiveAttributes[] = [];
  tape.records.forEach((record, i) => {
    const start = all.length;
    for (const word of record.words) all.push(word);
    for (const at of record.tensors) all[start + at + 1] = numbers.get(record.words[at + 1]!)!;
    if (record.randomOffset !== undefined) all[start + record.randomOffset]! -= randomStart.offset;
    if (record.live !== undefined) {
      liveRecords.push(i);
      live.push(record.live);
    }
  });
  let made: NativeProgram | undefined;
  callNative(() => {
    made = native.createProgram(
      Float64Array.from(all),
      Float64Array.from(bindings, (number) => tape.storages[number]!.bytes),
      Float64Array.from(places.flatMap(({ offset, bytes }) => [offset, bytes])),
      Uint32Array.from(liveRecords),
    );
  }, 'compile');
  const arenaBytes = Math.max(0, ...places.map(({ offset, bytes }) => offset + bytes));
  return { native: made!, device: tape.records[0]?.words[1] ?? 0, repeats: tape.repeats, live, arenaBytes };
}

/** Runs a program on `storages`, the arena last; it takes `randomBlocks` from the random stream. */
export function replayProgram(program: Program, storages: readonly Storage[], randomBlocks: number): void {
  for (const repeat of program.repeats) repeat();
  let at = 0;
  for (const storage of storages) {
    words[at++] = storage.slot;
    words[at++] = storage.generation;
  }
  for (const part of nextRandomBlocks(randomBlocks)) words[at++] = part;
  for (const attributes of program.live) for (const value of attributes()) words[at++] = value;
  callNative(() => native.replay(program.native, program.device), 'compile');
}

/** A storage's place in the arena, and the first and the last record that use it. */
interface Place {
  readonly number: number;
  readonly bytes: number;
  readonly first: number;
  last: number;
  offset: number;
}

/** Kernels read whole cache lines, and a place shares none with another. */
const alignment = 64;

/** Places for the storages that are temporary: large ones first, each at the lowest offset that is free while it is in use. */
function placed(tape: Tape, isTemporary: (number: number) => boolean): Place[] {
  const places = new Map<number, Place>();
  tape.records.forEach((record, i) => {
    for (const at of record.tensors) {
      const number = record.words[at + 1]!;
      const place = places.get(number);
      if (place !== undefined) place.last = i;
      else if (isTemporary(number)) {
        const bytes = Math.ceil(tape.storages[number]!.bytes / alignment) * alignment;
        places.set(number, { number, bytes, first: i, last: i, offset: 0 });
      }
    }
  });
  const done: Place[] = [];
  for (const place of [...places.values()].sort((a, b) => b.bytes - a.bytes)) {
    const beside = done.filter((other) => other.first <= place.last && place.first <= other.last);
    for (const other of beside.sort((a, b) => a.offset - b.offset)) {
      if (other.offset >= place.offset + place.bytes) break;
      place.offset = Math.max(place.offset, other.offset + other.bytes);
    }
    done.push(place);
  }
  return done;
}
