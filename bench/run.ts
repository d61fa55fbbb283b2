/**
 * Runs benches and prints a table, JSON with --json:   npm run bench -- [name …] [--json FILE]
 *
 * Names are those of the files here (products, convolutions, ops, functions, overhead, training, programs, inference, event-loop, trainer-loop, leak) or of single workloads; all without one. With
 * --eager the peer is not compiled. Exits with 1 when results disagree with the peer's.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

import { devices } from 'hadal';

import { measureEventLoop, measureTrainerLoop } from './event-loop';
import { workloads as convolutions } from './convolutions';
import { duration, measure, Peer, type Result, type Workload } from './harness';
import { workloads as functions } from './functions';
import { workloads as inference } from './inference';
import { measureLeak } from './leak';
import { measurePeaks, type Peaks } from './peak';
import { workloads as ops } from './ops';
import { workloads as overhead } from './overhead';
import { workloads as products } from './products';
import { workloads as programs } from './programs';
import { workloads as training } from './training';

const groups: Readonly<Record<string, Workload[]>> = {
  products,
  convolutions,
  ops,
  functions,
  overhead,
  training,
  programs,
  inference,
};
const checks: Readonly<Record<string, () => Promise<string>>> = {
  'event-loop': measureEventLoop,
  'trainer-loop': measureTrainerLoop,
  leak: measureLeak,
};

function row(result: Result, peaks: Peaks): string {
  const { name, ours, peer, compiled, ratio, dtype, gflops, gigabytesPerSecond, agrees, reach, budget } = result;
  const goal = reach !== undefined ? `≥ ${reach}×` : budget !== undefined ? `≤ ${duration(budget)}` : '';
  const share = (rate: number, peak: number, unit: string): string =>
    `${rate.toFixed(0)} ${unit}${Number.isNaN(peak) ? '' : ` (${((100 * rate) / peak).toFixed(0)} %)`}`;
  const rate =
    gflops !== undefined
      ? share(gflops, dtype === 'float32' ? peaks.f32 : peaks.bf16, 'GFLOP/s')
      : gigabytesPerSecond !== undefined
        ? share(gigabytesPerSecond, peaks.memory, 'GB/s')
        : '';
  return [
    name.padEnd(46),
    duration(ours).padStart(10),
    (peer === undefined ? '' : duration(peer)).padStart(10) + (compiled === true ? ' c' : '  '),
    (ratio === undefined ? '' : `${ratio.toFixed(2)}×`).padStart(7),
    goal.padStart(9),
    rate.padStart(22),
    agrees === false ? 'DISAGREES' : '',
  ].join(' ');
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'string' }, eager: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const wanted = (group: string, name: string): boolean =>
    positionals.length === 0 || positionals.some((given) => given === group || given === name);
  const known = new Set([
    ...Object.entries(groups).flatMap(([group, all]) => [group, ...all.map(({ name }) => name)]),
    ...Object.keys(checks),
  ]);
  for (const given of positionals) {
    if (!known.has(given)) throw new Error(`bench: got '${given}', expected one of ${[...known].join(', ')}`);
  }
  const peer = Peer.start(values.eager);
  if (peer === undefined) console.log('No Python with torch found (HADAL_PEER_PYTHON): ours alone.');
  const peaks = measurePeaks();
  const peak = (rate: number, unit: string): string => `${Number.isNaN(rate) ? 'no' : rate.toFixed(0)} ${unit}`;
  console.log(
    `${cpus()[0]?.model}, ${devices()[0]!.description}, Node ${process.version}; peaks: ${peak(peaks.f32, 'GFLOP/s f32')}, ` +
      `${peak(peaks.bf16, 'bf16')}, ${peak(peaks.memory, 'GB/s')}`,
  );
  console.log(
    `${'workload'.padEnd(46)} ${'hadal'.padStart(10)} ${'PyTorch'.padStart(10)}   ${'ratio'.padStart(7)} ${'goal'.padStart(9)}`,
  );
  const results: Result[] = [];
  try {
    for (const [group, workloads] of Object.entries(groups)) {
      for (const workload of workloads.filter(({ name }) => wanted(group, name))) {
        const result = await measure(workload, peer);
        results.push(result);
        console.log(row(result, peaks));
      }
    }
    for (const [name, check] of Object.entries(checks)) if (wanted(name, name)) console.log(await check());
  } finally {
    peer?.stop();
  }
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify({ peaks, results }, undefined, 2));
  if (results.some(({ agrees }) => agrees === false)) process.exitCode = 1;
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
