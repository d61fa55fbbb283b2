// Calls of ops at random sizes and in random layouts, where kernels are chosen by sizes: against float64. HADAL_CALLS_SEED makes other calls,
// HADAL_CALLS as many of each kind.
import { describeOnDevices } from '../devices';
import { checkRandomCalls } from './random-calls/check';
import { kinds } from './random-calls/kinds';

const seed = Number(process.env['HADAL_CALLS_SEED'] ?? 1);
/** Convolutions have the most kernels. */
const callsOf = (kind: string): number => Number(process.env['HADAL_CALLS'] ?? (kind === 'convolution' ? 1500 : 40));

describeOnDevices((device) => {
  test.each(Object.keys(kinds))('%s', (kind) => checkRandomCalls(kind, seed, callsOf(kind), device, 200_000), 600_000);
});
