import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { createProgram, differences } from './diagnose';

const files = readdirSync(__dirname)
  .filter((name) => name.endsWith('.test-d.ts'))
  .map((name) => join(__dirname, name));

describe('the compiler accepts what is good and explains what is not', () => {
  const program = createProgram(files);

  test.each(files.map((file) => [file.slice(__dirname.length + 1), file]))('%s', (_, file) => {
    expect(differences(program, file)).toEqual([]);
  });
});

describe('the comparison itself', () => {
  const file = join(__dirname, 'virtual.test-d.ts');
  const compare = (text: string): string[] => differences(createProgram([file], new Map([[file, text]])), file);

  test('reports what is missing, unexpected, different and double', () => {
    const text = `
      export const good: number = 1;
      export const announced: number = 'a'; // error: Type 'string' is not assignable
      export const missing: number = 1; // error: Type 'string'
      export const unexpected: number = 'a';
      export const different: number = 'a'; // error: no such text
      export const double: [number, number] = ['a', 'b']; // error: Type 'string'
    `;
    const string = "Type 'string' is not assignable to type 'number'.";
    expect(compare(text)).toEqual([
      "line 4: no error, expected: Type 'string'",
      `line 5: unexpected: ${string}`,
      `line 6: expected: no such text\ngot: ${string}`,
      `line 7: 2 errors, expected one: ${string}\n${string}`,
    ]);
  });

  test('Expect, expectType and demand refuse what they should', () => {
    const text = `
      import { demand, expectType, type Equal, type Expect } from './expect';
      import type { Bad, Good } from '../../lib/tensor/shape-types';
      declare const pair: [number, 3];
      expectType<[number, 3]>().of(pair);
      expectType<[2, 3]>().of(pair); // error: Mismatch<[2, 3], [number, 3]>
      expectType<number[]>().of(pair); // error: Mismatch<number[], [number, 3]>
      expectType<any>().of(pair); // error: Mismatch<any, [number, 3]>
      export type Same = Expect<Equal<[2, 3], [2, 3]>>;
      export type Narrower = Expect<Equal<[2, 3], [number, 3]>>; // error: Type 'false' does not satisfy
      export type Any = Expect<Equal<[2, 3], any>>; // error: Type 'false' does not satisfy
      demand<Good>(0);
      demand<Bad<'why'>>(0); // error: ShapeError<"why">
    `;
    expect(compare(text)).toEqual([]);
  });
});
