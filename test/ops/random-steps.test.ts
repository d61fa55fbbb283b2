// Random training steps give the same bits compiled as they stand. HADAL_STEPS makes so many, HADAL_STEPS_SEED others.
import { describeOnDevices } from '../devices';
import { checkRandomStep } from './random-calls/step';

const first = Number(process.env['HADAL_STEPS_SEED'] ?? 1);
const count = Number(process.env['HADAL_STEPS'] ?? 150);

describeOnDevices((device) => {
  test(`${count} steps from seed ${first} on`, () => {
    for (let seed = first; seed < first + count; seed++) checkRandomStep(seed, device);
  }, 600_000);
});
