/** How long the event loop waits while the GPT trains: nothing may block it. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { prepareGpt } from './training';

/** Trains for some seconds, awaiting each step, and reports the delay of the event loop. */
export async function measureEventLoop(seconds = 10): Promise<string> {
  const { trainStep } = prepareGpt();
  await trainStep();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const end = performance.now() + 1000 * seconds;
  let steps = 0;
  for (; performance.now() < end; steps++) await trainStep();
  delay.disable();
  const ms = (nanoseconds: number): string => `${(nanoseconds / 1e6).toFixed(1)} ms`;
  return `event-loop delay over ${steps} GPT steps: p50 ${ms(delay.percentile(50))}, p99 ${ms(delay.percentile(99))}, max ${ms(delay.max)} (goal: p99 < 10 ms)`;
}
