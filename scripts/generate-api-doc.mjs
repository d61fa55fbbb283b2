// Writes docs/api.md: every public function and class beside the ops of docs/ops.md, with its arguments and one line of what it does. With --check
// it writes nothing and fails when the file is stale. All is read from the sources.
import { byFamily, exportsOf, writeOrCheck } from './declarations.mjs';

const opNames = new Set(exportsOf('lib/ops/index.ts').map(({ name }) => name));

const namespaces = [
  ['hadal', 'lib/index.ts', 'Beside the ops, from `hadal` itself.'],
  ['nn', 'lib/nn/index.ts', 'Modules. Their stateless forms are `nn.functional`: ops of the same names in lower case.'],
  ['nn.init', 'lib/nn/init.ts', 'Fills parameters in place.'],
  ['nn.prune', 'lib/nn/prune.ts', 'Takes weights out of a module.'],
  ['optim', 'lib/optim/index.ts', 'Optimizers, schedules and what belongs to them.'],
  ['distributions', 'lib/distributions/index.ts', 'Random values with densities, moments, samples and divergences.'],
  ['data', 'lib/data/index.ts', 'Data sets, readers, loaders.'],
  ['data.augment', 'lib/data/augment/index.ts', 'Random changes to images.'],
  ['data.audio', 'lib/data/audio/index.ts', 'Sound.'],
  ['data.text', 'lib/data/text/index.ts', 'Tokenizers and vocabularies.'],
  ['io', 'lib/io/index.ts', 'Files of tensors.'],
  ['models', 'lib/models/index.ts', 'Networks.'],
  ['onnx', 'lib/onnx/index.ts', 'Models in ONNX files: [onnx.md](onnx.md).'],
  ['train', 'lib/train/index.ts', 'The training loop and what goes around it.'],
  ['distributed', 'lib/distributed/index.ts', 'Several processes.'],
];

const sections = namespaces.map(([title, path, opening]) => {
  const families = byFamily(exportsOf(path).filter(({ name }) => title !== 'hadal' || !opNames.has(name)));
  const tables = [...families].map(([family, members]) => {
    const rows = members.map(({ signature, sentence }) => `| \`${signature}\` | ${sentence} |`);
    return `**${family}**\n\n| | |\n| --- | --- |\n${rows.join('\n')}\n`;
  });
  return `## ${title}\n\n${opening}\n\n${tables.join('\n')}`;
});

process.exit(
  writeOrCheck(
    'docs/api.md',
    `# Modules, optimizers and the rest

Written by \`npm run generate\`: do not edit. The ops are in [ops.md](ops.md). Options are objects; their fields, errors and examples are in the comments that editors show.

${sections.join('\n')}`,
  ),
);
