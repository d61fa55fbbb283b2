// Run by each of several processes: metrics of which each has a share. Prints the values, which are to be the same in all, and what is said of a metric that
// cannot be merged.
import { distributed, nn, optim, train, type AnyTensor } from '../../lib/index';
import { Confidences, measured, trained } from './metrics';

distributed.init({ timeout: 60_000 });

class Unmerged extends Confidences {
  override readonly merge = undefined as never;
}

async function main(): Promise<void> {
  const values = await measured();
  const runs = await trained(process.argv[2]!);
  const messages: string[] = [];
  await train.mergeMetrics({ own: new Unmerged() }).catch((error: Error) => messages.push(error.message));
  const model = new nn.Linear(1, 1);
  try {
    new train.Trainer({
      model,
      optimizer: new optim.SGD(model.parameters(), { lr: 1 }),
      step: (x: AnyTensor) => x,
      metrics: () => ({ own: new Unmerged() }),
    });
  } catch (error) {
    messages.push((error as Error).message);
  }
  console.log(JSON.stringify({ values, runs, messages }));
}
void main();
