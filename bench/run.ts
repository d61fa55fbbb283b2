/**
 * Runs benches and prints a table, JSON with --json:   npm run bench -- [name …] [--json FILE]
 *
 * Names are those of the files here (products, ops, overhead, training, event-loop, leak) or of single workloads; all without one. Exits with 1 when
 * results disagree with the peer's.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

import { devices } from 'hadal';

import { measureEventLoop } from './event-loop';
import { duration, measure, Peer, type Result, type Workload } from './harness';
import { measureLeak } from './leak';
import { peakGflops } from './peak';
import { workloads as ops } from './ops';
import { workloads as overhead } from './overhead';
import { workloads as products } from './products';
import { workloads as training } from './training';

const groups: Readonly<Record<string, Workload[]>> = { products, ops, overhead, training };
const checks: Readonly<Record<string, () => Promise<string>>> = { 'event-loop': measureEventLoop, leak: measureLeak };

function row(result: Result, peak: number): string {
  const { name, ours, peer, ratio, gflops, gigabytesPerSecond, agrees, reach, budget } = result;
  const goal = reach !== undefined ? `≤ ${reach}×` : budget !== undefined ? `≤ ${duration(budget)}` : '';
  const rate =
    gflops !== undefined
      ? `${gflops.toFixed(0)} GFLOP/s (${((100 * gflops) / peak).toFixed(0)} %)`
      : gigabytesPerSecond !== undefined
        ? `${gigabytesPerSecond.toFixed(0)} GB/s`
        : '';
  const verdict = agrees === false ? 'DISAGREES' : '';
  return [
    name.padEnd(30),
    duration(ours).padStart(10),
    (peer === undefined ? '' : duration(peer)).padStart(10),
    (ratio === undefined ? '' : `${ratio.toFixed(2)}×`).padStart(7),
    goal.padStart(9),
    rate.padStart(22),
    verdict,
  ].join(' ');
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { json: { type: 'string' } }, allowPositionals: true });
  const wanted = (group: string, name: string): boolean =>
    positionals.length === 0 || positionals.some((given) => given === group || given === name);
  const peer = Peer.start();
  if (peer === undefined) console.log('No Python with torch found (HADAL_PEER_PYTHON): ours alone.');
  const peak = peakGflops();
  console.log(
    `${cpus()[0]?.model}, ${devices()[0]!.description}, FMA peak ${peak.toFixed(0)} GFLOP/s, Node ${process.version}`,
  );
  console.log(
    ['workload'.padEnd(30), 'hadal'.padStart(10), 'PyTorch'.padStart(10), 'ratio'.padStart(7), 'goal'.padStart(9)].join(
      ' ',
    ),
  );
  const results: Result[] = [];
  try {
    for (const [group, workloads] of Object.entries(groups)) {
      for (const workload of workloads.filter(({ name }) => wanted(group, name))) {
        const result = await measure(workload, peer);
        results.push(result);
        console.log(row(result, peak));
      }
    }
    for (const [name, check] of Object.entries(checks)) if (wanted(name, name)) console.log(await check());
  } finally {
    peer?.stop();
  }
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify({ peak, results }, undefined, 2));
  if (results.some(({ agrees }) => agrees === false)) process.exitCode = 1;
}

void main();
