// The graph network learns classes from 20 labelled nodes each.
import { numberAfter, runExample, withData } from './run-example';

test('a graph made up by the program', async () => {
  const printed = await runExample('gcn', '--epochs', '100');
  expect(numberAfter('Test accuracy', printed)).toBeGreaterThan(70);
});

test('attention on that graph', async () => {
  const printed = await runExample('gcn', '--heads', '8', '--epochs', '100');
  expect(numberAfter('Test accuracy', printed)).toBeGreaterThan(70);
});

const cora = withData('cora');
cora.test('Cora', async () => {
  const printed = await runExample('gcn', '--data', cora.folder, '--epochs', '100');
  expect(printed).toContain('2708 nodes, 5278 edges, 7 classes');
  expect(numberAfter('Test accuracy', printed)).toBeGreaterThan(78);
});

cora.test('attention on Cora', async () => {
  const printed = await runExample('gcn', '--heads', '8', '--data', cora.folder, '--epochs', '60');
  expect(numberAfter('Test accuracy', printed)).toBeGreaterThan(78);
});
