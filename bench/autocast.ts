/**
 * Mixed precision against float32: trains the GPT of the benches on the same text from the same start in both, and prints the losses.
 *
 *   npx tsx bench/autocast.ts --text input.txt [--steps 300] [--every 25] [--dtype bfloat16]
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { autocast, manualSeed, nn, optim, scope, tensor } from 'hadal';
import type { AnyTensor } from 'hadal';

import { GPT } from './training';

const { values: options } = parseArgs({
  options: {
    text: { type: 'string' },
    steps: { type: 'string', default: '300' },
    every: { type: 'string', default: '25' },
    dtype: { type: 'string', default: 'bfloat16' },
  },
});
if (options.text === undefined) throw new Error('--text: got nothing, expected the path of a text');
const [context, batch] = [256, 8];
const text = readFileSync(options.text, 'utf8');
const alphabet = [...new Set(text)].sort();
const code = new Map(alphabet.map((letter, i) => [letter, i]));
const codes = Int32Array.from(text, (letter) => code.get(letter)!);
const [steps, every] = [Number(options.steps), Number(options.every)];

/** Trains by a batch and answers the loss. */
type Train = (index: Int32Array, target: Int32Array) => Promise<number>;

function prepare(dtype: 'bfloat16' | 'float16' | false): Train {
  manualSeed(0);
  const model = new GPT(alphabet.length, 6, 384, 6, context);
  for (const embedding of [model.tokens, model.positions]) nn.init.normal_(embedding.weight, 0, 0.02);
  const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-4, weightDecay: 0.1 });
  return (index, target) => {
    optimizer.zeroGrad();
    const loss = scope((): AnyTensor => {
      const value = autocast(dtype, () => {
        const logits = model.forward(tensor(index).reshape([batch, context]));
        return nn.functional.crossEntropy(logits.reshape([-1, alphabet.length]), tensor(target));
      });
      value.backward();
      return value.detach();
    });
    optimizer.step();
    return loss.item();
  };
}

async function main(): Promise<void> {
  const names = ['float32', options.dtype] as const;
  const trainers = [prepare(false), prepare(options.dtype as 'bfloat16' | 'float16')];
  const sums = [0, 0];
  const seconds = [0, 0];
  let seed = 1;
  for (let step = 1; step <= steps; step++) {
    const starts = Array.from({ length: batch }, () => {
      seed = (seed * 48271) % 2147483647;
      return seed % (codes.length - context - 1);
    });
    const rows = (shift: number): Int32Array =>
      Int32Array.from(
        { length: batch * context },
        (_, i) => codes[starts[Math.floor(i / context)]! + (i % context) + shift]!,
      );
    for (const [i, train] of trainers.entries()) {
      const start = performance.now();
      sums[i]! += await train(rows(0), rows(1));
      seconds[i]! += (performance.now() - start) / 1e3;
    }
    if (step % every !== 0) continue;
    const [full, mixed] = sums.map((sum) => sum / every) as [number, number];
    const times = names.map((name, i) => `${name} ${(seconds[i]! / step).toFixed(2)} s`).join(', ');
    console.log(
      `steps ${step - every + 1} to ${step}: loss ${full.toFixed(4)} in ${names[0]}, ${mixed.toFixed(4)} in ${names[1]}, ` +
        `${((100 * (mixed - full)) / full).toFixed(2)} % off; a step takes ${times}`,
    );
    sums.fill(0);
  }
}

void main();
