/**
 * The processes that compute together: which of them this one is, as `npx hadal launch` has set it in the environment, and how it joins them. A process
 * that was started by itself is a world of one.
 */
import { ArgumentError, DistributedError } from '../errors';
import { checkOptions } from '../ops/define';
import { deviceNumber, setDefaultDevice, type Device } from '../runtime/device';
import { callNative, native } from '../runtime/native';
import { shown } from '../tensor/describe';

export interface InitOptions {
  /** With `'cuda'` each process takes the CUDA device of its rank and makes it the default; `'cpu'` unless given, which changes no default. */
  readonly device?: 'cpu' | 'cuda';
  /** How long a process waits for the others in a collective before all of them fail, in milliseconds; ten minutes unless given. */
  readonly timeout?: number;
}

interface World {
  readonly rank: number;
  readonly size: number;
  /** Where collectives may run. */
  readonly devices: readonly Device[];
}

const alone: World = { rank: 0, size: 1, devices: [] };
let world: World | undefined;

/** The lanes of the file that processes share: a stream of each has one. */
const lanes = { cpu: 0, cuda: 1 };

/**
 * Joins the processes that `npx hadal launch` has started, without waiting for them. In a process that was started by itself it does nothing, so the
 * same program runs alone too.
 *
 * @throws DistributedError when the environment is incomplete or the processes cannot share memory; DeviceError when there is no such CUDA device.
 * @example
 * distributed.init();
 * console.log(`process ${distributed.rank()} of ${distributed.worldSize()}`);
 */
export function init(options: InitOptions = {}): void {
  checkOptions('init', options);
  const { device = 'cpu', timeout = 600_000 } = options;
  if (world !== undefined) throw new DistributedError('init: got a second call, expected one in a process');
  if (device !== 'cpu' && device !== 'cuda') {
    throw new ArgumentError(`init: device: got ${shown(device)}, expected cpu or cuda`);
  }
  if (!Number.isSafeInteger(timeout) || timeout < 1) {
    throw new ArgumentError(`init: timeout: got ${shown(timeout)}, expected a positive integer of milliseconds`);
  }
  const { HADAL_RANK, HADAL_WORLD_SIZE, HADAL_RENDEZVOUS } = process.env;
  const set = [HADAL_RANK, HADAL_WORLD_SIZE, HADAL_RENDEZVOUS].filter((value) => value !== undefined).length;
  if (set !== 0 && set !== 3) {
    throw new DistributedError(
      'init: HADAL_RANK, HADAL_WORLD_SIZE and HADAL_RENDEZVOUS: got some of them in the environment, expected all or none; start with npx hadal launch',
    );
  }
  const rank = whole('HADAL_RANK', HADAL_RANK ?? '0');
  const size = whole('HADAL_WORLD_SIZE', HADAL_WORLD_SIZE ?? '1');
  const own: Device = device === 'cpu' ? 'cpu' : `cuda:${rank}`;
  if (own !== 'cpu') setDefaultDevice(own);
  if (HADAL_RENDEZVOUS !== undefined) {
    for (const each of new Set<Device>(['cpu', own])) {
      const lane = each === 'cpu' ? lanes.cpu : lanes.cuda;
      callNative(
        () => native.joinGroup(deviceNumber('init', each), HADAL_RENDEZVOUS, lane, rank, size, timeout),
        'init',
      );
    }
  }
  world = { rank, size, devices: ['cpu', own] };
}

function whole(name: string, text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new DistributedError(`init: ${name}: got ${JSON.stringify(text)}, expected a whole number`);
}

/** Which of the processes this one is, from 0; 0 before {@link init}. */
export function rank(): number {
  return (world ?? alone).rank;
}

/** How many processes compute together; 1 before {@link init}. */
export function worldSize(): number {
  return (world ?? alone).size;
}

/** Throws unless collectives of several processes may run on `device`. */
export function checkDevice(op: string, device: Device): void {
  const { size, devices } = world ?? alone;
  if (size === 1 || devices.includes(device)) return;
  const expected = [...new Set(devices)].join(' or ');
  throw new DistributedError(`${op}: device: got ${device}, expected ${expected}, where this process has joined`);
}
