// Compiles lib/ to dist/: CommonJS with types, and a thin ES module over it, so that both ways of importing share one copy of
// every class. The names of the ES module are read from the CommonJS one, which loads the addon: build that first.
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = resolve(root, process.argv[2] ?? 'dist');
const require = createRequire(import.meta.url);

rmSync(out, { recursive: true, force: true });
const tsc = spawnSync(
  process.execPath,
  [require.resolve('typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', out],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

const names = Object.keys(require(join(out, 'index.js')));
const list = (item) => names.map((name) => `  ${item(name)},\n`).join('');
writeFileSync(
  join(out, 'index.mjs'),
  `import hadal from './index.js';

const {
${list((name) => `${name}: _${name}`)}} = hadal;
export {
${list((name) => `_${name} as ${name}`)}};
`,
);
writeFileSync(join(out, 'index.d.mts'), "export * from './index.js';\n");
