// Saves the same file over and over until it is killed, saying each time what it has saved; run by
// safetensors-file.test.ts.

import { writeSafetensorsArrays } from '../../lib/io/safetensors-file';

async function main(path: string): Promise<void> {
  for (let generation = 1; ; generation++) {
    const tensors = Object.fromEntries(
      ['a', 'b', 'c'].map(
        (name) => [name, { dtype: 'int32', shape: [500_000], data: new Int32Array(500_000).fill(generation) }] as const,
      ),
    );
    await writeSafetensorsArrays(path, tensors, { metadata: { generation: String(generation) } });
    process.stdout.write(`${generation}\n`);
  }
}

void main(process.argv[2] ?? '');
