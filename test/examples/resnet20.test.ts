// ResNet-20 learns coloured digits from a short run, and its published weights know the classes of photographs.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { numberAfter, runExample, withData } from './run-example';

test('coloured digits', async () => {
  const options = [
    '--train',
    '3000',
    '--test',
    '300',
    '--epochs',
    '2',
    '--batch',
    '16',
    '--lr',
    '0.02',
    '--out',
    'OUT',
  ];
  const printed = await runExample('resnet20', ...options);
  // Guessing gives 10 %. So short a run ends between 85 and 98 %, by its random numbers (nine seeds) and each processor's roundings.
  expect(numberAfter('Test accuracy', printed)).toBeGreaterThan(60);
}, 1_800_000);

const images = withData('cifar10_jpeg_subset');
const weights = join(images.folder, '../../models/cifar10_resnet/resnet20-12fca82f.th');
(existsSync(weights) ? images.test : test.skip)(
  'published weights',
  async () => {
    const options = ['--data', images.folder, '--weights', weights, '--epochs', '0', '--out', 'OUT'];
    const printed = await runExample('resnet20', ...options);
    // 92 % on the test images that these were made from; JPEG's losses cost the rest.
    expect(numberAfter('Test accuracy', printed)).toBeGreaterThan(80);
  },
  1_800_000,
);
