// Writes lib/native/opcodes.ts from native/ops.def. With --check it writes nothing and fails when the file is stale.
//
// The fingerprint is a 32-bit FNV-1a hash over `name(inputs)(outputs)(attributes)` of every op in order. The native core
// computes the same from the same list (ops_fingerprint), and the loader compares the two.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const source = fileURLToPath(new URL('../native/ops.def', import.meta.url));
const target = fileURLToPath(new URL('../lib/native/opcodes.ts', import.meta.url));

// One canonical spelling, so that a list reads the same to the C preprocessor's `#` as it does here.
const name = '(?:\\.\\.\\.)?[A-Za-z]\\w*\\??';
const list = `(\\((?:${name}(?:, ${name})*)?\\))`;
const opLine = new RegExp(`^HADAL_OP\\(([a-z]\\w*), ${list}, ${list}, ${list}, [a-z]\\w*\\)$`);

export function parseOps(text) {
  const ops = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('//')) continue;
    const match = opLine.exec(line);
    if (!match)
      throw new Error(`native/ops.def:${index + 1}: expected HADAL_OP(name, (a, b?), (y), (attribute), check)`);
    const [, name, inputs, outputs, attributes] = match;
    if (ops.some((op) => op.name === name)) throw new Error(`native/ops.def:${index + 1}: ${name} is listed twice`);
    ops.push({ name, inputs, outputs, attributes });
  }
  return ops;
}

export function fingerprint(ops) {
  let hash = 0x811c9dc5;
  for (const { name, inputs, outputs, attributes } of ops) {
    for (const byte of Buffer.from(name + inputs + outputs + attributes))
      hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash;
}

const names = (list) => JSON.stringify(list.slice(1, -1).split(', ').filter(Boolean));

export function render(ops) {
  return `// Generated from native/ops.def by \`npm run generate\`: do not edit.

/** The number of every native op, as records carry it. */
export const Op = {
${ops.map((op, code) => `  ${op.name}: ${code},`).join('\n')}
} as const;

export type OpName = keyof typeof Op;

/** Names of an op's tensors and attributes. \`x?\` may be absent; \`...xs\` is any number. */
export interface OpSignature {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly string[];
}

export const opSignatures: { readonly [name in OpName]: OpSignature } = {
${ops.map((op) => `  ${op.name}: { inputs: ${names(op.inputs)}, outputs: ${names(op.outputs)}, attributes: ${names(op.attributes)} },`).join('\n')}
};

/** Of names, inputs, outputs and attributes of all ops in order: the native core must report the same. */
export const opsFingerprint = 0x${fingerprint(ops).toString(16).padStart(8, '0')};
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = { ...(await resolveConfig(target)), filepath: target };
  const wanted = await format(render(parseOps(readFileSync(source, 'utf8'))), options);
  if (!process.argv.includes('--check')) {
    writeFileSync(target, wanted);
  } else {
    let present = '';
    try {
      present = readFileSync(target, 'utf8');
    } catch {
      // A missing file is a stale one.
    }
    if (present !== wanted) {
      console.error('lib/native/opcodes.ts does not match native/ops.def: run `npm run generate`');
      process.exit(1);
    }
  }
}
