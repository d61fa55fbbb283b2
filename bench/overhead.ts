/** What an op costs on the JS thread: additions of 8 × 8, with and without recording, inside a scope and outside. */
import { scope } from 'hadal';

import { wave, type Workload } from './harness';

/** A hundred additions share the cost of one scope, as the ops of a training step do. */
const additions = 100;

function addition(name: string, recorded: boolean, scoped: boolean, budget: number): Workload {
  return {
    name,
    twin: ['add', recorded],
    per: additions,
    burst: 10, // 1,000 commands: half the stream's queue
    budget,
    prepare() {
      const a = wave([8, 8], 1).requiresGrad_(recorded);
      const b = wave([8, 8], 2);
      const run = (): void => {
        for (let i = 0; i < additions; i++) a.add(b);
      };
      return { step: scoped ? () => scope(run) : run, check: [a.add(b).sum().itemSync()] };
    },
  };
}

export const workloads: Workload[] = [
  addition('add 8×8, in a scope', false, true, 0.3e-6),
  addition('add 8×8, outside', false, false, 0.5e-6),
  addition('add 8×8 recorded, in a scope', true, true, 0.6e-6),
  addition('add 8×8 recorded, outside', true, false, 0.9e-6),
];
