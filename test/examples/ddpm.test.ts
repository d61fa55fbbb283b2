// The diffusion model learns to see noise, and draws through all steps from noise to digit.
import { numberAfter, runExample } from './run-example';

test('rendered digits', async () => {
  const options = [
    '--steps',
    '200',
    '--batch',
    '16',
    '--width',
    '16',
    '--lr',
    '0.005',
    '--samples',
    '4',
    '--sampling',
    '20',
  ];
  const printed = await runExample('ddpm', ...options, '--out', 'OUT');
  // One that answers nothing but zeros has a loss of about 1; seven seeds gave 0.42 to 0.5.
  expect(numberAfter('Loss', printed)).toBeLessThan(0.6);
  expect(printed).toMatch(/samples\.png$/m);
});
