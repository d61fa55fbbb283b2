// The floors of the house: a file of lib/ imports only from floors below its own, and nothing imports in circles. In native/,
// Node-API stays in binding/, and kernels know neither binding/ nor the streams that run them.
import { readdirSync, readFileSync } from 'node:fs';
import { sep } from 'node:path';
import { dirname, join, relative } from 'node:path/posix';
import ts from 'typescript';

const root = join(__dirname.replaceAll(sep, '/'), '..');
const floors = [
  ['errors'],
  ['native'],
  ['runtime'],
  ['tensor'],
  ['ops'],
  ['autograd'],
  ['io'],
  ['nn', 'optim', 'data', 'distributions'],
  ['distributed'],
  ['train'],
  ['models', 'onnx'],
  ['index'],
  ['cli'],
];

const filesUnder = (folder: string, ending: RegExp): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => ending.test(name))
    .map((name) => join(folder, name.replaceAll(sep, '/')))
    .sort();

const sources = filesUnder('lib', /(?<!\.d)\.ts$/);

/** `lib/tensor/shape.ts` → `tensor`, `lib/errors.ts` → `errors`. */
const roomOf = (file: string): string => (relative('lib', file).split('/')[0] as string).replace(/\.ts$/, '');
const floorOf = (file: string): number => floors.findIndex((rooms) => rooms.includes(roomOf(file)));

/** The files of lib/ that a file imports or re-exports; `typeOnly` says whether the import vanishes in JavaScript. */
function importsOf(file: string): { target: string; typeOnly: boolean }[] {
  const tree = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest);
  return tree.statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return [];
    const specifier = statement.moduleSpecifier;
    if (!specifier || !ts.isStringLiteral(specifier) || !specifier.text.startsWith('.')) return [];
    const path = join(dirname(file), specifier.text);
    const target = [`${path}.ts`, join(path, 'index.ts')].find((candidate) => sources.includes(candidate));
    return target === undefined ? [] : [{ target, typeOnly: isTypeOnly(statement) }];
  });
}

function isTypeOnly(statement: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(statement)) return statement.isTypeOnly;
  const clause = statement.importClause;
  if (!clause) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const names = clause.namedBindings;
  return (
    !clause.name && names !== undefined && ts.isNamedImports(names) && names.elements.every((name) => name.isTypeOnly)
  );
}

test('every folder of lib/ has a floor', () => {
  expect([...new Set(sources.filter((file) => floorOf(file) < 0).map(roomOf))]).toEqual([]);
});

test('a file imports only from floors below its own', () => {
  const climbs = sources.flatMap((file) =>
    importsOf(file)
      .filter(({ target }) => roomOf(target) !== roomOf(file) && floorOf(target) >= floorOf(file))
      .map(({ target }) => `${file} imports ${target}`),
  );
  expect(climbs).toEqual([]);
});

test('nothing imports in circles', () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (path.includes(file) || done.has(file)) return;
    for (const { target, typeOnly } of importsOf(file)) if (!typeOnly) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of sources) visit(file, []);
  expect(circles).toEqual([]);
});

test('native folders include only what they may know', () => {
  const forbidden: [folder: string, include: RegExp][] = [
    ['native/system', /^(napi\.h|node_api\.h|js_native_api|binding\/|runtime\/|kernels\/|cpu\/|cuda\/)/],
    ['native/runtime', /^(napi\.h|node_api\.h|js_native_api|binding\/|cpu\/|cuda\/)/],
    ['native/kernels', /^(napi\.h|node_api\.h|js_native_api|binding\/|cpu\/(?!simd\.h)|cuda\/)/],
    [
      'native/cpu',
      /^(napi\.h|node_api\.h|js_native_api|binding\/|cuda\/|runtime\/(cpu_stream|thread_pool|allocator|storage))/,
    ],
  ];
  // Only native/system knows the operating system.
  const system =
    /^(sys\/|linux\/|mach\/|windows\.h|unistd\.h|dlfcn\.h|fcntl\.h|pthread\.h|sched\.h|malloc\.h|spawn\.h|csignal)/;
  for (const folder of ['native/binding', 'native/runtime', 'native/kernels', 'native/cpu'])
    forbidden.push([folder, system]);
  const breaches = forbidden.flatMap(([folder, include]) =>
    filesUnder(folder, /\.(cc|h)$/).flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/^#include [<"](.+)[>"]/gm)]
        .filter(([, name]) => include.test(name as string))
        .map(([, name]) => `${file} includes ${name}`),
    ),
  );
  expect(breaches).toEqual([]);
});
