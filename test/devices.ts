// The devices that tests of ops run on: the CPU, and the first GPU where there is one.
import { devices, setDefaultDevice, type Device } from '../lib/index';

/**
 * Declares tests once for each device, which is the default one while they run. A device that cannot be used shows as a skipped
 * test that says why.
 */
export function describeOnDevices(body: (device: Device) => void): void {
  const tested = devices().filter(({ name }) => name === 'cpu' || name === 'cuda' || name === 'cuda:0');
  for (const { name, available, description } of tested) {
    if (!available) {
      test.skip(`${name}: ${description}`, () => undefined);
      continue;
    }
    describe(`on ${name}`, () => {
      beforeAll(() => setDefaultDevice(name));
      afterAll(() => setDefaultDevice('cpu'));
      body(name);
    });
  }
}
