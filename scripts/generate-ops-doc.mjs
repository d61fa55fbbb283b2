// Writes docs/ops.md: every public op with its signature, dtypes, orders of gradient, devices and one line of what it does. With --check it
// writes nothing and fails when the file is stale. Signatures and sentences are read from the sources; dtypes and orders are those that the
// samples of the tests use; an op runs on CUDA when native/cuda has all kernels that its samples ran. Needs the built addon, and tsx.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'docs/ops.md');
const allFloats = ['float64', 'float32', 'float16', 'bfloat16'];
const allIntegers = ['int64', 'int32', 'int16', 'int8', 'uint8'];

/** The functions that lib/ops exports: name, first declaration and family (the title of its file). */
function publicOps() {
  const program = ts.createProgram([join(root, 'lib/ops/index.ts')], {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.Node16,
    moduleResolution: ts.ModuleResolutionKind.Node16,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    strict: true,
  });
  const checker = program.getTypeChecker();
  const index = checker.getSymbolAtLocation(program.getSourceFile(join(root, 'lib/ops/index.ts')));
  return checker
    .getExportsOfModule(index)
    .map((exported) => ({
      name: exported.name,
      symbol: exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported,
    }))
    .filter(({ symbol }) => symbol.declarations?.some(ts.isFunctionDeclaration))
    .map(({ name, symbol }) => {
      // Overloads come before the implementation; the comment stands at the first.
      const declaration = symbol.declarations.find(ts.isFunctionDeclaration);
      const sentence = ts.displayPartsToString(symbol.getDocumentationComment(checker)).replace(/\s+/g, ' ');
      return {
        name,
        signature: `${name}(${declaration.parameters.map((p) => parameterOf(p, checker)).join(', ')})`,
        sentence: firstSentence(sentence),
        family: familyOf(declaration.getSourceFile()),
      };
    })
    .filter(({ sentence, name }) => sentence !== '' && !helpers.has(name));
}

/** Exported for other files of lib, not for users. */
const helpers = new Set(['creation', 'ownShape', 'checkDType']);

function parameterOf(parameter, checker) {
  const name = parameter.name.getText();
  const isOptional = parameter.questionToken !== undefined || parameter.initializer !== undefined;
  if (parameter.dotDotDotToken !== undefined) return `...${name}`;
  if (!/^(options|\{)/.test(name)) return isOptional ? `${name}?` : name;
  const type = checker.getNonNullableType(checker.getTypeAtLocation(parameter));
  const fields = checker.getPropertiesOfType(type).map((property) => property.name);
  return `{ ${fields.join(', ')} }${isOptional ? '?' : ''}`;
}

function firstSentence(text) {
  const links = text.replace(/\{@link (\w+)\}/g, '`$1`');
  const end = /[.:;](?= [A-Z`{]|$)/.exec(links);
  return (end === null ? links : links.slice(0, end.index)).replaceAll('|', '\\|');
}

/** What a file says it owns, up to the first stop. */
function familyOf(file) {
  const opening = /^\/\*\*([^]*?)\*\//.exec(file.text)?.[1] ?? '';
  return opening
    .replace(/^\s*\* ?/gm, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .split(/[:.;] |\.$/)[0];
}

/** The ops that native/cuda has kernels for. */
function cudaKernels() {
  let files = [];
  try {
    files = readdirSync(join(root, 'native/cuda'), { recursive: true });
  } catch {
    // A checkout without CUDA sources.
  }
  const sources = files
    .filter((name) => /\.(cu|cc)$/.test(name))
    .map((name) => readFileSync(join(root, 'native/cuda', name), 'utf8'));
  return new Set(sources.flatMap((text) => [...text.matchAll(/HADAL_CUDA_KERNEL\((\w+)\)/g)].map(([, name]) => name)));
}

/** What the samples of each op tell: dtypes, the highest order of gradient, and the native ops that they ran. */
async function sampled() {
  const { samplesByOp } = await import('../test/ops/samples.ts');
  const { Draw, titleOf } = await import('../test/ops/sample.ts');
  const { observeSubmissions } = await import('../lib/runtime/recorder.ts');
  let executed = new Set();
  observeSubmissions((name) => executed.add(name));
  const found = new Map();
  for (const [op, samples] of samplesByOp) {
    const kernels = new Set();
    for (const sample of samples) {
      const inputs = sample.inputs(new Draw(titleOf(sample)), sample.dtypes[0]);
      executed = kernels;
      sample.call(...inputs);
      executed = new Set();
    }
    found.set(op, {
      dtypes: new Set(samples.flatMap(({ dtypes }) => dtypes)),
      order: Math.max(...samples.map(({ order }) => order)),
      kernels: [...kernels],
    });
  }
  return found;
}

function dtypesOf(dtypes) {
  const groups = [
    [allFloats, 'floats'],
    [allIntegers, 'integers'],
  ];
  const left = new Set(dtypes);
  const words = [];
  for (const [members, name] of groups) {
    if (!members.every((dtype) => left.has(dtype))) continue;
    words.push(name);
    members.forEach((dtype) => left.delete(dtype));
  }
  return [...words, ...left].join(', ');
}

function render(ops, samples, cuda) {
  const families = new Map();
  for (const op of ops) families.set(op.family, [...(families.get(op.family) ?? []), op]);
  const sections = [...families].map(([family, members]) => {
    const rows = members.map(({ name, signature, sentence }) => {
      // The form that waits without blocking has the sample of the one that blocks.
      const sample = samples.get(name) ?? samples.get(`${name}Sync`);
      const dtypes = sample === undefined ? '' : dtypesOf(sample.dtypes);
      const order = sample === undefined ? '' : ['none', 'first', 'first, second'][sample.order];
      const devices =
        sample === undefined ? '' : sample.kernels.every((kernel) => cuda.has(kernel)) ? 'CPU, CUDA' : 'CPU';
      return `| \`${signature}\` | ${dtypes} | ${order} | ${devices} | ${sentence} |`;
    });
    return `## ${family}\n\n| op | dtypes | gradients | devices | |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `# Ops

Written by \`npm run generate\`: do not edit. ${ops.length} ops, each exported from \`hadal\`; most are methods of tensors too. Dtypes and orders of gradient are those that the tests
check; an op without entries has tests of its own. CUDA is listed where every kernel that the op runs is there.

${sections.join('\n')}`;
}

const isCheck = process.argv.includes('--check');
let samples;
try {
  samples = await sampled();
} catch (error) {
  console.error(
    `docs/ops.md: not ${isCheck ? 'checked' : 'written'}, as the ops do not run; build the addon first: ${error.message}`,
  );
  process.exit(isCheck ? 1 : 0);
}
const wanted = render(publicOps(), samples, cudaKernels());
if (!isCheck) {
  writeFileSync(target, wanted);
} else if (wanted !== readFileSync(target, 'utf8')) {
  console.error('docs/ops.md does not match the ops: run `npm run generate`');
  process.exit(1);
}
process.exit(0);
