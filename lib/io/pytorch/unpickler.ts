/**
 * A restricted unpickler (https://docs.python.org/3/library/pickletools.html): bytes to numbers, strings, lists, tuples, dictionaries and what a
 * table of permitted globals makes. Python's would import any module and call any function; this one can only look into that table, so a
 * hostile pickle executes nothing. What it builds is never larger than a constant times the pickle.
 */
import { excerpt, malformed } from '../malformed';

/** What a permitted global does when it is called; `fail` throws with the call's place. */
export interface PickleGlobal {
  readonly name: string;
  call?(args: readonly unknown[], fail: (what: string) => never): unknown;
}

/** A tuple; a list is a plain array. */
export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

export interface UnpickleContext {
  readonly op: string;
  readonly file: string;
  /** Where the bytes begin in their file. */
  readonly start: number;
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** What a persistent id means. */
  persistent(id: unknown, fail: (what: string) => never): unknown;
}

/** Unpickles the first pickle in `bytes`; `end` is where it stops. Dictionaries become Maps. */
export function unpickle(bytes: Uint8Array, context: UnpickleContext): { value: unknown; end: number } {
  return new Unpickler(bytes, context).run();
}

class Unpickler {
  #at = 0;
  /** Of the operation being carried out. */
  #opcodeAt = 0;
  readonly #stack: unknown[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  readonly #buffer: Buffer;

  constructor(
    bytes: Uint8Array,
    private readonly context: UnpickleContext,
  ) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): { value: unknown; end: number } {
    for (;;) {
      this.#opcodeAt = this.#at;
      const opcode = this.take(1)[0]!;
      if (opcode === 0x2e) return { value: this.pop(), end: this.#at }; // STOP
      const operation = operations[opcode];
      if (operation === undefined) {
        this.fail('pickle operation', `0x${opcode.toString(16).padStart(2, '0')}`, 'one that builds plain data');
      }
      operation(this);
    }
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }
  pop(): unknown {
    if (this.#stack.length === 0 || this.#stack.length === this.#marks.at(-1)) {
      this.fail('pickle stack', 'nothing', 'a value to take');
    }
    return this.#stack.pop();
  }
  top(): unknown {
    const value = this.pop();
    this.push(value);
    return value;
  }
  mark(): void {
    this.#marks.push(this.#stack.length);
  }
  /** Everything above the last mark. */
  popMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) this.fail('pickle stack', 'no mark', 'one to take values from');
    return this.#stack.splice(mark);
  }
  popMany(count: number): unknown[] {
    const values = Array.from({ length: count }, () => this.pop());
    return values.reverse();
  }

  remember(key: number, value = this.top()): void {
    this.#memo.set(key, value);
  }
  memoize(): void {
    this.remember(this.#memo.size);
  }
  recall(key: number): void {
    if (!this.#memo.has(key)) this.fail('pickle memo', `number ${key}`, 'one that was remembered');
    this.push(this.#memo.get(key));
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (!(end <= this.#buffer.length)) {
      this.fail('pickle is cut off', `${this.#buffer.length - this.#at} bytes`, `${length} more`);
    }
    const bytes = this.#buffer.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
  line(): string {
    const end = this.#buffer.indexOf(0x0a, this.#at);
    if (end < 0) this.fail('pickle is cut off', 'its end', 'a line');
    return this.take(end + 1 - this.#at)
      .toString('utf8')
      .slice(0, -1);
  }
  uint8(): number {
    return this.take(1)[0]!;
  }
  uint16(): number {
    return this.take(2).readUInt16LE();
  }
  int32(): number {
    return this.take(4).readInt32LE();
  }
  uint32(): number {
    return this.take(4).readUInt32LE();
  }
  uint64(): number {
    return Number(this.take(8).readBigUInt64LE());
  }

  global(module: string, name: string): void {
    const full = `${module}.${name}`;
    const found = this.context.globals.get(full);
    if (found === undefined) {
      this.fail('global', excerpt(full), 'one that a checkpoint of tensors and plain data needs');
    }
    this.push(found);
  }
  reduce(): void {
    const args = this.pop();
    const callee = this.pop() as Partial<PickleGlobal> | null;
    if (typeof callee?.call !== 'function' || callee instanceof Map) {
      this.fail('call', 'something that cannot be called', 'a permitted global');
    }
    if (!(args instanceof Tuple)) this.fail('call', 'arguments that are no tuple', 'a tuple');
    this.push(callee.call(args.items, this.failure(`arguments of ${callee.name}`)));
  }
  persistent(id: unknown): void {
    this.push(this.context.persistent(id, this.failure('persistent id')));
  }
  /** The state of an object: PyTorch gives its dictionaries one (`_metadata`), which says nothing about tensors. */
  build(): void {
    this.pop();
    if (!(this.top() instanceof Map)) this.fail('state', 'that of an object', 'that of a dictionary');
  }

  append(values: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) this.fail('append', 'something else', 'a list');
    for (const value of values) list.push(value);
  }
  setItems(values: readonly unknown[]): void {
    const target = this.top();
    if (!(target instanceof Map)) this.fail('set item', 'something else', 'a dictionary');
    if (values.length % 2 !== 0) this.fail('set item', `${values.length} values`, 'pairs');
    for (let i = 0; i < values.length; i += 2) target.set(this.key(values[i]), values[i + 1]);
  }
  dictionary(values: readonly unknown[]): void {
    this.push(new Map());
    this.setItems(values);
  }
  addItems(values: readonly unknown[]): void {
    const target = this.top();
    if (!(target instanceof Set)) this.fail('add', 'something else', 'a set');
    for (const value of values) target.add(this.key(value));
  }
  set(values: readonly unknown[]): void {
    this.push(new Set());
    this.addItems(values);
  }

  number(text: string, pattern: RegExp): void {
    if (!pattern.test(text)) this.fail('number', excerpt(text), 'decimal digits');
    this.push(plainNumber(text));
  }
  /** Little-endian two's complement. */
  long(length: number): void {
    if (length > 1024) this.fail('number', `${length} bytes`, 'at most 1024');
    const digits = Buffer.from(this.take(length)).reverse().toString('hex');
    const value = length === 0 ? 0n : BigInt.asIntN(8 * length, BigInt(`0x${digits}`));
    this.push(plainInteger(value));
  }

  failure(what: string): (got: string) => never {
    return (got) => this.fail(what, got, 'what PyTorch writes');
  }
  fail(what: string, got: string, expected: string): never {
    const { op, file, start } = this.context;
    throw malformed(op, file, start + this.#opcodeAt, what, got, expected);
  }

  private key(value: unknown): unknown {
    if (value instanceof Tuple) return JSON.stringify(value.items);
    if (value === null || typeof value !== 'object') return value;
    return this.fail('key', 'an object', 'a string or a number');
  }
}

const plainInteger = (value: bigint): number | bigint =>
  BigInt.asIntN(54, value) === value && Number.isSafeInteger(Number(value)) ? Number(value) : value;
const plainNumber = (text: string): number | bigint =>
  /^[-+]?\d+$/.test(text) ? plainInteger(BigInt(text.replace('+', ''))) : Number(text);

type Operation = (vm: Unpickler) => void;
const text =
  (length: (vm: Unpickler) => number, encoding: 'utf8' | 'latin1' = 'utf8'): Operation =>
  (vm) =>
    vm.push(vm.take(length(vm)).toString(encoding));
const bytes =
  (length: (vm: Unpickler) => number): Operation =>
  (vm) =>
    vm.push(Uint8Array.from(vm.take(length(vm))));
const tuple =
  (count: number): Operation =>
  (vm) =>
    vm.push(new Tuple(vm.popMany(count)));

const byLetter: Readonly<Record<string, Operation>> = {
  '\x80': (vm) => vm.uint8(), // PROTO
  '\x95': (vm) => vm.uint64(), // FRAME
  '(': (vm) => vm.mark(),
  '0': (vm) => vm.pop(),
  '1': (vm) => vm.popMark(),
  '2': (vm) => vm.push(vm.top()),
  N: (vm) => vm.push(null),
  '\x88': (vm) => vm.push(true),
  '\x89': (vm) => vm.push(false),
  I: (vm) => {
    const line = vm.line();
    if (line === '00' || line === '01') vm.push(line === '01');
    else vm.number(line, /^[-+]?\d{1,1000}$/);
  },
  J: (vm) => vm.push(vm.int32()),
  K: (vm) => vm.push(vm.uint8()),
  M: (vm) => vm.push(vm.uint16()),
  L: (vm) => vm.number(vm.line().replace(/L$/, ''), /^[-+]?\d{1,1000}$/),
  '\x8a': (vm) => vm.long(vm.uint8()),
  '\x8b': (vm) => vm.long(vm.uint32()),
  F: (vm) => {
    const line = vm.line();
    const special = { inf: Infinity, '-inf': -Infinity, nan: NaN }[line];
    if (special !== undefined) vm.push(special);
    else vm.number(line, /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/);
  },
  G: (vm) => vm.push(vm.take(8).readDoubleBE()),
  T: text((vm) => vm.uint32(), 'latin1'),
  U: text((vm) => vm.uint8(), 'latin1'),
  V: (vm) => vm.push(vm.line()),
  X: text((vm) => vm.uint32()),
  '\x8c': text((vm) => vm.uint8()),
  '\x8d': text((vm) => vm.uint64()),
  B: bytes((vm) => vm.uint32()),
  C: bytes((vm) => vm.uint8()),
  '\x8e': bytes((vm) => vm.uint64()),
  '\x96': bytes((vm) => vm.uint64()),
  ']': (vm) => vm.push([]),
  a: (vm) => {
    const value = vm.pop();
    vm.append([value]);
  },
  e: (vm) => {
    const values = vm.popMark();
    vm.append(values);
  },
  l: (vm) => vm.push(vm.popMark()),
  ')': tuple(0),
  '\x85': tuple(1),
  '\x86': tuple(2),
  '\x87': tuple(3),
  t: (vm) => vm.push(new Tuple(vm.popMark())),
  '}': (vm) => vm.push(new Map()),
  d: (vm) => vm.dictionary(vm.popMark()),
  s: (vm) => vm.setItems(vm.popMany(2)),
  u: (vm) => vm.setItems(vm.popMark()),
  '\x8f': (vm) => vm.push(new Set()),
  '\x90': (vm) => vm.addItems(vm.popMark()),
  '\x91': (vm) => vm.set(vm.popMark()),
  c: (vm) => {
    const module = vm.line();
    vm.global(module, vm.line());
  },
  '\x93': (vm) => {
    const [module, name] = vm.popMany(2);
    if (typeof module !== 'string' || typeof name !== 'string') return vm.fail('global', 'no name', 'two strings');
    return vm.global(module, name);
  },
  R: (vm) => vm.reduce(),
  b: (vm) => vm.build(),
  P: (vm) => vm.persistent(vm.line()),
  Q: (vm) => vm.persistent(vm.pop()),
  p: (vm) => vm.remember(Number(vm.line())),
  q: (vm) => vm.remember(vm.uint8()),
  r: (vm) => vm.remember(vm.uint32()),
  '\x94': (vm) => vm.memoize(),
  g: (vm) => vm.recall(Number(vm.line())),
  h: (vm) => vm.recall(vm.uint8()),
  j: (vm) => vm.recall(vm.uint32()),
};
const operations: (Operation | undefined)[] = [];
for (const [letter, operation] of Object.entries(byLetter)) operations[letter.charCodeAt(0)] = operation;
