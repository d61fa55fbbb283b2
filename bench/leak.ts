/** Whether memory stays flat over 100,000 synchronous training steps without a dispose, a scope or an await. */
import { memory, nn, optim, synchronize, tensor } from 'hadal';

import { classes, fill, wave } from './harness';

export function measureLeak(steps = 100_000): Promise<string> {
  const model = new nn.Sequential(new nn.Linear(64, 32), new nn.ReLU(), new nn.Linear(32, 10));
  fill(model);
  const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 });
  const x = wave([16, 64], 1);
  const y = tensor(classes(16, 10));
  const warmUp = steps / 5;
  let before = 0;
  let peak = 0;
  for (let step = 0; step < steps; step++) {
    optimizer.zeroGrad();
    nn.functional.crossEntropy(model.forward(x), y).backward();
    optimizer.step();
    if (step % 1000 !== 999) continue;
    const rss = process.memoryUsage.rss();
    if (step < warmUp) before = Math.max(before, rss);
    else peak = Math.max(peak, rss);
  }
  synchronize();
  const grown = (peak - before) / 1e6;
  return Promise.resolve(
    `${steps.toLocaleString('en')} synchronous steps: memory grew ${grown.toFixed(1)} MB after warm-up (goal: < 5 MB), ${memory().tensors} tensors alive`,
  );
}
